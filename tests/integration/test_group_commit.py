"""Group commit on real PostgreSQL: each command once, no version missing, its own outcome for everybody, whatever happens to who leads."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import psycopg2
import pytest

from connectors.gateway.bounds import bounded
from infra.database import engine
from infra.errors import CommandIdReused, TooLate, UnknownType
from infra.stack import access
from schemas.messages.card_controls import CardLimitsSet, SetCardLimits
from streams.domain import ids
from streams.group_commit import GroupCommit
from streams.orders import Order, Outcome
from tests.integration.write_side import WriteSide, cause

THREADS, STREAMS, EACH = 32, 8, 12
WAITING = "SELECT pid FROM pg_stat_activity WHERE usename = 'commands' AND wait_event_type = 'Lock'"


@pytest.fixture
def door(side: WriteSide) -> Iterator[GroupCommit[Order, Outcome]]:
    """A process's door to the store, with as many connections as threads."""
    pool = engine(access.database_url(side.databases.stack.home, "write", "commands"), pool_size=THREADS)
    yield GroupCommit(partial(bounded, pool), side.handler().handle)
    pool.dispose()


def limits(account_id: UUID, number: int) -> Order:
    """An order of which each is another, and leads to one event."""
    command_id = uuid4()
    return Order(command_id, SetCardLimits(account_id=account_id, per_day_minor=number), cause(command_id))


def versions(side: WriteSide, account_id: UUID) -> list[tuple[Any, ...]]:
    return side.rows("SELECT version, event_id FROM events WHERE stream_id = %s ORDER BY version", account_id)


def assert_once(side: WriteSide, accounts: list[UUID], done: list[Order], maybe: list[Order]) -> None:
    """Versions without a gap; of each order its one event and its one answer, in its own account's stream."""
    stored: Counter[UUID] = Counter()
    for account_id in accounts:
        found = versions(side, account_id)
        assert [version for version, _ in found] == list(range(1, len(found) + 1))
        stored.update(event_id for _, event_id in found[1:])
    expected = {ids.event_id(order.command_id, 0) for order in done}
    allowed = expected | {ids.event_id(order.command_id, 0) for order in maybe}
    assert expected <= set(stored) <= allowed
    assert set(stored.values()) <= {1}
    command_ids = [order.command_id for order in done]
    assert side.rows("SELECT count(*) FROM command_answers WHERE command_id = ANY(%s)", command_ids) == [(len(done),)]


def test_32_threads_on_8_streams_each_command_once_and_each_its_own_outcome(
    side: WriteSide, door: GroupCommit[Order, Outcome]
) -> None:
    accounts = [side.account()[0] for _ in range(STREAMS)]

    def work(thread: int) -> list[Order]:
        orders = [limits(accounts[(thread + number) % STREAMS], 1 + thread * EACH + number) for number in range(EACH)]
        for order in orders:
            outcome = door(order)
            assert (outcome.command_id, outcome.repeated) == (order.command_id, False)
            (event,) = outcome.events
            assert event.stream_id == order.message.account_id
            assert isinstance(event.message, CardLimitsSet)
            assert event.message.per_day_minor == order.message.per_day_minor
        return orders

    with ThreadPoolExecutor(THREADS) as threads:
        done = [order for orders in threads.map(work, range(THREADS)) for order in orders]
    assert_once(side, accounts, done, [])
    assert side.transactions(accounts) < len(done) / 3, "they were shared"


def test_the_same_order_at_once_is_one_event_and_one_first_answer(
    side: WriteSide, door: GroupCommit[Order, Outcome]
) -> None:
    account_id, _ = side.account()
    for number in range(1, 11):
        order = limits(account_id, number)
        with ThreadPoolExecutor(THREADS) as threads:
            outcomes = list(threads.map(lambda _, order=order: door(order), range(8)))
        assert sorted(each.repeated for each in outcomes) == [False] + [True] * 7
        assert [dict(each.answer) for each in outcomes] == [dict(outcomes[0].answer)] * 8
        assert sum(len(each.events) for each in outcomes) == 1
    assert len(versions(side, account_id)) == 11


