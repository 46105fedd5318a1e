"""A reader of all events never steps over one that commits late, and waits for nobody who does not append."""

from __future__ import annotations

from uuid import UUID

import pytest

from infra.database import Cursor, transaction
from infra.errors import Misconfigured
from streams.event_store import store
from streams.event_store.recorded import RecordedEvent
from tests.integration.write_side import WriteSide, opened


def test_an_event_with_a_lower_position_that_commits_late_is_still_read(side: WriteSide) -> None:
    """A takes the lower position and commits after B: by what is visible alone, a reader would pass A's event by."""
    (a, in_a), (b, in_b) = (side.by_hand("commands") for _ in "ab")
    first, second = opened(), opened()
    with transaction(side.door("projections")) as reader:
        mark = store.read_all(reader, backwards=True, limit=1)
    after = mark[0].position if mark else 0
    store.append(in_a, side.codec, [first])
    store.append(in_b, side.codec, [second])
    b.commit()
    assert _read(side, after) == [], "B's is seen, and held back until A's is"
    a.commit()
    assert _read(side, after) == [first.event_id, second.event_id]
    a.close()
    b.close()


def test_a_position_whose_append_was_rolled_back_holds_up_nobody(side: WriteSide) -> None:
    with transaction(side.door("commands")) as cursor:
        after = store.append(cursor, side.codec, [opened()])[0]
    with transaction(side.door("commands")) as cursor:
        store.append(cursor, side.codec, [opened()])
        cursor.rollback()
    last = opened()
    with transaction(side.door("commands")) as cursor:
        store.append(cursor, side.codec, [last])
    assert _read(side, after) == [last.event_id]


def test_a_long_transaction_that_appends_nothing_holds_up_no_reader(side: WriteSide) -> None:
    """It is older than the append and writes: by transaction ids alone every reader would wait for its end."""
    foreign = side.door("owner").raw_connection()
    foreign.cursor().execute("CREATE TEMP TABLE report AS SELECT pg_current_xact_id()")
    with transaction(side.door("commands")) as cursor:
        event = opened()
        (position,) = store.append(cursor, side.codec, [event])
    assert _read(side, position - 1) == [event.event_id]
    foreign.rollback()
    foreign.close()


def test_in_one_snapshot_that_is_older_than_the_answer_nothing_is_read(side: WriteSide) -> None:
    with pytest.raises(Misconfigured, match="repeatable read"), transaction(side.door("projections")) as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        store.read_all(cursor)


def _read(side: WriteSide, after: int) -> list[UUID]:
    with transaction(side.door("projections")) as cursor:
        return [event.event_id for event in _all(cursor, after)]


def _all(cursor: Cursor, after: int) -> list[RecordedEvent]:
    return store.read_all(cursor, after=after, limit=100_000)


def test_only_what_is_asked_for_is_read(side: WriteSide) -> None:
    account_id, _ = side.account()
    with transaction(side.door("projections")) as cursor:
        (first,) = store.read_stream(cursor, account_id)
        position = first.position
        assert [e.event_id for e in store.read_all(cursor, after=position, inclusive=True, limit=1)] == [first.event_id]
        assert store.read_all(cursor, after=position, up_to=position) == []
        assert {e.type for e in store.read_all(cursor, types=["AccountRegistered"])} == {"AccountRegistered"}
        assert store.read_all(cursor, types=[]) == []
        assert {e.category for e in store.read_all(cursor, categories=["account"], limit=None)} == {"account"}
        newest = [e.position for e in store.read_all(cursor, backwards=True, limit=3)]
        assert newest == sorted(newest, reverse=True)
        assert store.read_all(cursor, up_to=position, backwards=True, limit=1)[0].event_id == first.event_id
        assert store.read_all(cursor, after=position - 1, up_to=position)[-1].event_id == first.event_id
