"""The audit log on a real PostgreSQL: in order whatever commits late, whole after every crash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psycopg2.errors
import pytest

from infra.database import transaction
from infra.errors import Retry
from infra.stack import access
from streams.audit_log.filler import Filler
from streams.audit_log.log import LogBroken
from streams.audit_log.merkle import EMPTY, root
from streams.event_store import store
from tests.integration.audit_side import MANY, add, begun, head_of, in_log, index_of, leaves, recomputed
from tests.integration.conftest import Databases
from tests.integration.write_side import WriteSide, opened

BEGIN_TO_APPEND = "SELECT pg_advisory_xact_lock_shared(append_lock(newest_position()))"


@pytest.fixture
def filler(databases: Databases) -> Iterator[Filler]:
    """On a log that has begun."""
    made = begun(databases)
    yield made
    made.write.dispose()
    made.read.dispose()


def test_an_empty_log_has_the_root_of_nothing() -> None:
    assert root(0, lambda level, index: b"") == EMPTY


def test_the_log_is_what_anyone_makes_from_the_events(databases: Databases, filler: Filler) -> None:
    add(databases, 1500)
    assert filler.catch_up(10).size == len(leaves(databases))
    head, made = head_of(databases), recomputed(databases)
    assert (head.size, head.root) == (made.size, made.root)
    indexes = [index for index, _, _ in leaves(databases)]
    assert indexes == list(range(len(indexes)))


def test_the_witness_on_the_other_server_has_the_same_leaves(databases: Databases, filler: Filler) -> None:
    add(databases, 700)
    filler.catch_up(10)
    with transaction(databases.as_role("read", "auditor")) as cursor:
        cursor.execute("SELECT leaf_index, position, hash FROM audit_witness ORDER BY leaf_index")
        witnessed = [(index, position, bytes(digest)) for index, position, digest in cursor.fetchall()]
    assert witnessed == leaves(databases)


def test_an_event_with_a_lower_position_that_commits_late_comes_first(databases: Databases, filler: Filler) -> None:
    """A draws its position before B and commits after it: until A ends, the log takes neither."""
    side = WriteSide(databases)
    (a, in_a), (b, in_b) = (side.by_hand("commands") for _ in "ab")
    late, early = opened(), opened()
    store.append(in_a, side.codec, [late])
    store.append(in_b, side.codec, [early])
    b.commit()
    assert not filler.step() and not in_log(databases, early.event_id)
    with pytest.raises(Retry, match="role commands"):
        filler.catch_up(0.3)
    a.commit()
    filler.catch_up(10)
    a.close()
    b.close()
    assert index_of(databases, late.event_id) + 1 == index_of(databases, early.event_id)
    positions = [position for _, position, _ in leaves(databases)]
    assert positions == sorted(positions)
    assert recomputed(databases).root == head_of(databases).root


def test_whoever_has_begun_to_append_and_has_no_position_yet_is_waited_for(
    databases: Databases, filler: Filler
) -> None:
    """A holds the lock of those who append; B appends and commits meanwhile. What A will draw may be anything above the head it saw."""
    side = WriteSide(databases)
    a, in_a = side.by_hand("owner")
    in_a.execute(BEGIN_TO_APPEND)
    early, late = opened(), opened()
    with transaction(side.door("commands")) as in_b:
        store.append(in_b, side.codec, [early])
    assert not filler.step() and not in_log(databases, early.event_id)
    store.append(in_a, side.codec, [late])
    a.commit()
    a.close()
    filler.catch_up(10)
    assert index_of(databases, early.event_id) + 1 == index_of(databases, late.event_id)
    assert recomputed(databases).root == head_of(databases).root


def test_a_long_transaction_that_appends_nothing_does_not_hold_up_the_log(databases: Databases, filler: Filler) -> None:
    """It is older than the append and writes."""
    side = WriteSide(databases)
    foreign = side.door("owner").raw_connection()
    foreign.cursor().execute("CREATE TEMP TABLE report AS SELECT pg_current_xact_id()")
    event = opened()
    with transaction(side.door("commands")) as cursor:
        store.append(cursor, side.codec, [event])
    assert filler.step() and in_log(databases, event.event_id)
    foreign.rollback()
    foreign.close()


def test_what_no_append_explains_is_not_waited_for_in_vain(databases: Databases, filler: Filler) -> None:
    """Who owns the tables stores an event beyond the head of the sequence: the log says that it does not come to it, and goes on below."""
    with transaction(databases.as_role("write", "owner")) as cursor:
        cursor.execute(MANY, (1,))
        cursor.execute(
            "UPDATE events SET position = position + 1000 WHERE position = (SELECT max(position) FROM events)"
        )
    with pytest.raises(Retry, match="nobody appends below it"):
        filler.catch_up(0.3)
    with transaction(databases.as_role("write", "owner")) as cursor:
        cursor.execute("DELETE FROM events WHERE position = (SELECT max(position) FROM events)")
    add(databases, 1)
    filler.catch_up(10)
    assert recomputed(databases).root == head_of(databases).root


def test_the_positions_of_rolled_back_transactions_are_gaps_and_the_log_has_none(
    databases: Databases, filler: Filler
) -> None:
    side = WriteSide(databases)
    rolled_back, cursor = side.by_hand("commands")
    store.append(cursor, side.codec, [opened()])
    rolled_back.rollback()
    rolled_back.close()
    add(databases, 1)
    filler.catch_up(10)
    (before, first, _), (after, second, _) = leaves(databases)[-2:]
    assert (after - before, second - first) == (1, 2)


def test_positions_are_handed_out_one_by_one(databases: Databases) -> None:
    """What the store's horizon stands on, and with it the log: one sequence that only grows, without a stock of numbers a session."""
    with transaction(databases.as_role("write", "owner")) as cursor:
        cursor.execute(
            "SELECT seqcache, seqcycle, seqincrement FROM pg_sequence WHERE seqrelid = 'event_positions'::regclass"
        )
        assert cursor.fetchall() == [(1, False, 1)]


