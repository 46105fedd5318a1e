"""A topic's newest messages in kaskade: it can begin at the beginning or at an offset, so we look up at which offsets the newest begin.

Started by the page of a topic, in the UI's own environment, not by hand: `python newest.py CLIENT_INI TOPIC KASKADE...`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from configparser import RawConfigParser
from heapq import merge
from itertools import islice

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

PAGE = 25  # messages that kaskade shows at a time
SECONDS = 15.0  # for the look-up; what was found by then is shown
Stamped = tuple[int, int, int]  # a message's time in milliseconds, its partition, its offset


def beginnings(consumer: Consumer, topic: str) -> dict[int, int | None]:
    """By partition, the offset where the topic's newest PAGE messages begin; None: it has none of them."""
    until = time.monotonic() + SECONDS
    partitions = consumer.list_topics(topic, timeout=SECONDS).topics[topic].partitions
    tails = {each: _tail(consumer, topic, each, until) for each in partitions}
    newest = merge(*(reversed(tail) for tail in tails.values()), key=lambda each: each[0], reverse=True)
    begins: dict[int, int | None] = dict.fromkeys(partitions)
    return begins | {partition: offset for _, partition, offset in islice(newest, PAGE)}


def _tail(consumer: Consumer, topic: str, partition: int, until: float) -> list[Stamped]:
    """At least the last PAGE messages of a partition, if it has so many. Transactions' ends have offsets too, so the stretch grows."""
    low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=SECONDS)
    stretch, found = 4 * PAGE, list[Stamped]()
    while len(found) < PAGE and time.monotonic() < until:
        begin = max(low, high - stretch)
        found = _read(consumer, TopicPartition(topic, partition, begin), until)
        if begin == low:
            break
        stretch *= 4
    return found


def _read(consumer: Consumer, begin: TopicPartition, until: float) -> list[Stamped]:
    """Everything committed from here to the partition's end."""
    consumer.assign([begin])
    found = list[Stamped]()
    while time.monotonic() < until:
        message = consumer.poll(0.1)
        if message is None:
            continue
        if error := message.error():
            if error.code() == KafkaError._PARTITION_EOF:
                break
            raise KafkaException(error)
        found.append((message.timestamp()[1], message.partition(), message.offset()))
    return found


def selected(begins: Mapping[int, int | None]) -> list[str]:
    """Kaskade's words for it: a partition without an offset is read from now on."""
    told = (f"{partition}" if offset is None else f"{partition}:{offset}" for partition, offset in begins.items())
    return [word for each in told for word in ("--partition", each)]


def main() -> None:
    """Look up, and become kaskade."""
    client, topic, *kaskade = sys.argv[1:]
    parser = RawConfigParser()
    parser.read(client)
    mine = {"group.id": "kaskade-newest", "enable.auto.commit": False, "enable.partition.eof": True}
    consumer = Consumer({**parser["kafka"], **mine, "isolation.level": "read_committed"})
    try:
        begins = beginnings(consumer, topic)
    finally:
        consumer.close()
    os.execv(sys.executable, [sys.executable, "-m", "kaskade.main", *kaskade, "-t", topic, *selected(begins)])


if __name__ == "__main__":
    main()
