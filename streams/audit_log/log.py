"""The log's tables: filled in position order with what is settled, never with what may still change; read a tile at a time.

A position is drawn before its transaction commits, so a lower one may appear after a higher one. The log takes what the store says is
settled, as every reader of all events does (`recorder.horizon`): nothing can appear below it any more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson
from psycopg2.extras import register_default_jsonb

from infra.audit.check import leaf_hash, node_hash
from infra.database import Cursor
from infra.errors import Stop
from streams.audit_log import leaf
from streams.audit_log.merkle import Frontier

TILE_LEVELS, TILE = 8, 256
LOCK = "SELECT pg_advisory_xact_lock('audit_leaves'::regclass::oid::bigint)"
NEWEST_EVENT = "SELECT coalesce(max(position), 0) FROM events"
END = "SELECT leaf_index + 1, position FROM audit_leaves ORDER BY leaf_index DESC LIMIT 1"
NEXT = f"SELECT {leaf.SELECT} FROM events WHERE position > %s AND position <= %s ORDER BY position LIMIT %s"
ADD_LEAVES = "INSERT INTO audit_leaves (leaf_index, position, hash) SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bytea[])"
ADD_NODES = (
    "INSERT INTO audit_nodes (level, node_index, hash) SELECT * FROM unnest(%s::smallint[], %s::bigint[], %s::bytea[])"
)
LEAVES = "SELECT hash FROM audit_leaves WHERE leaf_index >= %s AND leaf_index < %s ORDER BY leaf_index"
NODES = "SELECT hash FROM audit_nodes WHERE level = %s AND node_index >= %s AND node_index < %s ORDER BY node_index"
LOG_ID = "SELECT log_id FROM audit_log"


class LogBroken(Stop):
    """The log's tables do not hold together: somebody else wrote them. Nothing is added; `payriver verify` says what was changed."""

    reason = "log_broken"


@dataclass(frozen=True)
class End:
    """How far the log is: leaves, and the position of the last one."""

    size: int = 0
    position: int = 0


def newest(cursor: Cursor) -> int:
    """The newest stored event's position, whether or not lower ones may still appear; 0 where nothing is stored."""
    cursor.execute(NEWEST_EVENT)
    return int(_row(cursor)[0])


def end(cursor: Cursor) -> End:
    """How far the log is."""
    cursor.execute(END)
    row = cursor.fetchone()
    return End(*row) if row else End()


def log_id(cursor: Cursor) -> str:
    """Which log this is: 32 hex digits, made when the database was. Raises LogBroken where somebody took its row away."""
    cursor.execute(LOG_ID)
    row = cursor.fetchone()
    if row is None:
        raise LogBroken("the audit log's id is gone; run `payriver verify`")
    return str(row[0].hex)


def append(cursor: Cursor, up_to: int, limit: int) -> int:
    """Take the next events, at most `limit`, up to a position that is settled; gives how many. One transaction: all or none of it.

    `up_to`: asked for in an earlier statement of a READ COMMITTED transaction.
    """
    cursor.execute(LOCK)
    register_default_jsonb(cursor, loads=orjson.loads)
    before = end(cursor)
    cursor.execute(NEXT, (before.position, up_to, limit))
    rows = cursor.fetchall()
    if not rows:
        return 0
    frontier = Frontier.at(before.size, Hashes(cursor))
    hashes = [leaf_hash(leaf.leaf(row)) for row in rows]
    nodes = [node for each in hashes for node in frontier.push(each) if node[0] and node[0] % TILE_LEVELS == 0]
    cursor.execute(ADD_LEAVES, (list(range(before.size, frontier.size)), [row[0] for row in rows], hashes))
    if nodes:
        cursor.execute(ADD_NODES, tuple(list(column) for column in zip(*nodes, strict=True)))
    return len(rows)


@dataclass
class Hashes:
    """The hash of any whole subtree of the log: a tile of the stored level below it is read, once, and the rest is computed."""

    cursor: Cursor
    tiles: dict[tuple[int, int], list[bytes]] = field(default_factory=dict)

    def __call__(self, level: int, index: int) -> bytes:
        above = level % TILE_LEVELS
        first, count = index << above, 1 << above
        tile = self._tile(level - above, first // TILE)
        found = tile[first % TILE : first % TILE + count]
        if len(found) != count:
            raise LogBroken(
                f"the audit log lacks hashes of level {level - above} from {first} on; run `payriver verify`"
            )
        while len(found) > 1:
            found = [node_hash(left, right) for left, right in zip(found[::2], found[1::2], strict=True)]
        return found[0]

    def _tile(self, level: int, number: int) -> list[bytes]:
        known = self.tiles.get((level, number))
        if known is None:
            first = number * TILE
            if level == 0:
                self.cursor.execute(LEAVES, (first, first + TILE))
            else:
                self.cursor.execute(NODES, (level, first, first + TILE))
            known = self.tiles[level, number] = [bytes(digest) for (digest,) in self.cursor.fetchall()]
        return known


def _row(cursor: Cursor) -> tuple[Any, ...]:
    (row,) = cursor.fetchall()
    return tuple(row)
