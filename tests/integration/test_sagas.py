"""Sagas on real PostgreSQL: rivals for one saga, timeouts that fire once, events that wait for their turn."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from infra.database import transaction
from infra.errors import NotFound
from infra.stack import access
from streams.domain.circumstances import Policy
from streams.event_store import store
from streams.orders import Order
from streams.sagas import rows
from tests.given import transfer
from tests.integration.conftest import Databases
from tests.integration.write_side import WriteSide, authorization, cause

TIMEOUT_POINTS = ("after_claim", "after_rows", "before_commit", "after_commit")


@pytest.fixture
def side(databases: Databases) -> WriteSide:
    return WriteSide(databases, Policy(patience=timedelta(0), hold_expiry=timedelta(days=7)))


def spent(side: WriteSide) -> UUID:
    """A payment whose spend is planned, and whose patience is over at once."""
    _, card = side.account()
    return side.gateway().authorize(authorization(card, 100)).payment_id


def test_two_workers_at_one_saga_take_each_event_once(side: WriteSide) -> None:
    """The second waits for the row and must see how far the first came, its steps included."""
    payment_id = spent(side)
    side.gateway().messages.reverse(payment_id, "r1", "test")
    with ThreadPoolExecutor(1) as pool:
        with transaction(side.door("sagas")) as cursor:
            locked = rows.lock(cursor, [payment_id])
            second = pool.submit(side.deliver, payment_id)
            time.sleep(0.3)
            side.sagas().advance(cursor, list(locked.values()))
        side.gateway().messages.reverse(payment_id, "r2", "test")
        second.result(10)
    steps = side.rows("SELECT step, input FROM saga_steps WHERE saga_id = %s ORDER BY step", payment_id)
    assert [step for step, _ in steps] == list(range(1, len(steps) + 1))
    assert [name for _, name in steps].count("PaymentReversed") == 1


def test_a_worker_that_waited_while_another_took_a_step_takes_the_next_one(side: WriteSide) -> None:
    payment_id = spent(side)
    with ThreadPoolExecutor(1) as pool:
        with transaction(side.door("sagas")) as cursor:
            locked = rows.lock(cursor, [payment_id])
            side.gateway().messages.reverse(payment_id, "r1", "test")
            second = pool.submit(_sees_and_delivers, side, payment_id)
            time.sleep(0.3)
            side.sagas().advance(cursor, list(locked.values()))
        second.result(10)
    ((steps,),) = side.rows("SELECT count(*) FROM saga_steps WHERE saga_id = %s", payment_id)
    assert side.rows("SELECT steps FROM sagas WHERE saga_id = %s", payment_id) == [(steps,)]


def _sees_and_delivers(side: WriteSide, payment_id: UUID) -> None:
    """Waits for the row, then finds an event that came since."""
    with transaction(side.door("sagas")) as cursor:
        locked = rows.lock(cursor, [payment_id])
        moved = transfer(100, account_id=side.state(payment_id).account_id, payment_id=payment_id)
        leg = next(iter(side.state(payment_id).legs))
        side.do(_seen(moved, leg))
        side.sagas().advance(cursor, list(locked.values()))


def _seen(moved: object, leg: UUID) -> object:
    from dataclasses import replace

    from streams.domain.chain.facts import SeeTransfer, Transfer

    assert isinstance(moved, Transfer)
    return SeeTransfer(replace(moved, leg_id=leg, transfer_id=leg))


def test_timeouts_that_many_workers_race_for_fire_once(side: WriteSide) -> None:
    payments = [spent(side) for _ in range(12)]
    barrier = threading.Barrier(4)

    def worker(_: int) -> None:
        barrier.wait(10)
        while side.fire():
            pass

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(worker, range(4)))
    fired = side.rows(
        "SELECT saga_id, count(*) FROM saga_steps WHERE input = 'patience' AND saga_id = ANY(%s) GROUP BY 1", payments
    )
    assert sorted(fired) == sorted((each, 1) for each in payments)
    assert side.rows("SELECT DISTINCT state FROM sagas WHERE saga_id = ANY(%s)", payments) == [("parked",)]


def test_a_timeout_that_was_started_anew_between_the_look_and_the_lock_is_left_alone(side: WriteSide) -> None:
    payment_id = spent(side)
    with transaction(side.door("sagas")) as cursor:
        cursor.execute(
            "UPDATE saga_timeouts SET due_at = now() + interval '1 hour' WHERE saga_id = %s AND name = 'patience'",
            (payment_id,),
        )
        cursor.execute(rows.FIRED, (payment_id, "patience"))
        assert cursor.rowcount == 0


def test_a_saga_that_is_told_of_an_event_again_stays_as_it_is(side: WriteSide) -> None:
    payment_id = spent(side)
    before = side.rows("SELECT state, handled, steps, data FROM sagas WHERE saga_id = %s", payment_id)
    for _ in range(2):
        side.deliver(payment_id)
    assert side.rows("SELECT state, handled, steps, data FROM sagas WHERE saga_id = %s", payment_id) == before


def test_a_delivery_is_only_a_hint_and_the_store_says_what_happened(side: WriteSide) -> None:
    """One hint of the newest event brings all of them, in order."""
    payment_id = spent(side)
    side.gateway().messages.reverse(payment_id, "r1", "test")
    with transaction(side.door("sagas")) as cursor:
        newest = store.read_stream(cursor, payment_id)[-1]
        side.sagas().deliver(cursor, {payment_id: [(newest.version, newest.event_id)]})
    assert side.rows("SELECT state FROM sagas WHERE saga_id = %s", payment_id) == [("refund_due",)]


def test_an_event_that_is_delivered_before_its_commit_is_seen_is_not_passed_over(side: WriteSide) -> None:
    """W's log tells of a commit, and Kafka of the event, while the backend that commits has not come so far as to show it to others."""
    payment_id = spent(side)
    payment, version = side.state(payment_id), len(side.types(payment_id))
    fact = _seen(transfer(100, account_id=payment.account_id, payment_id=payment_id), next(iter(payment.legs)))
    committing, cursor = side.by_hand("commands")
    command_id = uuid4()
    side.handler().handle(cursor, [Order(command_id, fact, cause(command_id))])
    hint = {payment_id: [(version + 1, uuid4())]}
    with ThreadPoolExecutor(1) as pool:
        taken = pool.submit(_delivers, side, hint)
        time.sleep(0.3)
        assert not taken.done()
        committing.commit()
        committing.close()
        taken.result(10)
    assert side.rows("SELECT handled FROM sagas WHERE saga_id = %s", payment_id) == [(version + 1,)]


