"""Rows put into the outbox by hand and records read back: the outbox's far side, seen as any consumer sees it."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from connectors.debezium.register import HEADERS
from infra.stack import access
from infra.stack.supervisor import Stack

INSERT = f"""
INSERT INTO outbox (id, topic, key, type, payload, {", ".join(HEADERS)}) VALUES ({", ".join(["%s"] * (5 + len(HEADERS)))})
"""


@dataclass(frozen=True)
class OutboxRow:
    """One row, as it is written; the headers it does not name are NULL."""

    id: uuid.UUID
    topic: str
    key: str
    payload: bytes
    headers: Mapping[str, str | None]


def event_row(topic: str, key: str, payload: bytes, kind: str, **headers: str | None) -> OutboxRow:
    """A row with the headers that every one has, and these."""
    row = uuid.uuid4()
    known = {
        "ce_specversion": "1.0",
        "ce_id": str(row),
        "ce_type": kind,
        "ce_source": "/payriver/test",
        "ce_subject": key,
        "ce_time": "2026-01-01T00:00:00.000000Z",
    }
    return OutboxRow(row, topic, key, payload, known | headers)


def random_row(topic: str, key: str, number: int, size: int = 300) -> OutboxRow:
    """Random bytes under a key; its stream version is its number. A third bears no trace, as commands from people do."""
    trace = None if number % 3 == 0 else f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-01"
    told = {"correlation_id": str(uuid.uuid4()), "stream_version": str(number), "actor": "test"}
    return event_row(topic, key, os.urandom(size), "Tést", traceparent=trace, **told)


def write_rows(stack: Stack, rows: Iterable[OutboxRow]) -> None:
    """Each row in a commit of its own."""
    with stack.postgres("write").superuser() as cursor:
        for row in rows:
            headers = map(row.headers.get, HEADERS)
            cursor.execute(INSERT, (str(row.id), row.topic, row.key, "Tést", row.payload, *headers))


def read_records(
    stack: Stack, topics: Sequence[str], enough: Callable[[list[Message]], bool], seconds: float = 60
) -> list[Message]:
    """All committed records of the topics from their beginning, until it is enough; then two seconds more, for what is too many."""
    consumer = _from_the_beginning(stack, [(topic, number) for topic in topics for number in range(stack.partitions)])
    found: list[Message] = []
    until = time.monotonic() + seconds
    extended = False
    while time.monotonic() < until:
        found += [message for message in consumer.consume(500, 0.1) if message.error() is None]
        if not extended and enough(found):
            until, extended = time.monotonic() + 2, True
    consumer.close()
    return found


def every_record(stack: Stack, topics: Sequence[str], seconds: float = 60) -> list[Message]:
    """All committed records of the topics, to each partition's end as it is now."""
    open_ones = {(topic, number) for topic in topics for number in range(stack.partitions)}
    consumer = _from_the_beginning(stack, sorted(open_ones), tells_ends=True)
    found: list[Message] = []
    until = time.monotonic() + seconds
    while open_ones:
        assert time.monotonic() < until, f"not read to the end within {seconds} s: {sorted(open_ones)}"
        for message in consumer.consume(500, 0.1):
            error = message.error()
            if error is None:
                found.append(message)
            else:
                assert error.code() == KafkaError._PARTITION_EOF, error
                open_ones.discard((message.topic(), message.partition()))
    consumer.close()
    return found


def _from_the_beginning(stack: Stack, places: Sequence[tuple[str, int]], *, tells_ends: bool = False) -> Consumer:
    """A reader of committed records of these partitions, in a group of its own."""
    reading = {
        "group.id": f"downstream-{uuid.uuid4()}",
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.partition.eof": tells_ends,
        "fetch.wait.max.ms": 20,
        "log_level": 2,
    }
    consumer = Consumer({**access.kafka_client(stack.home, "admin"), **reading})
    consumer.assign([TopicPartition(*each, OFFSET_BEGINNING) for each in places])
    return consumer


def header(message: Message, name: str) -> str | None:
    """A header's text; None for one that is there without a value."""
    value = dict(message.headers() or [])[name]
    return value if value is None or isinstance(value, str) else value.decode()
