"""Where the listener stands: its cursor and its blocks, by SQL, in the same transaction as the events they led to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psycopg2.extras import execute_values

from connectors.chain.node.values import Header
from infra.database import Cursor

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


@dataclass(frozen=True)
class Position:
    """The last block whose events are stored, and the last that is final. `welcomes`: which wallets were followed, by their count."""

    number: int
    hash: str
    time: int
    final: int
    welcomes: int = 0


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
