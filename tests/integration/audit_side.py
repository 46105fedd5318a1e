"""The audit log as tests fill it and look at it: events in bulk, its leaves, its head, and the same made from the events alone."""

from __future__ import annotations

from uuid import UUID

from infra.audit import check
from infra.audit.check import Head
from infra.database import transaction
from streams.audit_log import leaf, log
from streams.audit_log.filler import Filler
from streams.audit_log.merkle import Frontier, root
from tests.integration.conftest import Databases

MANY = """
INSERT INTO events (position, event_id, stream_id, version, category, type, schema_version, payload, metadata, hash)
SELECT nextval('event_positions'), gen_random_uuid(), gen_random_uuid(), 1, 'payment', 'PaymentExpired', 1,
       jsonb_build_object('payment_id', gen_random_uuid(), 'words', 'Café ' || n), '{"actor": "test"}', sha256(n::text::bytea)
FROM generate_series(1, %s) AS n
"""
STORED = f"SELECT {leaf.SELECT} FROM events ORDER BY position"


def begun(databases: Databases) -> Filler:
    """A filler as the process has it, with a small batch; on a log that has begun."""
    made = Filler(databases.as_role("write", "audit"), databases.as_role("read", "audit"), batch=300)
    add(databases, 3)
    made.catch_up(10)
    return made


def add(databases: Databases, count: int) -> None:
    with transaction(databases.as_role("write", "owner")) as cursor:
        cursor.execute(MANY, (count,))


def leaves(databases: Databases) -> list[tuple[int, int, bytes]]:
    """(index, position, hash) of the log."""
    with transaction(databases.as_role("write", "auditor")) as cursor:
        cursor.execute("SELECT leaf_index, position, hash FROM audit_leaves ORDER BY leaf_index")
        return [(index, position, bytes(digest)) for index, position, digest in cursor.fetchall()]


def index_of(databases: Databases, event_id: UUID) -> int:
    """Which leaf an event is; -1: none."""
    with transaction(databases.as_role("write", "auditor")) as cursor:
        cursor.execute(
            "SELECT leaf_index FROM events INNER JOIN audit_leaves USING (position) WHERE event_id = %s", (event_id,)
        )
        return next((index for (index,) in cursor.fetchall()), -1)


def in_log(databases: Databases, event_id: UUID) -> bool:
    return index_of(databases, event_id) >= 0


def head_of(databases: Databases) -> Head:
    """The log as it would be anchored."""
    with transaction(databases.as_role("write", "audit")) as cursor:
        size = log.end(cursor).size
        return Head(log.log_id(cursor), size, root(size, log.Hashes(cursor)), bytes(32))


def recomputed(databases: Databases) -> Frontier:
    """The log from the events alone, by whoever may read them."""
    frontier = Frontier()
    with transaction(databases.as_role("write", "auditor")) as cursor:
        cursor.execute(STORED)
        frontier.take(check.leaf_hash(leaf.leaf(row)) for row in cursor.fetchall())
    return frontier
