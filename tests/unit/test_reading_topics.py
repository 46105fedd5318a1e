"""Topics are read whole, or their newest records, from the mock broker that librdkafka carries within it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from connectors.recovery.reading import LOOK_BACK, everything, newest
from infra.errors import Unreachable

TOPIC = "payments.events"


@pytest.fixture(scope="module")
def broker() -> Iterator[dict[str, str]]:
    """600 committed records, and 50 aborted ones at the end."""
    producer = Producer(
        {"bootstrap.servers": "mock", "test.mock.num.brokers": 1, "transactional.id": "test", "log_level": 0}
    )
    [host] = producer.list_topics(timeout=10).brokers.values()
    producer.init_transactions(10)
    for run in range(7):
        producer.begin_transaction()
        for number in range(50 if run == 6 else 100):
            headers = {"ce_id": f"{run}/{number}", "traceparent": None}
            producer.produce(TOPIC, key=f"{number % 7}", value=f"{run}/{number}", headers=headers)
        producer.flush(10)
        if run == 6:
            producer.abort_transaction(10)
        else:
            producer.commit_transaction(10)
    yield {"bootstrap.servers": f"{host.host}:{host.port}"}
    producer.flush(1)


def test_everything_is_read_once_in_each_partitions_order(broker: dict[str, str]) -> None:
    told: list[tuple[str, int, int]] = []
    found = [r for batch in everything(broker, "test", [TOPIC], lambda *step: told.append(step)) for r in batch]
    texts = [record.value.decode() for record in found if record.value and not record.value.startswith(b"6/")]
    assert sorted(texts) == sorted(f"{run}/{number}" for run in range(6) for number in range(100))
    for partition in {record.partition for record in found}:
        offsets = [record.offset for record in found if record.partition == partition]
        assert offsets == sorted(offsets)
    assert told[-1][1] == told[-1][2] > 0


def test_the_newest_records_of_each_partition_are_found(broker: dict[str, str]) -> None:
    found = newest(broker, "test", [TOPIC])
    newest_of = {record.partition: record.headers["ce_id"] for record in found}
    assert newest_of and all(ce_id.split("/")[0] in "56" for ce_id in newest_of.values())
    assert len(found) <= LOOK_BACK * len(newest_of)
    assert all("traceparent" not in record.headers for record in found)


def test_a_topic_that_is_not_there_is_named(broker: dict[str, str]) -> None:
    with pytest.raises(Unreachable, match="could not be read"):
        newest(broker, "test", ["absent.events"])
