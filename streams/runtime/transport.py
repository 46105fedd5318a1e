"""Faust, taught to read in fenced runs: what stands between a broker and `streams.runtime.consumer.process`.

Stock Faust hands over one message at a time, reads messages of aborted transactions, and keeps its position in Kafka.
Here one Faust message is a run of one partition, only committed ones are seen, and the position is PostgreSQL's.
Faust's acks and commits go on beside it, for display alone: nothing here is right or wrong because of them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from typing import Any

import faust
import structlog
from aiokafka.consumer.consumer import AIOKafkaConsumer
from aiokafka.errors import NoOffsetForPartitionError
from faust.app.base import App
from faust.transport.consumer import Consumer
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import ConsumerMessage

from infra.transient import is_transient
from streams.runtime.parked import reason_of
from streams.runtime.positions import Positions
from streams.runtime.records import Place, Record, Run, as_headers

log = structlog.get_logger(__name__)

# The private names of pinned libraries that this file overrides or reads. A test asserts that each is still there.
REACHES_INTO: tuple[tuple[type, str], ...] = (
    (AIOKafkaConsumer, "start"),  # it reads _isolation_level
    (driver.AIOKafkaConsumerThread, "_create_worker_consumer"),
    (driver.AIOKafkaConsumerThread, "_ensure_consumer"),
    (driver.AIOKafkaConsumerThread, "_fetch_records"),
    (driver.AIOKafkaConsumerThread, "call_thread"),
    (driver.AIOKafkaConsumerThread, "on_partitions_assigned"),
    (driver.AIOKafkaConsumerThread, "on_partitions_revoked"),
    (driver.AIOKafkaConsumerThread, "seek_to_committed"),
    (driver.Consumer, "_new_consumer_thread"),
    (Consumer, "_add_gap"),
    (Consumer, "_get_active_partitions"),  # and the set _buffered_partitions, which on_buffer_full fills
    (Consumer, "_wait_next_records"),
    (Consumer, "_drain_messages"),  # it drops what lies before _read_offset
    (Consumer, "getmany"),
    (Consumer, "perform_seek"),
    (App, "_create_directories"),
    (App, "_new_transport"),
)
SEEK_PAUSE_SECONDS, FULL_PAUSE_SECONDS = 0.5, 0.005


class RunThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """The thread that fetches. It labels what it fetches, and seeks to the checkpoints when partitions are assigned."""

    next: dict[Any, int]  # where the next run of a partition starts; touched in the consumer's thread only
    places: dict[Any, Place]

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        self.next, self.places = {}, {}
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"  # Faust gives it to exactly_once alone; read by consumer.start()
        return consumer

    async def _fetch_records(self, *args: Any, **kwargs: Any) -> dict[Any, Fetched]:
        """Fetched records, each list with its label. No await between fetch and label, so a seek cannot slip between."""
        try:
            found = await super()._fetch_records(*args, **kwargs)
        except NoOffsetForPartitionError:  # nothing committed in Kafka, and no seek yet: it comes, and decides
            found = {}
        runs = {}
        for tp, records in found.items():
            if (
                records and tp in self.next
            ):  # a partition not in `next` was fetched before its seek, which brings it again
                start, self.next[tp] = self.next[tp], records[-1].offset + 1
                runs[tp] = Fetched(self.places[tp], self.app.seeks[tp], start, self.next[tp], records)
        return runs

    async def on_partitions_revoked(self, revoked: Any) -> None:
        self.next.clear()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: Any, generation_id: int = 0) -> None:
        self.next.clear()  # again: a late seek may have come in between
        await super().on_partitions_assigned(assigned, generation_id)

    async def seek_to_committed(self, partitions: Iterable[Any] | None = None) -> Mapping[Any, int]:
        """The one place where Faust sets positions (`perform_seek`): they come from PostgreSQL."""
        found = await self.app.load_positions(set(partitions or self.assignment()))
        await self.call_thread(self._seek_all, found)
        return {tp: offset for tp, (_, offset) in found.items()}

    async def _seek_all(self, found: Mapping[Any, tuple[Place, int]]) -> None:
        consumer = self._ensure_consumer()
        for tp in consumer.assignment() & found.keys():
            self.places[tp], self.next[tp] = found[tp]
            self.app.seeks[tp] += 1
            self.app.reached[tp] = self.next[tp]  # not before the seek: one that fails must be seen, and made again
            consumer.seek(tp, self.next[tp])


class Fetched:
    """A labelled list of the driver's records; becomes a `Run` in the worker's thread, away from the event loop.

    Where a rebalance came between a seek and a fetch, records may stand before the label's start: those are no part of the run.
    """

    __slots__ = ("end", "place", "records", "seek", "start")

    def __init__(self, place: Place, seek: int, start: int, end: int, records: list[Any]) -> None:
        self.place, self.seek, self.start, self.end, self.records = place, seek, start, end, records

    def run(self) -> Run:
        return Run(self.place, self.start, self.end, tuple(map(_record, self.records))).since(self.start)


class RunConsumer(driver.Consumer):  # type: ignore[misc]
    """Hands over one message a run."""

    def _new_consumer_thread(self) -> RunThread:
        return RunThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[Any, Any]]:
        await self._while_all_buffers_are_full(timeout)
        runs, _ = await self._wait_next_records(timeout)
        for tp, run in (runs or {}).items():
            if self.should_stop or not self.flow_active:
                return  # the rest is dropped: the next run of such a partition meets a hole, and seeks back
            self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
            self._let_pass(tp, run)
            yield tp, self._one_message(tp, run)

    def _let_pass(self, tp: Any, run: Fetched) -> None:
        """Faust drops in silence what lies before the last offset it handed over. After a seek back that is what we want again.

        Said here, for each run just before Faust looks: said at the seek, a run on its way would have the last word.
        """
        if (self._read_offset[tp] or 0) > run.end - 1:
            self._read_offset[tp] = run.start or None

    async def _while_all_buffers_are_full(self, timeout: float) -> None:
        """Faust would sleep a whole second, and the agents run dry long before."""
        end = asyncio.get_running_loop().time() + timeout
        while self._buffered_partitions and not self._get_active_partitions() and not self.should_stop:
            if not self.flow_active or asyncio.get_running_loop().time() > end:
                return
            await asyncio.sleep(FULL_PAUSE_SECONDS)

    def _one_message(self, tp: Any, run: Fetched) -> Any:
        last = run.records[-1]
        generation = self.app.consumer_generation_id  # without it, streams drop the message silently
        at, kind = last.timestamp / 1000.0, last.timestamp_type
        return ConsumerMessage(
            tp.topic, tp.partition, last.offset, at, kind, (), None, run, None, 0, 0, tp, generation_id=generation
        )

    async def _add_gap(self, tp: Any, first: int, end: int) -> None:
        await super()._add_gap(tp, first, end - 1)  # faust 0.15.3 counts the next message as part of the gap

    async def seek_back(self, partitions: Collection[Any]) -> None:
        """Read these partitions again from their checkpoints."""
        await self._thread.seek_to_committed(partitions)


class RunTransport(driver.Transport):  # type: ignore[misc]
    Consumer = RunConsumer


class RunApp(faust.App):  # type: ignore[misc]
    """A Faust app whose consumer reads in runs, from the checkpoints that `positions` knows."""

    positions: Positions

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.reached: dict[tuple[str, int], int] = {}  # by topic and partition: everything below it is committed
        self.seeks: Counter[Any] = (
            Counter()
        )  # seeks of a partition so far: what was fetched before the last comes again

    def _new_transport(self) -> RunTransport:
        return RunTransport(self.conf.broker_consumer, self, loop=self.loop)

    def _create_directories(self) -> None:
        """Nothing is kept on disk: no tables, no changelogs."""

    async def load_positions(self, partitions: set[Any]) -> dict[Any, tuple[Place, int]]:
        """Checkpoints of the partitions; while a server is away it asks again. Stop ends the worker (Faust crashes)."""
        while True:
            try:
                found = await asyncio.to_thread(self.positions.load, partitions)
                return {tp: found[tp] for tp in partitions}
            except Exception as error:
                if not is_transient(error) or self.should_stop:
                    log.error("seek_failed", reason=reason_of(error), error=str(error))
                    raise
                log.warning("seek_waits", error=str(error))
                await asyncio.sleep(SEEK_PAUSE_SECONDS)


class RunSchema(faust.Schema):  # type: ignore[misc]
    """Passes the run through to the agent as it is."""

    def compile(self, app: Any, **_kwargs: Any) -> Any:
        async def decode(message: Any, *, propagate: bool = False) -> Any:
            return faust.Event(app, None, message.value, {}, message)

        return decode


def _record(raw: Any) -> Record:
    return Record(raw.topic, raw.partition, raw.offset, raw.key, raw.value, as_headers(raw.headers), raw.timestamp)
