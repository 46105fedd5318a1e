"""A subscription catches up and follows: every event once, in one order, whoever appends meanwhile; and it says whom it waits for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from structlog.testing import capture_logs

from infra.database import transaction
from streams.event_store import store, subscription
from streams.event_store.recorded import RecordedEvent
from streams.event_store.subscription import Subscription
from tests.integration.write_side import WriteSide, opened


@pytest.fixture
def newest(side: WriteSide) -> int:
    with transaction(side.door("commands")) as cursor:
        return store.append(cursor, side.codec, [opened()])[0]


def test_it_catches_up_and_follows_what_many_append_at_once(side: WriteSide, newest: int) -> None:
    before = [opened() for _ in range(25)]
    with transaction(side.door("commands")) as cursor:
        store.append(cursor, side.codec, before)
    later = [opened() for _ in range(60)]
    readers = [Reader(Subscription(side.door("projections"), after=newest, batch=7), 85) for _ in range(3)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda event: _append(side, event), later))
    orders = [[event.event_id for event in reader.told()] for reader in readers]
    assert orders[0][:25] == [event.event_id for event in before]
    assert orders[0] == orders[1] == orders[2], "all readers see the same order"
    assert sorted(orders[0]) == sorted(event.event_id for event in [*before, *later]), "each once"


def test_only_what_it_asked_for_is_told_and_the_rest_is_passed_by(side: WriteSide, newest: int) -> None:
    with transaction(side.door("commands")) as cursor:
        wanted = opened()
        store.append(cursor, side.codec, [opened(), wanted, opened()])
    chosen = Subscription(side.door("projections"), after=newest, tags=[f"account:{wanted.stream_id}"])
    assert [event.event_id for event in chosen.next_batch()] == [wanted.event_id]
    assert chosen.position == newest + 3, "what does not pass the filter is not read again"
    assert chosen.next_batch() == []


def test_it_can_be_stopped_before_while_it_waits_and_between_two_events(side: WriteSide, newest: int) -> None:
    with transaction(side.door("commands")) as cursor:
        store.append(cursor, side.codec, [opened(), opened()])
    early = Subscription(side.door("projections"), after=newest)
    early.stop()
    assert list(early) == []
    between = Subscription(side.door("projections"), after=newest)
    for told, _ in enumerate(between):
        assert told == 0
        between.stop()
    waiting = Reader(Subscription(side.door("projections"), after=newest), 3)
    waiting.subscription.stop()
    assert len(waiting.told()) <= 2


def test_an_append_that_does_not_end_is_named_in_the_log(
    side: WriteSide, newest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "PATIENCE_SECONDS", 0.2)
    slow, cursor = side.by_hand("commands")
    store.append(cursor, side.codec, [opened()])
    follower = Subscription(side.door("projections"), after=newest)
    with capture_logs() as logs:
        pause = threading.Event()
        while not logs:
            assert follower.next_batch() == []
            pause.wait(0.05)
    assert logs[0]["event"] == "readers_wait_for_an_append"
    assert logs[0]["pid"] == cursor.connection.get_backend_pid()
    assert "role commands" in logs[0]["waits_for"]
    slow.commit()
    slow.close()
    assert len(follower.next_batch()) == 1


class Reader:
    """Follows in a thread of its own until it was told so many events."""

    def __init__(self, follows: Subscription, count: int) -> None:
        self.subscription, self._count = follows, count
        self._told: list[RecordedEvent] = []
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()

    def told(self) -> list[RecordedEvent]:
        self._thread.join(20)
        self.subscription.stop()
        return self._told

    def _follow(self) -> None:
        events: Iterator[RecordedEvent] = iter(self.subscription)
        for event in events:
            self._told.append(event)
            if len(self._told) == self._count:
                return


def _append(side: WriteSide, event: Any) -> None:
    with transaction(side.door("commands")) as cursor:
        store.append(cursor, side.codec, [event])
