"""From a commit in W to a record in Kafka: nothing lost, nothing doubled, nothing changed, whatever dies in between."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Message

from api.roots.provisioning import River
from connectors.debezium.register import HEADERS
from infra.stack.choice import stack_for_tests
from infra.stack.supervisor import Stack
from schemas.topics import TOPICS
from tests.integration.outbox import OutboxRow, header, random_row, read_records, write_rows

NAMES = [topic.name for topic in TOPICS]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack of its own: random bytes are no messages, and other tests' workers should not meet them."""
    with stack_for_tests(River()) as running:
        yield running


def test_a_row_of_the_outbox_arrives_byte_for_byte_with_its_headers_and_in_its_keys_order(stack: Stack) -> None:
    rows = [random_row(NAMES[n % 5], f"stream-{n % 7}-ü", n, size=n) for n in range(200)]

    write_rows(stack, rows)

    ids = {str(row.id) for row in rows}
    records = _of(ids, read_records(stack, NAMES, lambda found: len(_of(ids, found)) >= 200))
    assert len(records) == 200
    by_id = {header(record, "id"): record for record in records}
    for row in rows:
        record = by_id[str(row.id)]
        assert (record.topic(), record.key().decode(), record.value()) == (row.topic, row.key, row.payload)
        assert all(header(record, name) == row.headers.get(name) for name in HEADERS)
        assert {name for name, _ in record.headers()} == {"id", *HEADERS}
    assert_in_order(records)


def killed(stack: Stack, server: str) -> None:
    stack.kill(server)
    time.sleep(0.5)
    stack.start_process(server)


def frozen_past_its_transaction(stack: Stack, server: str) -> None:
    """Kafka ends the connector's open transaction meanwhile, and fences the one that wakes up."""
    stack.freeze(server)
    time.sleep(13)
    stack.thaw(server)


@pytest.mark.parametrize(
    ("happens", "server"),
    [
        (killed, "connect"),
        (killed, "kafka"),
        (killed, "write"),
        pytest.param(frozen_past_its_transaction, "connect", marks=pytest.mark.long),
    ],
)
def test_a_server_that_dies_or_sleeps_amid_writing_loses_and_doubles_nothing(
    stack: Stack, happens: Callable[[Stack, str], None], server: str
) -> None:
    rows = [random_row(NAMES[n % 5], f"{happens.__name__}-{server}-{n % 11}", n) for n in range(600)]
    written = threading.Thread(target=_write_on, args=(stack, rows))
    written.start()
    time.sleep(1)
    happens(stack, server)
    written.join()

    ids = {str(row.id) for row in rows}
    records = _of(ids, read_records(stack, NAMES, lambda found: len(_of(ids, found)) >= 600, seconds=90))

    assert sorted(header(record, "id") or "" for record in records) == sorted(ids)
    assert_in_order(records)


def test_a_slot_that_nobody_writes_for_still_moves_on(stack: Stack) -> None:
    """Its heartbeat is in the log itself: without it a quiet outbox beside a busy table would hold back the log for ever."""
    with stack.postgres("write").superuser() as cursor:
        cursor.execute("CREATE TABLE busy (filling text)")
        cursor.execute("INSERT INTO busy SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
        cursor.execute("SELECT pg_current_wal_lsn()")
        [[here]] = cursor.fetchall()
        until = time.monotonic() + 30
        while True:
            cursor.execute("SELECT confirmed_flush_lsn >= %s::pg_lsn FROM pg_replication_slots", (here,))
            if cursor.fetchall() == [(True,)]:
                break
            assert time.monotonic() < until, "the slot stood still"
            time.sleep(0.2)
        cursor.execute("DROP TABLE busy")


def assert_in_order(records: list[Message]) -> None:
    """Each key's records stand in the order in which they were written."""
    versions: dict[tuple[str, bytes], list[int]] = defaultdict(list)
    for record in records:
        versions[(record.topic(), record.key())].append(int(header(record, "stream_version") or 0))
    assert all(numbers == sorted(numbers) for numbers in versions.values())


def _of(ids: set[str], records: list[Message]) -> list[Message]:
    return [record for record in records if header(record, "id") in ids]


def _write_on(stack: Stack, rows: list[OutboxRow]) -> None:
    """Writes row after row for about three seconds, and again those whose commit was not answered."""
    for row in rows:
        while True:
            try:
                write_rows(stack, [row])
                break
            except Exception as error:  # noqa: BLE001 - the server is down, or the row is there and only the answer was lost
                if "outbox_0_id" in str(error):
                    break
                time.sleep(0.05)
        time.sleep(0.004)
