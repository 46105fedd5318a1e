"""What payments' streams, and settlement's, are told of a transaction's fate: each word once, however often it is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from connectors.chain.sending.transactions import Sent
from infra.database import Cursor
from schemas.definition import Message
from schemas.messages.payment_commands import EndLegUnpaid, RecordLegReverted, RecordLegSubmitted
from streams.command_handler import CommandHandler
from streams.domain import ids
from streams.domain.chain.facts import LoseTransfer
from streams.event_store.recorded import Cause
from streams.orders import Order


def tell(
    cursor: Cursor, handler: CommandHandler, what: str, told: Sequence[tuple[Sent, Message | LoseTransfer]]
) -> None:
    """`what` happened, once for each transaction. An invalidation is no leg of a payment's."""
    orders = []
    for sent, message in told:
        if sent.kind == "invalidation":
            continue
        correlation = UUID(sent.correlation_id) if sent.correlation_id else sent.payment_id
        cause = Cause(sent.leg_id, correlation, sent.traceparent or "", "submitter")
        orders.append(Order(ids.derived(what, sent.tx_hash), message, cause))
    handler.handle(cursor, orders)


def submitted(sent: Sent) -> RecordLegSubmitted:
    """It is with the node."""
    return RecordLegSubmitted(payment_id=sent.payment_id, leg_id=sent.leg_id, tx_hash=sent.tx_hash)


def reverted(sent: Sent, reason: str | None) -> RecordLegReverted:
    """A block carries it, and it failed; `reason`: in the contract's words, where it said any."""
    told = reason or "reverted on chain"
    return RecordLegReverted(payment_id=sent.payment_id, leg_id=sent.leg_id, tx_hash=sent.tx_hash, reason=told)


def ended(sent: Sent) -> EndLegUnpaid:
    """Its leg can never be paid any more: the one nonce that it had is used up."""
    return EndLegUnpaid(
        payment_id=sent.payment_id,
        account_id=sent.account_id,
        leg_id=sent.leg_id,
        amount_raw=sent.amount_raw,
        reason="nonce_used",
    )
