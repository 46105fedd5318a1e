"""What a reorg may take back, and what none can any more: sightings, by SQL, in the same transaction as the events they led to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from connectors.chain.listening.interpret import TakenBack
from infra.database import Cursor
from streams.domain import ids
from streams.domain.chain.facts import Block, Transfer
from streams.event_store.arrays import documents, numbers, texts, uuids

TAKEN_BACK = "taken_back"

BOOKED = "SELECT command_id FROM command_answers WHERE command_id = ANY(%s::uuid[])"
KNOWN = "SELECT sighting_id, account_id FROM chain_sightings WHERE sighting_id = ANY(%s::uuid[])"
SIGHT = """
INSERT INTO chain_sightings (chain_id, state, sighting_id, account_id, kind, block_number, block_hash, block_time, tx_hash, visit, detail)
SELECT %s, %s, s.* FROM ROWS FROM (
    unnest(%s::uuid[], %s::uuid[], %s::text[], %s::bigint[], %s::text[], %s::bigint[], %s::text[], %s::int[]),
    jsonb_array_elements(%s::jsonb)
) AS s
ON CONFLICT (sighting_id, account_id) DO UPDATE SET state = excluded.state, block_number = excluded.block_number,
    block_hash = excluded.block_hash, block_time = excluded.block_time, tx_hash = excluded.tx_hash, visit = excluded.visit,
    detail = excluded.detail
"""
SIGHTINGS = """
SELECT sighting_id, account_id, kind, block_number, block_hash, block_time, tx_hash, visit, detail FROM chain_sightings
WHERE chain_id = %s AND state = 'seen' AND block_number {} %s ORDER BY block_number, (detail ->> 'log_index')::int, account_id
"""
MOVING = """
SELECT DISTINCT account_id FROM chain_sightings WHERE chain_id = %s AND state = 'seen' AND account_id = ANY(%s::uuid[])
"""
UP_TO, ABOVE = SIGHTINGS.format("<="), SIGHTINGS.format(">")
STATE = """
UPDATE chain_sightings AS s SET state = new.state FROM (VALUES %s) AS new (sighting_id, account_id, state)
WHERE s.sighting_id = new.sighting_id AND s.account_id = new.account_id
"""


@dataclass(frozen=True)
class Sighting:
    """A fact that a reorg may take back: a transfer, a change of the allowance, or that a spend of ours was taken back."""

    sighting_id: UUID
    account_id: UUID
    kind: str
    block: Block
    tx_hash: str
    visit: int
    detail: dict[str, Any]

    def transfer(self) -> Transfer:
        """The transfer as it was brought to the account, in the block where it now stands."""
        told = self.detail
        return Transfer(
            account_id=self.account_id,
            transfer_id=self.sighting_id,
            direction=told["direction"],
            kind=told["kind"],
            counterparty=told["counterparty"],
            amount_raw=int(told["amount_raw"]),
            tx_hash=self.tx_hash,
            log_index=int(told["log_index"]),
            block=self.block,
            payment_id=_uuid(told["payment_id"]),
            leg_id=_uuid(told["leg_id"]),
            leg_kind=told["leg_kind"],
        )


def sighting_of(transfer: Transfer, visit: int) -> Sighting:
    """A transfer as a sighting; amounts as text, for they do not fit a JSON number."""
    told = vars(transfer)
    kept = ("direction", "kind", "counterparty", "payment_id", "leg_id", "leg_kind", "log_index")
    detail = {name: _text(told[name]) for name in kept} | {"amount_raw": str(transfer.amount_raw)}
    return Sighting(
        transfer.transfer_id, transfer.account_id, "transfer", transfer.block, transfer.tx_hash, visit, detail
    )


def sighting_of_taken_back(found: TakenBack, visit: int) -> Sighting:
    """Once a transaction and leg, however often the transaction says so."""
    detail = {"log_index": str(found.log_index), "payment_id": str(found.payment_id), "leg_id": str(found.leg_id)}
    sighting_id = ids.derived(TAKEN_BACK, found.tx_hash, found.leg_id)
    return Sighting(sighting_id, found.account_id, TAKEN_BACK, found.block, found.tx_hash, visit, detail)


def sight(cursor: Cursor, chain_id: int, sightings: Sequence[Sighting], state: str = "seen") -> None:
    """Remember what a reorg may take back; or, `final`, what none can any more."""
    if not sightings:
        return
    columns = zip(*map(_row, sightings), strict=True)
    written = [write(values) for write, values in zip(ROW, columns, strict=True)]
    cursor.postpone(SIGHT, (chain_id, state, *written))


def known_sightings(cursor: Cursor, sighting_ids: Sequence[UUID]) -> set[tuple[UUID, UUID]]:
    """(sighting, account) of those that were seen before."""
    cursor.execute(KNOWN, (uuids(sighting_ids),))
    return set(cursor.fetchall())


def booked(cursor: Cursor, command_ids: Iterable[UUID]) -> list[UUID]:
    """Those of these facts that were booked before."""
    cursor.execute(BOOKED, (uuids(command_ids),))
    return [row[0] for row in cursor.fetchall()]


def moving(cursor: Cursor, chain_id: int, account_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the accounts of which something is seen that is not final."""
    cursor.execute(MOVING, (chain_id, list(account_ids)))
    return {row[0] for row in cursor.fetchall()}


def sightings_up_to(cursor: Cursor, chain_id: int, number: int) -> list[Sighting]:
    """What is seen in blocks up to `number`, in chain order."""
    cursor.execute(UP_TO, (chain_id, number))
    return [_sighting(row) for row in cursor.fetchall()]


def sightings_above(cursor: Cursor, chain_id: int, number: int) -> list[Sighting]:
    """What is seen in blocks above `number`, in chain order."""
    cursor.execute(ABOVE, (chain_id, number))
    return [_sighting(row) for row in cursor.fetchall()]


def mark(cursor: Cursor, sightings: Sequence[Sighting], state: str) -> None:
    """These sightings are now `final` or `unseen`."""
    cursor.postpone_values(STATE, [(each.sighting_id, each.account_id, state) for each in sightings])


ROW: Sequence[Callable[[Any], str]] = (uuids, uuids, texts, numbers, texts, numbers, texts, numbers, documents)


def _row(each: Sighting) -> tuple[Any, ...]:
    return (
        each.sighting_id, each.account_id, each.kind, each.block.number, each.block.hash, each.block.time, each.tx_hash,
        each.visit, each.detail,
    )  # fmt: skip


def _sighting(row: tuple[Any, ...]) -> Sighting:
    sighting_id, account_id, kind, number, digest, time, tx_hash, visit, detail = row
    return Sighting(sighting_id, account_id, kind, Block(number, digest, time), tx_hash, visit, detail)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _uuid(value: str | None) -> UUID | None:
    return UUID(value) if value else None
