"""The store under 64 writers, and through the death of its server: no version missing, nothing lost, nothing twice, one order for all."""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import psycopg2
import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, TimeoutError

from infra.database import engine, transaction
from infra.errors import Retry
from infra.stack import access
from infra.stack.supervisor import Stack
from schemas.codec import Codec
from schemas.messages.account_events import CardFrozen
from streams.event_store import store
from streams.event_store.recorded import NewEvent, RecordedEvent, new_event
from streams.event_store.store import Draft
from streams.event_store.subscription import Subscription
from tests.integration.conftest import Databases, migrated
from tests.integration.write_side import cause, opened

WRITERS, STREAMS, APPENDS = 64, 8, 12
CONNECTIONS = 20  # kept, and as many again at need: well below the server's 200, and fewer than writers


def frozen(stream_id: UUID, version: int, reason: str) -> NewEvent:
    event_id = uuid4()
    message = CardFrozen(account_id=stream_id, card_token="card", reason=reason)
    return new_event(event_id, version, message, cause(event_id).metadata("x"))


class Writer:
    """Appends to some streams at once, each time in another way; keeps what was acknowledged."""

    def __init__(self, number: int, pool: Engine, codec: Codec, streams: Sequence[UUID]) -> None:
        self._random, self._pool, self._codec, self._streams = random.Random(number), pool, codec, streams
        self.acknowledged: list[list[UUID]] = []

    def append(self) -> None:
        chosen = self._random.sample(self._streams, self._random.randint(1, 3))
        if self._random.random() < 0.5:
            self._at_any_version(chosen)
        else:
            self._at_the_version_read(chosen)

    def _at_any_version(self, chosen: Sequence[UUID]) -> None:
        drafts = [Draft(e.event_id, e.message, e.metadata) for e in (frozen(each, 1, "any") for each in chosen)]
        with transaction(self._pool) as cursor:  # rivals wait for each other, and nobody has to try again
            store.append_any(cursor, self._codec, drafts)
        self.acknowledged.append([draft.event_id for draft in drafts])

    def _at_the_version_read(self, chosen: Sequence[UUID]) -> None:
        """Without a lock: whoever lost the race, or gave way to a rival that makes the same streams, reads again."""
        while True:
            try:
                with transaction(self._pool) as cursor:
                    heads = {each: store.read_stream(cursor, each, backwards=True, limit=1) for each in chosen}
                    events = [
                        frozen(each, (found[0].version if found else 0) + 1, "exact") for each, found in heads.items()
                    ]
                    store.append(cursor, self._codec, events)
                self.acknowledged.append([event.event_id for event in events])
                return
            except Retry:
                time.sleep(self._random.random() / 100)


def assert_whole(source: Engine, writers: Sequence[Writer], streams: Sequence[UUID]) -> list[RecordedEvent]:
    """Versions without a gap, positions that grow along each stream, every acknowledged append whole, each event announced once."""
    with transaction(source) as cursor:
        found = [e for e in store.read_all(cursor, limit=None) if e.stream_id in set(streams)]
        cursor.execute("SELECT id FROM outbox")
        announced = [row[0] for row in cursor.fetchall()]
    versions: dict[UUID, list[int]] = defaultdict(list)
    for event in found:
        versions[event.stream_id].append(event.version)
    assert all(each == list(range(1, len(each) + 1)) for each in versions.values()), "in the order of positions"
    ids = [event.event_id for event in found]
    assert len(set(ids)) == len(ids)
    acknowledged = {each for writer in writers for batch in writer.acknowledged for each in batch}
    assert acknowledged <= set(ids), "what was acknowledged is there"
    assert len(set(announced)) == len(announced)
    assert set(ids) <= set(announced)
    return found


def test_64_writers_on_8_streams_leave_no_gap_and_all_readers_see_one_order(databases: Databases) -> None:
    url = access.database_url(databases.stack.home, "write", "commands")
    pool, streams = engine(url, pool_size=CONNECTIONS), [uuid4() for _ in range(STREAMS)]
    owner = databases.as_role("write", "owner")
    with transaction(owner) as cursor:
        newest = store.read_all(cursor, backwards=True, limit=1)
    after = newest[0].position if newest else 0
    readers = [
        Subscription(databases.as_role("write", "projections"), after=after, batch=size) for size in (3, 50, 1000)
    ]
    orders: list[list[UUID]] = [[] for _ in readers]

    def follow(number: int) -> None:
        for event in readers[number]:
            orders[number].append(event.event_id)

    following = [threading.Thread(target=follow, args=(number,)) for number in range(len(readers))]
    for thread in following:
        thread.start()
    writers = [Writer(number, pool, databases.codec, streams) for number in range(WRITERS)]

    def work(writer: Writer) -> None:
        for _ in range(APPENDS):
            writer.append()

    try:
        with ThreadPoolExecutor(WRITERS) as threads:
            list(threads.map(work, writers))
        found = assert_whole(owner, writers, streams)
        until = time.monotonic() + 30
        while any(len(order) < len(found) for order in orders) and time.monotonic() < until:
            time.sleep(0.05)
    finally:
        for reader, thread in zip(readers, following, strict=True):
            reader.stop()
            thread.join()
        pool.dispose()
    assert len(found) == sum(len(batch) for writer in writers for batch in writer.acknowledged)
    assert all(order == [event.event_id for event in found] for order in orders)


@pytest.fixture
def durable() -> Iterator[Databases]:
    """W alone, with fsync on."""
    with Stack(servers=("write",), components=(), throwaway=False) as running:
        yield migrated(running, ("write",))


def test_a_server_killed_amid_appends_has_lost_nothing_that_it_acknowledged(durable: Databases) -> None:
    url = access.database_url(durable.stack.home, "write", "commands")
    pool, streams = engine(url, pool_size=CONNECTIONS), [uuid4() for _ in range(STREAMS)]
    writers = [Writer(number, pool, durable.codec, streams) for number in range(16)]
    ended, lost = threading.Event(), []

    def work(writer: Writer) -> None:
        while not ended.is_set():
            try:
                writer.append()
            except (psycopg2.Error, DBAPIError, TimeoutError) as error:
                lost.append(error)
                time.sleep(0.05)

    with ThreadPoolExecutor(len(writers)) as threads:
        working = [threads.submit(work, writer) for writer in writers]
        for _ in range(2):
            time.sleep(1.5)
            durable.stack.kill("write")
            durable.stack.start_process("write")
        time.sleep(1.5)
        ended.set()
        for each in working:
            each.result()
    pool.dispose()
    owner: Any = durable.as_role("write", "owner")
    found = assert_whole(owner, writers, streams)
    assert lost, "nobody was interrupted"
    in_doubt = {event.event_id for event in found} - {i for w in writers for batch in w.acknowledged for i in batch}
    assert len(in_doubt) <= 3 * 2 * len(writers), "committed and not told: at most one append a writer and kill"
    with transaction(pool) as cursor:
        event = opened()
        (position,) = store.append(cursor, durable.codec, [event])
    assert position > found[-1].position
