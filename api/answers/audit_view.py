"""The audit log as the API tells it: anchors as values, proofs as the very bytes that a checker takes."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field
from sqlalchemy import Engine

from api.answers.models import Answer, Instant
from connectors.anchoring import rows
from connectors.anchoring.rows import Anchor
from infra.database import transaction
from streams.audit_log import proofs
from streams.audit_log.proofs import NotCovered


class AuditAnchor(Answer):
    """The audit log's root, stated on chain: so many events cannot be changed any more without being found."""

    log_id: str = Field(description="Which log: another began where one was closed.", examples=["5d" * 16])
    tree_size: int = Field(description="Events under it: the first so many of the log.", examples=[20417])
    root: str = Field(description="Root of the Merkle tree (RFC 6962), hex.", examples=["5d" * 32])
    data: str = Field(description="Call data of its transaction: the head that a checker is given.")
    state: str = Field(description="signed, broadcast, mined, final or lost; proofs are made against final ones.")
    chain_id: int = Field(description="EIP-155 id.", examples=[100])
    sender: str = Field(description="Address whose anchors count.")
    tx_hash: str | None = Field(description="Its transaction.")
    block_number: int | None = Field(description="Block that carries it.")
    decided_at: Instant


class AuditAnchorPage(Answer):
    """Anchors, the largest first; those of logs that were closed behind those of the open one."""

    anchors: list[AuditAnchor]


class AuditView:
    """The audit log as W has it, through role gateway."""

    def __init__(self, write: Engine) -> None:
        self._write = write

    def anchors(self, limit: int, skip: int) -> AuditAnchorPage:
        """A page of them."""
        with transaction(self._write) as cursor:
            return AuditAnchorPage(anchors=[_shown(each) for each in rows.page(cursor, limit, skip)])

    def proof(self, event_id: UUID) -> bytes:
        """The event's proof against the last final anchor. Raises NotFound, NotCovered."""
        with transaction(self._write) as cursor:
            anchor = rows.last_final(cursor)
            if anchor is None:
                raise NotCovered("no anchor is final yet, so nothing can be proved; ask again after the first")
            return proofs.prove(cursor, event_id, anchor.head)


def _shown(anchor: Anchor) -> AuditAnchor:
    return AuditAnchor(
        log_id=anchor.head.log_id,
        tree_size=anchor.head.size,
        root=anchor.head.root.hex(),
        data="0x" + anchor.head.encode().hex(),
        state=anchor.state,
        chain_id=anchor.chain_id,
        sender=anchor.sender,
        tx_hash=anchor.tx_hash,
        block_number=anchor.block_number,
        decided_at=anchor.decided_at,
    )