def test_an_event_that_the_store_has_not_is_told_by_name(side: WriteSide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.sagas.engine.VISIBLE_SECONDS", 0.1)
    payment_id = spent(side)
    with pytest.raises(NotFound, match=f"payment {payment_id} has no event 99 .* was W restored"):
        _delivers(side, {payment_id: [(99, uuid4())]})


def _delivers(side: WriteSide, hint: dict[UUID, list[tuple[int, UUID]]]) -> None:
    with transaction(side.door("sagas")) as cursor:
        side.sagas().deliver(cursor, hint)


DYING = """
from threading import Event
from infra.database import engine, transaction
from infra.failpoints import arm
from infra.settings import Settings
from schemas.registry import load_codec
from streams.domain.circumstances import Policy
from streams.event_store import store
from streams.sagas.agent import Timeouts
from streams.sagas.engine import Engine
settings = Settings()
database = engine(settings.write_url)
with transaction(database) as cursor:
    codec = load_codec(cursor)
arm(settings.failpoint)
Timeouts(database, Engine(Policy(), "timeout", lambda cursor, orders: store.send(cursor, codec, orders)))(Event())
"""


@pytest.mark.parametrize("point", TIMEOUT_POINTS)
def test_a_worker_that_dies_while_it_fires_a_timeout_leaves_it_fired_once(side: WriteSide, point: str) -> None:
    payment_id = spent(side)
    told = {
        "PAYRIVER_WRITE_URL": access.database_url(side.databases.stack.home, "write", "sagas"),
        "PAYRIVER_FAILPOINT": f"timeout.{point}",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    died = subprocess.run([sys.executable, "-c", DYING], env={**os.environ, **told}, timeout=60, check=False)
    assert died.returncode == -signal.SIGKILL
    while side.fire():
        pass
    fired = side.rows("SELECT state FROM saga_timeouts WHERE saga_id = %s AND name = 'patience'", payment_id)
    steps = side.rows("SELECT to_state FROM saga_steps WHERE saga_id = %s AND input = 'patience'", payment_id)
    assert (fired, steps) == ([("fired",)], [("parked",)])
