"""Append: exact, to a new stream, or to any; all or nothing over several streams; the same again is told the first result."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import psycopg2
import pytest

from api.cli.store_state import store_state, warnings
from infra.database import transaction
from infra.errors import Deadlocked, EventIdReused, VersionConflict
from schemas.messages.account_events import CardFrozen
from streams.event_store import store
from streams.event_store.recorded import NewEvent, new_event
from streams.event_store.store import Draft
from streams.event_store.subscription import appending
from tests.integration.write_side import WriteSide, cause, opened


def append(side: WriteSide, *events: NewEvent) -> list[int]:
    with transaction(side.door("commands")) as cursor:
        return store.append(cursor, side.codec, events)


def append_any(side: WriteSide, *drafts: Draft) -> list[int]:
    with transaction(side.door("commands")) as cursor:
        return store.append_any(cursor, side.codec, drafts)


def frozen(stream_id: UUID, version: int, reason: str = "lost") -> NewEvent:
    event_id = uuid4()
    return new_event(
        event_id,
        version,
        CardFrozen(account_id=stream_id, card_token="card", reason=reason),
        cause(event_id).metadata("x"),
    )


def draft(stream_id: UUID, reason: str = "lost") -> Draft:
    event_id = uuid4()
    return Draft(
        event_id, CardFrozen(account_id=stream_id, card_token="card", reason=reason), cause(event_id).metadata("x")
    )


def stored(side: WriteSide, stream_id: UUID) -> list[tuple[UUID, int]]:
    with transaction(side.door("commands")) as cursor:
        return [(event.event_id, event.version) for event in store.read_stream(cursor, stream_id)]


def outbox(side: WriteSide, stream_id: UUID) -> list[UUID]:
    return [row[0] for row in side.rows("SELECT id FROM outbox WHERE key = %s ORDER BY number", str(stream_id))]


def test_a_batch_over_several_streams_is_appended_whole_with_its_outbox_rows(side: WriteSide) -> None:
    first, second = opened(), opened()
    more = frozen(first.stream_id, 2)
    positions = append(side, first, second, more)
    assert positions == sorted(positions)
    with transaction(side.door("commands")) as cursor:
        found = store.read_all(cursor, after=positions[0], inclusive=True, up_to=positions[-1])
    assert [(e.position, e.event_id) for e in found] == list(
        zip(positions, [first.event_id, second.event_id, more.event_id], strict=True)
    )
    assert outbox(side, first.stream_id) == [first.event_id, more.event_id]
    assert outbox(side, second.stream_id) == [second.event_id]


def test_where_one_stream_has_moved_on_nothing_at_all_is_appended(side: WriteSide) -> None:
    known, new = opened(), opened()
    append(side, known)
    late = opened(known.stream_id)
    with pytest.raises(VersionConflict) as refused:
        append(side, new, late)
    assert (refused.value.stream_id, refused.value.expected, refused.value.actual) == (str(known.stream_id), 0, 1)
    assert stored(side, new.stream_id) == []
    assert outbox(side, new.stream_id) == []


@pytest.mark.parametrize(("version", "expected"), [(2, 1), (5, 4)])
def test_a_stream_that_is_not_there_is_a_conflict_with_both_versions(
    side: WriteSide, version: int, expected: int
) -> None:
    with pytest.raises(VersionConflict) as refused:
        append(side, frozen(uuid4(), version))
    assert (refused.value.expected, refused.value.actual) == (expected, 0)


def test_versions_that_do_not_count_on_are_refused(side: WriteSide) -> None:
    first = opened()
    for version in (1, 3):
        with pytest.raises(VersionConflict):
            append(side, first, frozen(first.stream_id, version))
    assert stored(side, first.stream_id) == []


def test_the_same_append_again_is_told_the_first_positions_and_adds_nothing(side: WriteSide) -> None:
    first, second = opened(), opened()
    batch = [first, second, frozen(first.stream_id, 2)]
    positions = append(side, *batch)
    append(side, frozen(first.stream_id, 3))
    assert append(side, *batch) == positions
    assert len(stored(side, first.stream_id)) == 3
    assert len(outbox(side, second.stream_id)) == 1


def test_the_same_append_twice_at_once_is_one(side: WriteSide) -> None:
    batch = [opened(), opened()]
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda _: append(side, *batch), range(8)))
    assert len({tuple(each) for each in told}) == 1
    assert stored(side, batch[0].stream_id) == [(batch[0].event_id, 1)]


@pytest.mark.parametrize("elsewhere", [False, True])
def test_the_same_id_with_other_content_is_refused_by_name(side: WriteSide, elsewhere: bool) -> None:
    first = opened()
    append(side, first)
    other = opened(None if elsewhere else first.stream_id, event_id=first.event_id, card_token="another")
    with pytest.raises(EventIdReused, match=str(first.event_id)):
        append(side, other)
    assert stored(side, first.stream_id) == [(first.event_id, 1)]
    if elsewhere:
        assert stored(side, other.stream_id) == []


def test_an_id_of_an_older_slice_is_refused_as_well(side: WriteSide) -> None:
    """No index spans the slices; an append without a command, which would vouch for its ids, looks into all of them."""
    first = opened()
    append(side, first)
    position = side.rows("SELECT last_value FROM event_positions")[0][0]
    with side.databases.stack.postgres("write").superuser() as cursor:
        cursor.execute("SELECT setval('event_positions', 20000005)")
    try:
        far = opened()
        assert append(side, far) == [20000006]
        with pytest.raises(EventIdReused):
            append(side, opened(event_id=first.event_id))
        assert stored(side, far.stream_id) == [(far.event_id, 1)]
        assert [
            row[0] for row in side.rows("SELECT tableoid::regclass::text FROM events WHERE event_id = %s", far.event_id)
        ] == ["events_1_hot"]
    finally:
        with side.databases.stack.postgres("write").superuser() as cursor:
            cursor.execute("DELETE FROM events WHERE position > 20000000")
            cursor.execute("DELETE FROM streams WHERE first_position > 20000000")
            cursor.execute("SELECT setval('event_positions', %s)", (position,))


def test_what_is_true_at_any_version_is_appended_whatever_the_stream_says(side: WriteSide) -> None:
    first, new = opened(), uuid4()
    append(side, first)
    many = [draft(first.stream_id), draft(new), draft(first.stream_id)]
    positions = append_any(side, *many)
    assert stored(side, first.stream_id)[1:] == [(many[0].event_id, 2), (many[2].event_id, 3)]
    assert stored(side, new) == [(many[1].event_id, 1)]
    assert append_any(side, *many) == positions
    with pytest.raises(EventIdReused):
        append_any(side, replace(many[0], metadata={}))
    with pytest.raises(EventIdReused, match="without"):
        append_any(side, many[0], draft(new))


def test_two_that_make_one_stream_at_any_version_both_find_their_place(side: WriteSide) -> None:
    stream_id = uuid4()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: append_any(side, draft(stream_id)), range(16)))
    assert [version for _, version in stored(side, stream_id)] == list(range(1, 17))


@pytest.mark.parametrize("at_any_version", [False, True], ids=["exact", "any"])
def test_of_rivals_that_make_one_stream_and_hold_others_one_gives_way(side: WriteSide, at_any_version: bool) -> None:
    """An exact append is told so by name, one at any version goes again. The server ends whoever began to wait before the circle closed."""
    first, held, last = sorted(uuid4() for _ in range(3))
    all_three = [draft(each) for each in (first, held, last)]

    def waiting(rivals: int, seconds: float) -> None:
        until = time.monotonic() + 10
        asked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'transactionid' AND clock_timestamp() > query_start + %s * interval '1s'"
        while side.rows(asked, seconds)[0][0] < rivals:
            assert time.monotonic() < until, "nobody waits"
            time.sleep(0.01)

    third, in_third = side.by_hand("commands")
    with ThreadPoolExecutor(2) as pool, closing(third):
        store.append(in_third, side.codec, [frozen(held, 1)])
        to_any = pool.submit(append_any, side, *all_three)  # makes `first`, waits for `held`
        waiting(1, 0)
        append(side, frozen(last, 1))
        exact = pool.submit(append, side, frozen(first, 1), frozen(last, 2))  # holds `last`, waits for `first`
        waiting(
            2, 1.5 if at_any_version else 0
        )  # longer than deadlock_timeout: this one has looked for a circle and found none
        third.rollback()  # and now the other wants `last`
        to_any.result()
        assert type(exact.exception()) is (type(None) if at_any_version else Deadlocked)
    at = 2 if at_any_version else 1
    assert [dict(stored(side, each))[it.event_id] for each, it in zip((first, held, last), all_three, strict=True)] == [
        at,
        1,
        at + 1,
    ]


# -- reading one stream


def test_a_stream_is_read_forwards_and_backwards_between_two_versions_up_to_a_limit(side: WriteSide) -> None:
    first = opened()
    append(side, first, *(frozen(first.stream_id, version) for version in range(2, 7)))

    def versions(**asked: Any) -> list[int]:
        with transaction(side.door("commands")) as cursor:
            return [event.version for event in store.read_stream(cursor, first.stream_id, **asked)]

    assert versions() == [1, 2, 3, 4, 5, 6]
    assert versions(backwards=True) == [6, 5, 4, 3, 2, 1]
    assert versions(after=2, up_to=4) == [3, 4]
    assert versions(limit=2) == [1, 2]
    assert versions(after=1, up_to=5, backwards=True, limit=2) == [5, 4]
    assert versions(after=6) == []


def test_events_are_found_by_what_they_say(side: WriteSide) -> None:
    mine, other = opened(card_token=f"card-{uuid4()}"), opened()
    append(side, mine, other)
    tags = [f"account:{mine.stream_id}", f"card:{mine.payload['card_token']}"]
    told_by = f"correlation:{mine.metadata['correlation_id']}"
    with transaction(side.door("commands")) as cursor:
        for wanted in ([tags[0]], [tags[1]], [told_by], [*tags, told_by]):
            assert [e.event_id for e in store.read_all(cursor, tags=wanted)] == [mine.event_id]
        assert store.read_all(cursor, tags=[tags[0], f"account:{other.stream_id}"]) == []


# -- who holds up whom


def test_an_append_that_rests_is_ended_by_the_server_and_named_until_then(side: WriteSide) -> None:
    connection, cursor = side.by_hand("commands")
    backend = cursor.connection.get_backend_pid()
    (position,) = store.append(cursor, side.codec, [opened()])
    cursor.execute("SHOW idle_in_transaction_session_timeout")
    assert cursor.fetchone() == ("20s",)
    cursor.execute("SHOW transaction_timeout")
    assert cursor.fetchone() == ("5min",)
    cursor.execute("SET LOCAL idle_in_transaction_session_timeout = '1s'")
    with transaction(side.door("projections")) as looking:
        (blocking,) = appending(looking)
    assert (blocking.role, blocking.state, blocking.pid) == ("commands", "idle in transaction", backend)
    assert blocking.above < position
    assert f"backend {blocking.pid} (role commands" in str(blocking)
    time.sleep(1.5)
    with transaction(side.door("projections")) as looking:
        assert appending(looking) == []
    with pytest.raises(psycopg2.OperationalError):
        cursor.execute("SELECT 1")
    connection.invalidate()


def test_status_names_the_append_that_lasts_and_is_silent_without_one(side: WriteSide) -> None:
    folder = side.databases.stack.home.folder
    assert store_state(folder) == {"long_appends": [], "slices_missing": False}
    assert warnings(store_state(folder)) == []
    slow, cursor = side.by_hand("commands")
    store.append(cursor, side.codec, [opened()])
    time.sleep(1.2)
    told, pid = store_state(folder), cursor.connection.get_backend_pid()
    slow.rollback()
    slow.close()
    assert [(each["role"], each["pid"]) for each in told["long_appends"]] == [("commands", pid)]
    assert warnings(told)[0].startswith(f"all readers wait: backend {pid} (role commands")
