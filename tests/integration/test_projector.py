"""The read side on real PostgreSQL: each event once, in whatever runs it comes, and no gap is ever applied over."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from psycopg2 import errors
from sqlalchemy import Engine

from infra.database import transaction
from infra.errors import BadInput, NotFound, Retry, Undecodable
from streams import set_aside
from streams.delivered import Delivered
from streams.event_store import store
from streams.event_store.recorded import new_event
from streams.projections.projector import Projector
from streams.runtime import checkpoint
from streams.runtime.consumer import process
from streams.runtime.records import Place, Record, Run
from tests.happenings import CENT
from tests.integration.conftest import Databases
from tests.integration.read_side import METADATA, a_world, assert_is_the_fold_of, read_models, records_of, rows
from tests.worlds import steps


@pytest.fixture(scope="module")
def read(databases: Databases) -> Engine:
    return databases.as_role("read", "projections")


@pytest.fixture(scope="module")
def projector(databases: Databases) -> Projector:
    return Projector(databases.codec, databases.as_role("write", "projections"))


def store_events(databases: Databases, events: Sequence[Delivered]) -> None:
    with transaction(databases.as_role("write", "commands")) as cursor:
        for event in events:
            store.append(cursor, databases.codec, [new_event(event.event_id, event.version, event.message, METADATA)])


def project(read: Engine, projector: Projector, records: Sequence[Record]) -> None:
    with transaction(read) as cursor:
        projector.apply(cursor, records)


def test_a_swipe_ends_settled_and_booked(databases: Databases, read: Engine, projector: Projector) -> None:
    world = a_world()
    project(read, projector, records_of(databases, world.events))
    assert_is_the_fold_of(read, world)
    [(state, spend, outcome, amount)] = rows(
        read, "SELECT state, spend_state, outcome, amount_raw FROM payments WHERE payment_id = %s", world.payments[0]
    )
    assert (state, spend, outcome, int(amount)) == ("authorized", "settled", "settled", 500 * CENT)


@given(taken=steps)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_in_whatever_runs_the_events_come_the_rows_are_the_same(
    databases: Databases, read: Engine, projector: Projector, taken: list[tuple[str, int, int]]
) -> None:
    world = a_world(taken)
    records, chance = records_of(databases, world.events), random.Random(len(taken))
    while records:
        size = chance.randint(1, 8)
        run, records = records[:size], records[size:]
        project(read, projector, run)
    assert_is_the_fold_of(read, world)


def test_delivered_again_from_the_beginning_nothing_changes(
    databases: Databases, read: Engine, projector: Projector
) -> None:
    world = a_world()
    records = records_of(databases, world.events)
    project(read, projector, records)
    before = read_models(read, world)
    change = rows(read, "SELECT change, changed_in FROM payments WHERE payment_id = %s", world.payments[0])
    for start in (0, 3, 0):
        project(read, projector, records[start:])
    assert read_models(read, world) == before
    assert rows(read, "SELECT change, changed_in FROM payments WHERE payment_id = %s", world.payments[0]) == change


def test_a_jump_is_filled_from_the_event_store(databases: Databases, read: Engine, projector: Projector) -> None:
    world = a_world()
    store_events(databases, world.events)
    payment = world.of_stream(world.payments[0])
    records = records_of(databases, [*world.of_stream(world.customer), payment[2], payment[-1]])
    project(read, projector, records)
    project(read, projector, records_of(databases, world.of_stream(world.settlement)))
    assert [row["version"] for (row,) in read_models(read, world)["payments"]] == [len(payment)]
    unplaced = "SELECT version FROM deliveries WHERE stream_id = %s AND topic IS NULL ORDER BY version"
    missed = [(event.version,) for event in payment if event not in (payment[2], payment[-1])]
    assert rows(read, unplaced, world.payments[0]) == missed

    project(read, projector, records_of(databases, payment))  # the records come after all: each gets its place, no more
    assert rows(read, unplaced, world.payments[0]) == []
    assert [row["version"] for (row,) in read_models(read, world)["payments"]] == [len(payment)]


def test_a_jump_that_the_event_store_does_not_show_is_not_applied_over_and_not_waited_for_for_ever(
    databases: Databases, read: Engine, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A forged version is parked as any other poison; it stopped its partition."""
    monkeypatch.setattr("streams.projections.gaps.VISIBLE_SECONDS", 0.1)
    world = a_world()
    records = records_of(databases, world.of_stream(world.payments[0]))
    with pytest.raises(NotFound, match="known to version 0, version 3 came"):
        project(read, projector, records[2:])
    assert read_models(read, world)["payments"] == []
    project(read, projector, records)
    assert len(read_models(read, world)["payments"]) == 1


