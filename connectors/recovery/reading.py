"""Topics read from outside any group's offsets: the newest records of each partition, a stretch of it, or all. Committed ones alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition
from tenacity import retry, retry_if_exception, stop_after_delay, wait_fixed

from infra.errors import LostRecords, Unreachable
from streams.runtime.extents import GUIDE
from streams.runtime.records import Place, Record, Run, as_headers

Progress = Callable[[str, int, int], None]
LOOK_BACK = 200
"""Offsets from a partition's end in which its newest records are looked for; some of them are markers of transactions."""
BATCH, PAUSE_SECONDS, SECONDS = 1000, 0.1, 20.0
NO_LEADER = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)
"""What a partition says for a moment when its topic was just made, or its broker just came back."""
READING = {
    "isolation.level": "read_committed",
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "fetch.wait.max.ms": 20,
    "log_level": 2,
}


def newest(kafka: Mapping[str, Any], group: str, topics: Sequence[str]) -> list[Record]:
    """The newest records of each partition of the topics. `group`: one that this user may name; nothing of it is used."""
    with _consumer(kafka, group) as consumer:
        wanted = [TopicPartition(each.topic, each.partition, max(low, high - LOOK_BACK))
                  for each, low, high in _partitions(consumer, topics) if high > low]  # fmt: skip
        return [record for batch in _read(consumer, wanted) for record in batch]


def everything(
    kafka: Mapping[str, Any], group: str, topics: Sequence[str], progress: Progress
) -> Iterator[list[Record]]:
    """All records of the topics, a batch at a time, in each partition's order."""
    with _consumer(kafka, group) as consumer:
        found = [(each, low, high) for each, low, high in _partitions(consumer, topics) if high > low]
        total, done = sum(high - low for _, low, high in found), 0
        reached = {(each.topic, each.partition): low for each, low, _ in found}
        wanted = [TopicPartition(each.topic, each.partition, OFFSET_BEGINNING) for each, _, _ in found]
        for batch in _read(consumer, wanted):
            for record in batch:
                done += record.offset + 1 - reached[record.topic, record.partition]
                reached[record.topic, record.partition] = record.offset + 1
            progress("records", min(done, total), total)
            yield batch
        progress("records", total, total)


def stretches(kafka: Mapping[str, Any], group: str, wanted: Mapping[Place, range]) -> Iterator[Run]:
    """All records of each place's stretch, as runs of it: each place's in order, and the last one ends where the stretch does.

    Raises LostRecords where a partition ends before, Unreachable.
    """
    at = {(place.topic, place.partition): place for place, stretch in wanted.items() if stretch}
    starts = {place: wanted[place].start for place in at.values()}
    if not at:
        return
    with _consumer({**kafka, "auto.offset.reset": "error"}, group) as consumer:
        consumer.assign([TopicPartition(place.topic, place.partition, start) for place, start in starts.items()])
        while at:
            for place, records, ended in _batch(consumer, at, wanted):
                end = wanted[place].stop if ended else records[-1].offset + 1
                yield Run(place, starts[place], end, tuple(records))
                starts[place] = end
                if end == wanted[place].stop:
                    del at[place.topic, place.partition]
                    consumer.incremental_unassign([TopicPartition(place.topic, place.partition)])


def _batch(
    consumer: Consumer, at: Mapping[tuple[str, int], Place], wanted: Mapping[Place, range]
) -> list[tuple[Place, list[Record], bool]]:
    """What came now of the places that are not done: the records within their stretch, and whether nothing more of it is to come."""
    found: dict[Place, list[Record]] = {}
    ended: set[Place] = set()
    for message in consumer.consume(BATCH, PAUSE_SECONDS):
        place, error = at.get((message.topic(), message.partition())), message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
        if place is None or place in ended:
            continue
        if message.offset() >= wanted[place].stop:  # a record behind the stretch, or the partition's end
            ended.add(place)
        elif error is not None:
            raise LostRecords(
                f"{place.topic}/{place.partition} ends at {message.offset()} and had {wanted[place].stop}: Kafka has lost records. {GUIDE}"
            )
        else:
            found.setdefault(place, []).append(_record(message))
    return [(place, found.get(place, []), place in ended) for place in {**found, **dict.fromkeys(ended)}]


@contextmanager
def _consumer(kafka: Mapping[str, Any], group: str) -> Iterator[Consumer]:
    consumer = Consumer({**kafka, **READING, "group.id": group})
    try:
        yield consumer
    except KafkaException as error:
        raise Unreachable(f"the topics could not be read: {error.args[0].str()}") from error
    finally:
        consumer.close()


def _partitions(consumer: Consumer, topics: Sequence[str]) -> Iterator[tuple[TopicPartition, int, int]]:
    """Each partition with its first offset and the one behind its last."""
    for topic in topics:
        for number in _numbers(consumer, topic):
            part = TopicPartition(topic, number)
            low, high = _bounds(consumer, part)
            yield part, low, high


def _has_no_leader(error: BaseException) -> bool:
    return isinstance(error, KafkaException) and error.args[0].code() in NO_LEADER


until_led = retry(
    retry=retry_if_exception(_has_no_leader),
    stop=stop_after_delay(SECONDS),
    wait=wait_fixed(PAUSE_SECONDS),
    reraise=True,
)


@until_led
def _numbers(consumer: Consumer, topic: str) -> list[int]:
    told = consumer.list_topics(topic, SECONDS).topics[topic]
    if told.error is not None and told.error.code() not in (None, KafkaError.NO_ERROR):
        raise KafkaException(told.error)
    return sorted(told.partitions)


@until_led
def _bounds(consumer: Consumer, part: TopicPartition) -> tuple[int, int]:
    low, high = consumer.get_watermark_offsets(part, SECONDS)
    return low, high


def _read(consumer: Consumer, wanted: Sequence[TopicPartition]) -> Iterator[list[Record]]:
    """Until each partition has told that this is its end for now."""
    open_ones = {(each.topic, each.partition) for each in wanted}
    if wanted:
        consumer.assign(list(wanted))
    while open_ones:
        batch: list[Record] = []
        for message in consumer.consume(BATCH, PAUSE_SECONDS):
            error = message.error()
            if error is None:
                batch.append(_record(message))
            elif error.code() == KafkaError._PARTITION_EOF:
                open_ones.discard((message.topic(), message.partition()))
            else:
                raise KafkaException(error)
        yield batch


def _record(message: Message) -> Record:
    headers = as_headers(message.headers() or [])
    where = (message.topic(), message.partition(), message.offset())
    return Record(*where, message.key(), message.value(), headers, message.timestamp()[1])
