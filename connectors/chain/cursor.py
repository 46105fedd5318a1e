"""Where the listener stands: cursor, blocks and sightings, by SQL, in the same transaction as the events they led to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg2.extras import execute_values

from connectors.chain.chain_values import Header
from connectors.chain.interpret import Leg, Legs, TakenBack
from infra.database import Cursor
from streams.domain import ids
from streams.domain.facts import Block, Transfer
from streams.event_store.arrays import documents, numbers, texts, uuids

TAKEN_BACK = "taken_back"

READ = "SELECT seen_number, seen_hash, seen_time, final_number, welcomes FROM chain_cursors WHERE chain_id = %s"
BEGIN = """
INSERT INTO chain_cursors (chain_id, seen_number, seen_hash, seen_time, final_number) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT DO NOTHING
"""
LEASE = """
UPDATE chain_cursors SET holder = %s, lease_until = clock_timestamp() + %s * interval '1 second'
WHERE chain_id = %s AND (holder = %s OR lease_until IS NULL OR lease_until < clock_timestamp())
"""
MOVE = """
UPDATE chain_cursors SET seen_number = %s, seen_hash = %s, seen_time = %s, final_number = %s, welcomes = %s,
    moved_at = clock_timestamp()
WHERE chain_id = %s AND seen_number = %s AND seen_hash = %s AND final_number = %s AND welcomes = %s
"""
BLOCKS = """
INSERT INTO chain_blocks (chain_id, number, hash, parent_hash, time, state, skipped) VALUES %s
ON CONFLICT (chain_id, hash) DO UPDATE SET state = 'seen', visit = chain_blocks.visit + 1, recorded_at = clock_timestamp()
RETURNING hash, visit
"""
STRETCH = """
INSERT INTO chain_blocks (chain_id, number, hash, parent_hash, time, state, skipped) VALUES %s
ON CONFLICT (chain_id, hash) DO UPDATE SET state = 'final', skipped = excluded.skipped, visit = chain_blocks.visit + 1
"""
SEEN_BLOCKS = """
SELECT number, hash, time FROM chain_blocks WHERE chain_id = %s AND state = 'seen' AND number <= %s ORDER BY number DESC LIMIT %s
"""
FINAL_BLOCKS = "UPDATE chain_blocks SET state = 'final' WHERE chain_id = %s AND state = 'seen' AND number <= %s"
ORPHAN_BLOCKS = "UPDATE chain_blocks SET state = 'orphaned' WHERE chain_id = %s AND state = 'seen' AND number > %s"
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
OUR_SPENDS = "SELECT consumed_hash, payment_id, leg_id, kind, account_id FROM chain_intents WHERE consumed_hash = ANY(%s::text[])"
OUR_REFUNDS = """
SELECT t.tx_hash, i.payment_id, i.leg_id, i.kind FROM chain_transactions AS t INNER JOIN chain_intents AS i USING (leg_id)
WHERE t.tx_hash = ANY(%s::text[]) AND i.kind = 'refund'
"""
SIGNED = "SELECT leg_id, target, signer, consumed_hash FROM chain_intents WHERE leg_id = ANY(%s::uuid[])"
END_LEGS = """
UPDATE chain_intents SET state = 'ended_unpaid' WHERE leg_id = ANY(%s::uuid[]) AND state IN ('planned', 'submitted')
"""
LEG_STATE = "UPDATE chain_intents AS i SET state = new.state FROM (VALUES %s) AS new (leg_id, state) WHERE i.leg_id = new.leg_id"


@dataclass(frozen=True)
class Position:
    """The last block whose events are stored, and the last that is final. `welcomes`: which wallets were followed, by their count."""

    number: int
    hash: str
    time: int
    final: int
    welcomes: int = 0


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


def position(cursor: Cursor, chain_id: int) -> Position | None:
    """Where the listener stands, or None before it began."""
    cursor.execute(READ, (chain_id,))
    row = cursor.fetchone()
    return Position(*row) if row else None


def begin(cursor: Cursor, chain_id: int, header: Header) -> None:
    """Stand at a first block, as if everything up to it were stored."""
    cursor.execute(BEGIN, (chain_id, header.number, header.hash, header.time, header.number))


def take_lease(cursor: Cursor, chain_id: int, holder: str, seconds: float) -> bool:
    """Be the listener that works, or stay it. Only courtesy between listeners: what protects is `move`."""
    cursor.execute(LEASE, (holder, seconds, chain_id, holder))
    return cursor.rowcount == 1


def move(cursor: Cursor, chain_id: int, old: Position, new: Position) -> bool:
    """The fence: move the cursor if nobody else has. False: nothing may be written."""
    there = (new.number, new.hash, new.time, new.final, new.welcomes)
    cursor.execute(MOVE, (*there, chain_id, old.number, old.hash, old.final, old.welcomes))
    return cursor.rowcount == 1


def add_blocks(cursor: Cursor, chain_id: int, headers: Iterable[Header]) -> dict[str, int]:
    """Blocks whose events are stored in this transaction; gives by hash how often the listener has come by each."""
    rows = [(chain_id, each.number, each.hash, each.parent_hash, each.time, "seen", 0) for each in headers]
    return dict(execute_values(cursor, BLOCKS, rows, page_size=len(rows), fetch=True))


def add_stretch(cursor: Cursor, chain_id: int, first: int, last: Header) -> None:
    """The last of the final blocks from `first` on, which were read together; those before it are not kept."""
    row = (chain_id, last.number, last.hash, last.parent_hash, last.time, "final", last.number - first)
    cursor.postpone_values(STRETCH, [row])


def visits(cursor: Cursor, chain_id: int, hashes: Sequence[str]) -> dict[str, int]:
    """How often the listener has come by these blocks."""
    cursor.execute(
        "SELECT hash, visit FROM chain_blocks WHERE chain_id = %s AND hash = ANY(%s::text[])", (chain_id, list(hashes))
    )
    return dict(cursor.fetchall())


def final_block(cursor: Cursor, chain_id: int, number: int) -> tuple[int, str, int] | None:
    """(number, hash, time) of the block at a final height, if the listener came by it."""
    cursor.execute(
        "SELECT number, hash, time FROM chain_blocks WHERE chain_id = %s AND number = %s AND state = 'final'",
        (chain_id, number),
    )
    row: tuple[int, str, int] | None = cursor.fetchone()
    return row


def standing_block(cursor: Cursor, chain_id: int, number: int) -> str | None:
    """The hash of our block at a height, if the listener came by one that was not dropped."""
    cursor.execute(
        "SELECT hash FROM chain_blocks WHERE chain_id = %s AND number = %s AND state = 'seen'", (chain_id, number)
    )
    row = cursor.fetchone()
    return row[0] if row else None


def seen_blocks(cursor: Cursor, chain_id: int, below: int, limit: int) -> list[tuple[int, str, int]]:
    """(number, hash, time) of blocks that are not final, newest first, from `below` down."""
    cursor.execute(SEEN_BLOCKS, (chain_id, below, limit))
    return cursor.fetchall()


def finalize_blocks(cursor: Cursor, chain_id: int, up_to: int) -> None:
    """These blocks are final."""
    cursor.postpone(FINAL_BLOCKS, (chain_id, up_to))


def orphan_blocks(cursor: Cursor, chain_id: int, above: int) -> None:
    """These blocks are on the chain no more."""
    cursor.postpone(ORPHAN_BLOCKS, (chain_id, above))


def known_sightings(cursor: Cursor, sighting_ids: Sequence[UUID]) -> set[tuple[UUID, UUID]]:
    """(sighting, account) of those that were seen before."""
    cursor.execute(KNOWN, (uuids(sighting_ids),))
    return set(cursor.fetchall())


def booked(cursor: Cursor, command_ids: Iterable[UUID]) -> list[UUID]:
    """Those of these facts that were booked before."""
    cursor.execute(BOOKED, (uuids(command_ids),))
    return [row[0] for row in cursor.fetchall()]


def sight(cursor: Cursor, chain_id: int, sightings: Sequence[Sighting], state: str = "seen") -> None:
    """Remember what a reorg may take back; or, `final`, what none can any more."""
    if not sightings:
        return
    columns = zip(*map(_row, sightings), strict=True)
    written = [write(values) for write, values in zip(ROW, columns, strict=True)]
    cursor.postpone(SIGHT, (chain_id, state, *written))


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


def mark_legs(cursor: Cursor, transfers: Iterable[Transfer], state: str) -> None:
    """Tell the submitter how far its legs are; a leg that is not ours has no row."""
    rows = [(each.leg_id, state) for each in transfers if each.leg_id is not None]
    cursor.postpone_values(LEG_STATE, rows)


def end_legs(cursor: Cursor, leg_ids: Sequence[UUID]) -> None:
    """These spends can never happen any more."""
    if leg_ids:
        cursor.postpone(END_LEGS, (list(leg_ids),))


def signed_spends(cursor: Cursor, leg_ids: Sequence[UUID]) -> dict[UUID, tuple[str, str, str]]:
    """(Spender, signer, hash) of these legs' signed spends."""
    if not leg_ids:
        return {}
    cursor.execute(SIGNED, (list(leg_ids),))
    return {row[0]: tuple(row[1:]) for row in cursor.fetchall()}


def our_legs(cursor: Cursor, consumed: Sequence[str], transactions: Sequence[str]) -> Legs:
    """Which of these consumed hashes and transactions are ours."""
    cursor.execute(OUR_SPENDS, (list(consumed),))
    by_hash = {row[0]: Leg(row[1], row[2], row[3], account_id=row[4]) for row in cursor.fetchall()}
    cursor.execute(OUR_REFUNDS, (list(transactions),))
    return Legs(by_hash, {row[0]: Leg(*row[1:]) for row in cursor.fetchall()})


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