def test_two_writers_of_one_new_stream_make_its_rows_once(
    databases: Databases, read: Engine, projector: Projector
) -> None:
    world = a_world()
    records, outcomes, together = records_of(databases, world.events), [], threading.Barrier(4)

    def write() -> None:
        together.wait()
        try:
            project(read, projector, records)
            outcomes.append("written")
        except (Retry, errors.UniqueViolation, errors.DeadlockDetected, errors.SerializationFailure) as error:
            outcomes.append(type(error).__name__)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(outcomes) <= {"written", "Retry"} and "written" in outcomes
    assert_is_the_fold_of(read, world)


def test_the_live_page_is_told_once_a_run_and_only_of_payments(
    databases: Databases, read: Engine, projector: Projector
) -> None:
    world = a_world()
    listener = read.raw_connection()
    cursor = listener.cursor()
    cursor.execute("LISTEN payments_changed")
    listener.commit()
    project(read, projector, records_of(databases, world.of_stream(world.customer)))
    project(read, projector, records_of(databases, world.of_stream(world.payments[0])))
    project(read, projector, records_of(databases, world.of_stream(world.payments[0])))
    cursor.execute("SELECT 1")
    connection: Any = listener.driver_connection
    connection.poll()
    assert [notice.payload for notice in connection.notifies] == ["1"]
    listener.close()


@pytest.mark.parametrize("value", [b"", b"\x00\x00\x00\xff\xffbroken", b"{}"])
def test_poison_is_parked_and_all_other_keys_go_on(
    databases: Databases, read: Engine, projector: Projector, value: bytes
) -> None:
    world, place = a_world(), Place("cluster", uuid4().hex, "payments.events", 0)
    good = records_of(databases, world.events)
    key = uuid4().hex.encode()
    poison = Record("payments.events", 0, 0, key, value, {"ce_id": str(uuid4())}, 0)
    records = [Record(r.topic, 0, n, r.key, r.value, r.headers, 0) for n, r in enumerate([poison, *good])]
    with transaction(databases.as_role("read", "operator")) as cursor:
        checkpoint.provision(cursor, "projections", [place])
    assert process(read, "projections", projector, Run(place, 0, len(records), tuple(records)))
    parked = rows(read, "SELECT key, state, reason FROM parked_messages WHERE topic_id = %s", place.topic_id)
    assert parked == [(key.decode(), "parked", "undecodable")]
    assert_is_the_fold_of(read, world)


def test_what_was_put_aside_is_left_out_and_what_w_has_in_its_stead_is_taken(
    databases: Databases, read: Engine, projector: Projector
) -> None:
    """A W that went on may have decided the same command again: the same id, at another position."""
    world = a_world()
    lost = [replace(event, position=event.position + 10**9) for event in world.events]
    with transaction(databases.as_role("read", "owner")) as cursor:
        aside = [(event.event_id, event.version, event.position) for event in lost]
        cursor.postpone_values(set_aside.KNOW, aside)
    project(read, projector, records_of(databases, lost))
    assert all(found == [] for found in read_models(read, world).values())
    project(read, projector, records_of(databases, world.events))
    assert_is_the_fold_of(read, world)


def test_a_forged_event_in_a_known_place_is_refused(databases: Databases, read: Engine, projector: Projector) -> None:
    world = a_world()
    records = records_of(databases, world.events)
    project(read, projector, records)
    forged = replace(records[0], headers={**records[0].headers, "ce_id": str(uuid4())})
    with pytest.raises(errors.UniqueViolation):
        project(read, projector, [forged])


def test_a_hold_released_twice_is_refused_by_the_ledger_itself(
    databases: Databases, read: Engine, projector: Projector
) -> None:
    world = a_world([("request", 0, 500), ("hold", 0, 0), ("decline", 0, 0)])
    project(read, projector, records_of(databases, world.events))
    released = world.of_stream(world.customer)[-1]
    again = Delivered(
        uuid4(), released.stream_id, released.version + 1, 99, released.message, released.recorded_at, {}, None
    )
    with pytest.raises(errors.CheckViolation):
        project(read, projector, records_of(databases, [again]))


def test_an_event_of_an_account_that_nobody_registered_is_refused(
    databases: Databases, read: Engine, projector: Projector
) -> None:
    world = a_world([("freeze", 0, 0)])
    frozen = world.of_stream(world.customer)[-1]
    first = Delivered(uuid4(), frozen.stream_id, 1, 1, frozen.message, frozen.recorded_at, {}, None)
    with pytest.raises(BadInput, match="AccountRegistered"):
        project(read, projector, records_of(databases, [first]))


def test_a_record_without_our_headers_is_refused(databases: Databases, read: Engine, projector: Projector) -> None:
    record = records_of(databases, a_world().events)[0]
    with pytest.raises(Undecodable, match="ce_id"):
        project(read, projector, [Record(record.topic, 0, 0, record.key, record.value, {}, 0)])
