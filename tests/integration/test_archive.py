"""Closed payments move to cold partitions and are read as before; slices are opened in time, and nothing is refused when they were not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg2
import pytest

from api.cli.archive import moment_that_is_over
from infra.database import transaction
from infra.errors import BadInput, Retry
from infra.stack.supervisor import Stack
from schemas.messages.payment_events import PaymentExpired
from streams.audit_log import log, proofs
from streams.event_store import recorder, slices, store
from streams.event_store.recorded import RecordedEvent, new_event
from tests.integration.audit_side import head_of, recomputed
from tests.integration.conftest import Databases, migrated
from tests.integration.test_event_store import asked
from tests.integration.write_side import WriteSide, cause, opened

LATER = timedelta(minutes=1)


@pytest.fixture(scope="module")
def databases() -> Iterator[Databases]:
    """W of its own: partitions come and go here."""
    with Stack(servers=("write",), components=()) as running:
        yield migrated(running, ("write",))


@pytest.fixture
def declined(side: WriteSide) -> UUID:
    """A payment that asked for more than there is, and its end."""
    account_id, card = side.account(cents=100)
    order = asked(account_id, card, 900)
    side.do(order)
    side.settle(order.payment_id)
    assert side.rows("SELECT ended_at IS NOT NULL FROM sagas WHERE saga_id = %s", order.payment_id) == [(True,)]
    return order.payment_id


def move(side: WriteSide, before: datetime | None = None) -> tuple[int, int]:
    told = list(slices.archive(side.door("operator"), before or datetime.now(UTC) + LATER, at_once=3))
    return sum(streams for streams, _ in told), sum(events for _, events in told)


def where(side: WriteSide, stream_id: UUID) -> list[str]:
    rows = side.rows("SELECT tableoid::regclass::text FROM events WHERE stream_id = %s ORDER BY version", stream_id)
    return [row[0] for row in rows]


def read(side: WriteSide, stream_id: UUID) -> list[RecordedEvent]:
    with transaction(side.door("commands")) as cursor:
        found = store.read_stream(cursor, stream_id)
        assert found == store.read_streams(cursor, {stream_id: 0})
        assert found == [e for e in store.read_all(cursor, limit=None) if e.stream_id == stream_id]
    return found


def test_a_closed_payment_moves_whole_and_is_read_as_before(side: WriteSide, declined: UUID) -> None:
    before, state = read(side, declined), side.state(declined)
    assert move(side)[0] >= 1
    assert where(side, declined) == ["events_0_cold"] * len(before)
    assert read(side, declined) == before
    assert side.state(declined) == state
    assert move(side) == (0, 0), "there is nothing left to move"


def test_what_is_not_over_stays(side: WriteSide, declined: UUID) -> None:
    account_id, card = side.account()
    order = asked(account_id, card)
    side.do(order)
    assert move(side, datetime.now(UTC) - timedelta(days=1)) == (0, 0), "it ended after that day"
    move(side)
    assert where(side, order.payment_id) == ["events_0_hot"], "its saga goes on"
    assert where(side, account_id) == ["events_0_hot"], "an account is never closed"


def test_what_comes_later_is_appended_as_ever_and_moves_in_its_turn(side: WriteSide, declined: UUID) -> None:
    move(side)
    before = read(side, declined)
    late = new_event(
        UUID(int=declined.int ^ 1),
        len(before) + 1,
        PaymentExpired(payment_id=declined, amount_minor=900, currency="EUR"),
        cause(declined).metadata("x"),
    )
    with transaction(side.door("commands")) as cursor:
        store.append(cursor, side.codec, [late])
    assert where(side, declined) == ["events_0_cold"] * len(before) + ["events_0_hot"]
    assert [event.event_id for event in read(side, declined)] == [*(event.event_id for event in before), late.event_id]
    with transaction(side.door("owner")) as cursor:
        cursor.execute("UPDATE sagas SET handled = handled + 1 WHERE saga_id = %s", (declined,))
    assert move(side) == (1, 1)
    assert set(where(side, declined)) == {"events_0_cold"}


def test_a_payment_that_somebody_appends_to_is_left_for_later(side: WriteSide, declined: UUID) -> None:
    busy = side.lock(declined)
    move(side)
    assert set(where(side, declined)) == {"events_0_hot"}
    busy.rollback()
    busy.close()
    assert move(side)[0] == 1


@pytest.mark.parametrize("role", ["commands", "gateway", "auditor"])
def test_nobody_but_the_operator_archives(side: WriteSide, role: str) -> None:
    for call in ("archive_streams(now(), 1)", "open_cold()", "closed_streams(now())"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege), transaction(side.door(role)) as cursor:
            cursor.execute(f"SELECT {call}")


def test_what_is_archived_keeps_its_leaf_in_the_audit_log_and_is_proved_as_before(
    side: WriteSide, declined: UUID
) -> None:
    with transaction(side.door("audit")) as cursor:
        settled = recorder.horizon(cursor)
        while log.append(cursor, settled, 1000):
            pass
    head, place = head_of(side.databases), read(side, declined)[0].position
    with transaction(side.door("auditor")) as cursor:
        proof = proofs.prove(cursor, place, head)
    assert move(side)[0] >= 1
    assert {each.rsplit("_", 1)[1] for each in where(side, declined)} == {"cold"}
    assert recomputed(side.databases).root == head.root
    with transaction(side.door("auditor")) as cursor:
        assert proofs.prove(cursor, place, head) == proof


def test_a_long_reader_keeps_a_partition_from_being_opened_and_the_command_says_so(side: WriteSide) -> None:
    with transaction(side.door("owner")) as cursor:
        cursor.execute("DROP TABLE IF EXISTS events_1_cold")
    reader: Any = side.door("auditor").raw_connection()
    reader.cursor().execute("SELECT count(*) FROM events")
    with pytest.raises(Retry, match="reads all tables"):
        move(side)
    reader.rollback()
    reader.close()


@contextmanager
def beyond_the_last_slice(side: WriteSide) -> Iterator[None]:
    """What is appended within has positions from 70,000,001 on; afterwards nothing of it is left."""
    with side.databases.stack.postgres("write").superuser() as cursor:
        cursor.execute("SELECT last_value FROM event_positions")
        (position,) = cursor.fetchall()[0]
        cursor.execute("SELECT setval('event_positions', 70000000)")
    try:
        yield
    finally:
        with side.databases.stack.postgres("write").superuser() as cursor:
            cursor.execute("DELETE FROM events WHERE position > 60000000")
            cursor.execute("DELETE FROM streams WHERE first_position > 60000000")
            cursor.execute("DROP TABLE IF EXISTS events_4, events_3, events_2")
            cursor.execute("SELECT setval('event_positions', %s)", (position,))


def test_rows_beyond_the_last_slice_are_taken_and_found_when_the_slice_is_opened(side: WriteSide) -> None:
    with beyond_the_last_slice(side):
        event = opened()
        with transaction(side.door("commands")) as cursor:
            assert store.append(cursor, side.codec, [event]) == [70000001]
        assert where(side, event.stream_id) == ["events_beyond"]
        assert slices.open_slices(side.door("owner")) == 3
        assert where(side, event.stream_id) == ["events_3_hot"]
        assert [each.event_id for each in read(side, event.stream_id)] == [event.event_id]
        assert slices.open_slices(side.door("owner")) == 0


def test_rows_beyond_the_last_slice_that_were_archived_meanwhile_keep_no_slice_from_being_opened(
    side: WriteSide, declined: UUID
) -> None:
    with beyond_the_last_slice(side):
        account_id, card = side.account(cents=100)
        order = asked(account_id, card, 900)
        side.do(order)
        side.settle(order.payment_id)
        before = read(side, order.payment_id)
        move(side)
        assert slices.open_slices(side.door("owner")) == 3
        assert where(side, order.payment_id) == ["events_3_cold"] * len(before)
        assert where(side, account_id) == ["events_3_hot"] * len(where(side, account_id))
        assert read(side, order.payment_id) == before


@pytest.mark.parametrize("told", ["yesterday", "2026-13-01", "9999-01-01"])
def test_a_day_that_is_none_or_has_not_come_is_refused(told: str) -> None:
    with pytest.raises(BadInput, match=told[:4]):
        moment_that_is_over(told)
