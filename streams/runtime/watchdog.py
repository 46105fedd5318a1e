"""Faust's consumers are known to die in silence (faust-streaming issues 175, 523, 532). This sees it, and ends the process.

It trusts neither Faust nor Kafka's committed offsets: it reads the checkpoints, and where one stands still asks the broker
through a consumer of its own whether a committed message waits there. Ends of topics would not do: they count markers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from infra.transient import is_transient
from streams.runtime.positions import Positions
from streams.runtime.records import Place

log = structlog.get_logger(__name__)

OTHERS_PATIENCE = 3  # a partition that nobody here holds gets this many times the patience before we all start anew
PROBE_SECONDS, SLICE_SECONDS = 5.0, 0.25

Kafka = dict[str, str | int | bool]


@dataclass
class Mark:
    """What is known of one partition. Ages are counted in looks, not by a clock: a frozen process does not age."""

    checkpoint: int
    mine: bool
    still: int = 0  # looks since the checkpoint moved or the last probe found nothing
    waiting: int = -1  # looks since a probe saw a message wait at this checkpoint; -1: none seen


class Stillness:
    """Which checkpoints stand still beside waiting messages. `patience` is a number of looks."""

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._marks: dict[Place, Mark] = {}

    def observe(self, checkpoints: Mapping[Place, int], mine: Collection[tuple[str, int]]) -> None:
        """Take in one look at all checkpoints; `mine` are the partitions (topic, number) that this process holds."""
        for place, now in checkpoints.items():
            mark, held = self._marks.get(place), (place.topic, place.partition) in mine
            if mark is None or mark.checkpoint != now or mark.mine != held:
                self._marks[place] = Mark(now, held)
                continue
            mark.still += 1
            mark.waiting += mark.waiting >= 0

    def to_probe(self) -> dict[Place, int]:
        """Checkpoints still for a quarter of the patience, and not known to have a message waiting."""
        quarter = max(1, self._patience // 4)
        return {place: m.checkpoint for place, m in self._marks.items() if m.waiting < 0 and m.still >= quarter}

    def probed(self, places: Iterable[Place], waiting: set[Place]) -> None:
        """What a probe found."""
        for place in places:
            self._marks[place].still = 0
            self._marks[place].waiting = 0 if place in waiting else -1

    def stalled(self) -> list[Place]:
        """Partitions where a message has waited longer than the patience."""
        return [p for p, m in self._marks.items() if m.waiting >= self._patience * (1 if m.mine else OTHERS_PATIENCE)]


class Watchdog:
    """A service: looks every second, has rewound partitions read again, and calls `fail` for one that stands still.

    `reached` tells, per partition this process holds (topic, number), up to which offset it has seen everything committed.
    """

    __name__ = "watchdog"

    def __init__(
        self,
        positions: Positions,
        kafka: Kafka,
        topics: Iterable[str],
        patience_seconds: int,
        *,
        reached: Callable[[], dict[tuple[str, int], int]],
        seek_back: Callable[[Collection[Place]], None],
        fail: Callable[[str], None],
    ) -> None:
        self._positions, self._kafka, self._topics = positions, kafka, tuple(topics)
        self._reached, self._seek_back, self._fail = reached, seek_back, fail
        self._stillness = Stillness(patience_seconds)
        self._places: list[Place] = []

    def __call__(self, stop: threading.Event) -> None:
        while not stop.wait(1.0):
            try:
                self.look(stop)
            except Exception as error:
                if not is_transient(error) and not isinstance(error, KafkaException):
                    raise
                log.warning("watchdog_sees_nothing", error=str(error))  # a server is away: no evidence, no verdict

    def look(self, stop: threading.Event) -> None:
        """One look at everything."""
        self._places = self._places or self._positions.places(self._topics)
        reached = self._reached()  # before the checkpoints: one that lies behind it was then rewound by somebody
        checkpoints = self._positions.read(self._places)
        known = {place: reached.get((place.topic, place.partition), 0) for place in checkpoints}
        if rewound := [place for place, checkpoint in checkpoints.items() if checkpoint < known[place]]:
            log.info("checkpoints_rewound", places=[f"{each.topic}/{each.partition}" for each in rewound])
            self._seek_back(rewound)
        self._stillness.observe(checkpoints, reached.keys())
        if suspects := self._stillness.to_probe():
            self._stillness.probed(suspects, messages_wait(self._kafka, self._positions.consumer, suspects, stop))
        if stalled := self._stillness.stalled():
            where = ", ".join(f"{place.topic}/{place.partition}" for place in stalled)
            self._fail(f"the checkpoint stands still though messages wait at {where}")


def messages_wait(kafka: Kafka, group: str, checkpoints: Mapping[Place, int], stop: threading.Event) -> set[Place]:
    """The places where a committed message stands at or after the checkpoint. It joins no group and commits nothing."""
    options: Kafka = {"group.id": group, "enable.auto.commit": False, "enable.partition.eof": True}
    consumer = Consumer({**kafka, **options, "isolation.level": "read_committed", "auto.offset.reset": "error"})
    unknown = {(place.topic, place.partition): place for place in checkpoints}
    waiting: set[Place] = set()
    end = time.monotonic() + PROBE_SECONDS
    try:
        consumer.assign([TopicPartition(p.topic, p.partition, offset) for p, offset in checkpoints.items()])
        while unknown and time.monotonic() < end and not stop.is_set():
            if message := consumer.poll(SLICE_SECONDS):
                place = unknown.pop((message.topic(), message.partition()), None)
                if _is_message(message) and place is not None:
                    waiting.add(place)
    finally:
        consumer.close()
    return waiting


def _is_message(message: Message) -> bool:
    """Whether it is one, and not the news that the partition ends here. Raises for any other news."""
    error = message.error()
    if error is not None and error.code() != KafkaError._PARTITION_EOF:
        raise KafkaException(error)
    return error is None