def test_who_brings_what_cannot_be_is_told_so_and_nobody_else_is(
    side: WriteSide, door: GroupCommit[Order, Outcome]
) -> None:
    accounts = [side.account()[0] for _ in range(4)]
    known = limits(accounts[0], 1)
    door(known)
    reused = Order(known.command_id, SetCardLimits(account_id=accounts[0], per_day_minor=2), known.cause)
    unknown = Order(uuid4(), "no order at all", known.cause)
    good = [limits(account_id, number) for account_id in accounts for number in range(3, 7)]

    def bring(order: Order) -> Outcome | Exception:
        try:
            return door(order)
        except (CommandIdReused, UnknownType) as error:
            return error

    for _ in range(3):
        with ThreadPoolExecutor(THREADS) as threads:
            told = list(threads.map(bring, [*good[:8], reused, *good[8:], unknown]))
        assert isinstance(told[8], CommandIdReused) and isinstance(told[-1], UnknownType)
        outcomes = [each for each in [*told[:8], *told[9:-1]] if isinstance(each, Outcome)]
        assert [each.command_id for each in outcomes] == [order.command_id for order in good]
    assert_once(side, accounts, [known, *good], [])


def waiting(side: WriteSide) -> int:
    """The server process that waits for a lock."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        with side.databases.stack.postgres("write").superuser() as cursor:
            cursor.execute(WAITING)
            if found := cursor.fetchall():
                return int(found[0][0])
    raise AssertionError("nobody waits")


def terminate(side: WriteSide, pid: int) -> None:
    with side.databases.stack.postgres("write").superuser() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", (pid,))


def test_a_leader_whose_server_process_is_killed_costs_nobody_an_outcome_but_itself(
    side: WriteSide, door: GroupCommit[Order, Outcome]
) -> None:
    """It is killed amid its transaction, again and again: who shared it goes on alone; who was alone is told that it was cut off."""
    accounts = [side.account()[0] for _ in range(STREAMS)]
    done: list[Order] = []
    cut_off: list[Order] = []

    def work(thread: int) -> None:
        for number in range(EACH):
            order = limits(accounts[(thread + number) % STREAMS], 1 + thread * EACH + number)
            try:
                assert door(order).command_id == order.command_id
                done.append(order)
            except psycopg2.OperationalError as error:
                assert "terminating connection" in str(error) or "closed the connection" in str(error)
                cut_off.append(order)

    killed = 0
    with ThreadPoolExecutor(16) as threads:
        working: list[Future[None]] = []
        for turn in range(6):
            held = side.lock(accounts[turn])
            working = working or [threads.submit(work, thread) for thread in range(16)]
            if all(each.done() for each in working):
                held.rollback()
                break
            terminate(side, waiting(side))
            killed += 1
            held.rollback()
            held.close()
        for each in working:
            each.result(60)
    assert killed, "nobody was killed"
    assert len(done) + len(cut_off) == 16 * EACH
    assert len(cut_off) <= killed
    assert_once(side, accounts, done, cut_off)


def test_whoever_gets_no_connection_is_told_so_in_time(side: WriteSide) -> None:
    """All connections are with those who wait behind a locked card, each alone: nobody else waits for one beyond the network's two seconds."""
    order, pool = (
        limits(side.account()[0], 1),
        engine(access.database_url(side.databases.stack.home, "write", "commands"), pool_size=1),
    )
    door = GroupCommit(partial(bounded, pool), side.handler().handle)
    taken = [pool.raw_connection() for _ in range(2)]
    began = time.monotonic()
    with pytest.raises(TooLate, match="nothing was approved"):
        door(order, began + 1.7)
    assert time.monotonic() - began < 1.7
    for each in taken:
        each.close()
    assert not door(order).repeated
    pool.dispose()


def test_a_stream_that_a_rival_holds_keeps_waiting_only_who_needs_it(
    side: WriteSide, door: GroupCommit[Order, Outcome]
) -> None:
    accounts = [side.account()[0] for _ in range(5)]
    held = side.lock(accounts[0])
    with ThreadPoolExecutor(THREADS) as threads:
        behind = [threads.submit(door, limits(accounts[0], number)) for number in range(1, 4)]
        began = time.monotonic()
        free = [threads.submit(door, limits(account_id, 5 + n)) for account_id in accounts[1:] for n in range(4)]
        for each in free:
            each.result(5)
        assert time.monotonic() - began < 1
        assert not any(each.done() for each in behind)
        late = time.monotonic() + 0.3
        with pytest.raises(TooLate):
            door(limits(accounts[0], 9), late)
        assert time.monotonic() - late < 0.5, "at its own bound"
        held.rollback()
        held.close()
        for each in behind:
            each.result(5)
    assert [len(versions(side, each)) for each in accounts] == [4, 5, 5, 5, 5]
