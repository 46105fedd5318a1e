"""What must be over in time is: whoever rests between append and commit, or has waited for a connection, gets no more than was left."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import TimeoutError as NoConnection

from connectors.gateway.bounds import bounded
from connectors.gateway.gateway import Gateway
from infra.database import engine, transaction
from infra.errors import TooLate
from infra.stack import access
from schemas.messages.account_commands import FreezeCard
from streams.orders import Order
from tests.integration.write_side import WriteSide, authorization, cause


@pytest.fixture
def narrow(side: WriteSide) -> Iterator[Engine]:
    """Two connections."""
    made = engine(access.database_url(side.databases.stack.home, "write", "gateway"), pool_size=1)
    yield made
    made.dispose()


def take_all(pool: Engine, seconds: float) -> None:
    """Others have both connections, for so long."""
    taken: list[Any] = [pool.raw_connection() for _ in range(2)]
    threading.Timer(seconds, lambda: [each.close() for each in taken]).start()


def test_who_is_frozen_between_append_and_commit_holds_nobody_up_for_longer_and_commits_nothing(
    side: WriteSide,
) -> None:
    account_id, _ = side.account()
    before, command_id = side.types(account_id), uuid4()
    freeze = Order(command_id, FreezeCard(account_id=account_id, reason="holder"), cause(command_id))
    began = time.monotonic()
    with pytest.raises(TooLate), bounded(side.door("gateway"), began + 0.7) as cursor:
        side.handler().handle(cursor, [freeze])
        side.do(FreezeCard(account_id=account_id, reason="lost"))  # waits for the row until W ends the frozen session
        assert time.monotonic() - began < 2
    assert side.types(account_id) == [*before, "CardFrozen"]
    assert side.state(account_id).card_state == "frozen"


def test_an_append_bounds_who_has_set_no_bound(side: WriteSide) -> None:
    account_id, _ = side.account()
    order = Order(uuid4(), FreezeCard(account_id=account_id, reason="holder"), cause(uuid4()))
    with transaction(side.door("commands")) as cursor:
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        side.handler().handle(cursor, [order])
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchall() == [("20s",)]


def test_who_has_waited_for_a_connection_has_what_is_left(narrow: Engine) -> None:
    take_all(narrow, 0.6)
    began = time.monotonic()
    with pytest.raises(TooLate), bounded(narrow, began + 0.8) as cursor:
        cursor.execute("SELECT pg_sleep(5)")
    assert 0.75 < time.monotonic() - began < 1.2


def test_a_connection_is_waited_for_as_long_as_there_is_time_and_no_longer(side: WriteSide, narrow: Engine) -> None:
    _, card = side.account()
    gateway = Gateway(narrow, side.codec, side.policy, 5_000)
    payment_id = gateway.authorize(authorization(card, 1_000)).payment_id
    take_all(narrow, 1.5)
    began = time.monotonic()
    with pytest.raises(TooLate, match="nothing was approved"):
        gateway.authorize(authorization(card, 1_000, deadline_ms=200))
    assert 0.15 < time.monotonic() - began < 0.5
    began = time.monotonic()
    with pytest.raises(TooLate, match="nothing more was approved"):
        gateway.messages.increment(payment_id, "i1", 100, "EUR", "network", deadline_ms=200)
    assert 0.15 < time.monotonic() - began < 0.5
    began = time.monotonic()
    with pytest.raises(NoConnection), transaction(narrow):
        pass
    assert 0.7 < time.monotonic() - began < 1.3


def test_who_waits_twice_in_one_transaction_has_one_deadline(side: WriteSide) -> None:
    account_id, _ = side.account()
    before, command_id = side.types(account_id), uuid4()
    freeze = Order(command_id, FreezeCard(account_id=account_id, reason="holder"), cause(command_id))
    began = time.monotonic()
    with pytest.raises(TooLate), bounded(side.door("gateway"), began + 1) as cursor:
        cursor.execute("SELECT pg_sleep(0.5)")
        side.handler().handle(cursor, [freeze])
        cursor.execute("SELECT pg_sleep(0.8)")
    assert time.monotonic() - began < 1.25
    assert side.types(account_id) == before


def test_an_increments_time_begins_when_it_comes(side: WriteSide, narrow: Engine) -> None:
    account_id, card = side.account()
    gateway = Gateway(narrow, side.codec, side.policy, 5_000)
    payment_id = gateway.authorize(authorization(card, 1_000)).payment_id
    rival = side.lock(account_id)
    take_all(narrow, 0.7)
    began = time.monotonic()
    try:
        with ThreadPoolExecutor(1) as threads:
            asked = threads.submit(gateway.messages.increment, payment_id, "i1", 100, "EUR", "network", deadline_ms=900)
            with pytest.raises(TooLate):
                asked.result(5)
        assert 0.85 < time.monotonic() - began < 1.3
    finally:
        rival.rollback()
        rival.close()


def test_those_who_wait_behind_a_locked_card_leave_connections_for_all_others(side: WriteSide) -> None:
    gateway = side.gateway(1_700)
    (locked, card), (_, other) = side.account(), side.account()
    assert gateway.authorize(authorization(other, 100)).approved
    rival = side.lock(locked)
    with ThreadPoolExecutor(24) as threads:
        waiting = [threads.submit(gateway.authorize, authorization(card, 100)) for _ in range(20)]
        time.sleep(0.6)
        for _ in range(5):
            began = time.monotonic()
            assert gateway.authorize(authorization(other, 100)).approved
            assert time.monotonic() - began < 0.8
        assert all(isinstance(each.exception(), TooLate) for each in waiting)
    rival.rollback()
    rival.close()
    assert gateway.authorize(authorization(card, 100)).approved