FILL = """
import sys
from infra.database import engine
from infra.failpoints import arm
from streams.audit_log.filler import Filler
write, read, place = sys.argv[1:]
arm(place)
Filler(engine(write), engine(read), batch=100).catch_up(10)
"""


POINTS = ("audit.before_fill_commit:2", "audit.after_fill_commit:2", "audit.before_witness_commit:2")


@pytest.mark.parametrize("place", POINTS)
def test_a_filler_that_dies_anywhere_leaves_a_log_that_goes_on(
    databases: Databases, filler: Filler, place: str
) -> None:
    add(databases, 600)
    urls = [access.database_url(databases.stack.home, server, "audit") for server in ("write", "read")]
    died = subprocess.run([sys.executable, "-c", FILL, *urls, place], check=False, env=dict(os.environ))
    assert died.returncode == -signal.SIGKILL
    assert filler.catch_up(10).size == recomputed(databases).size
    assert recomputed(databases).root == head_of(databases).root


def test_two_fillers_at_once_make_one_log(databases: Databases, filler: Filler) -> None:
    add(databases, 900)
    urls = [access.database_url(databases.stack.home, server, "audit") for server in ("write", "read")]
    running = [subprocess.Popen([sys.executable, "-c", FILL, *urls, ""]) for _ in range(2)]
    assert [each.wait(120) for each in running] == [0, 0]
    assert recomputed(databases).root == head_of(databases).root


def test_the_witness_takes_what_the_connector_has_announced(databases: Databases, filler: Filler) -> None:
    """Of an event that is on no topic nobody may say later that it was there: it could not come back."""
    with databases.stack.postgres("write").superuser() as cursor:
        cursor.execute("SELECT pg_create_logical_replication_slot('slow', 'pgoutput')")
        try:
            add(databases, 5)
            with pytest.raises(Retry, match="the connector has not announced"):
                filler.catch_up(0.5)
            assert len(leaves(databases)) == witnessed(databases) + 5
            cursor.execute("SELECT pg_replication_slot_advance('slow', pg_current_wal_insert_lsn())")
            filler.catch_up(10)
            assert len(leaves(databases)) == witnessed(databases)
        finally:
            cursor.execute("SELECT pg_drop_replication_slot('slow')")


def witnessed(databases: Databases) -> int:
    with transaction(databases.as_role("read", "auditor")) as cursor:
        cursor.execute("SELECT count(*) FROM audit_witness")
        ((count,),) = cursor.fetchall()
        return int(count)


def test_a_w_that_was_put_back_takes_again_what_it_had_taken_and_nothing_else(
    databases: Databases, filler: Filler
) -> None:
    add(databases, 40)
    before = filler.catch_up(10), head_of(databases).root
    size, position = before[0].size - 30, before[0].position - 30
    with databases.stack.postgres("write").superuser() as cursor:
        cursor.execute("CREATE TABLE lost AS SELECT * FROM events WHERE position > %s", (position,))
        cursor.execute("DELETE FROM events WHERE position > %s", (position,))
        cursor.execute("DELETE FROM audit_leaves WHERE position > %s", (position,))
        cursor.execute("DELETE FROM audit_nodes WHERE (node_index + 1) << level > %s", (size,))
        cursor.execute("INSERT INTO events SELECT * FROM lost WHERE position > %s", (position + 10,))
    with pytest.raises(LogBroken, match=r"put back to an earlier point and lacks events. `payriver recover`"):
        filler.step()
    with databases.stack.postgres("write").superuser() as cursor:
        cursor.execute("INSERT INTO events SELECT * FROM lost WHERE position <= %s", (position + 10,))
        cursor.execute("DROP TABLE lost")
    assert (filler.catch_up(10), head_of(databases).root) == before


def test_the_log_is_written_once_and_by_one_role(databases: Databases, filler: Filler) -> None:
    for table in ("audit_log", "audit_leaves", "audit_nodes", "audit_anchors"):
        for statement in (f"UPDATE {table} SET {columns_of(databases, table)[0]} = NULL", f"DELETE FROM {table}"):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege), transaction(filler.write) as cursor:
                cursor.execute(statement)
    with pytest.raises(psycopg2.errors.InsufficientPrivilege), transaction(filler.read) as cursor:
        cursor.execute("UPDATE audit_witness SET hash = hash")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege), transaction(filler.write) as cursor:
        cursor.execute("UPDATE audit_transactions SET signed = signed")


def columns_of(databases: Databases, table: str) -> list[str]:
    with transaction(databases.as_role("write", "auditor")) as cursor:
        cursor.execute(f"SELECT * FROM {table} LIMIT 0")
        return [column.name for column in cursor.description or ()]
