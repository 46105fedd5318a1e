"""A topic that was just made has no leader for a moment: whoever reads it asks again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from connectors.recovery import reading


class Broker:
    """Refuses the first questions of each kind with this code."""

    def __init__(self, code: int, refusals: int) -> None:
        self._code, self._left = code, {"topics": refusals, "bounds": refusals}

    def _must_lead(self, what: str) -> None:
        if self._left[what] > 0:
            self._left[what] -= 1
            raise KafkaException(KafkaError(self._code))

    def list_topics(self, topic: str, seconds: float) -> Any:
        self._must_lead("topics")
        return SimpleNamespace(topics={topic: SimpleNamespace(error=None, partitions={1: None, 0: None})})

    def get_watermark_offsets(self, part: TopicPartition, seconds: float) -> tuple[int, int]:
        self._must_lead("bounds")
        return 3, 5 + part.partition


@pytest.mark.parametrize("code", reading.NO_LEADER)
def test_a_partition_whose_leader_is_still_to_come_is_asked_again(code: int) -> None:
    found = list(reading._partitions(Broker(code, 2), ["payments.events"]))
    assert [(each.topic, each.partition, low, high) for each, low, high in found] == [
        ("payments.events", 0, 3, 5),
        ("payments.events", 1, 3, 6),
    ]


def test_what_does_not_pass_by_itself_is_told_at_once() -> None:
    with pytest.raises(KafkaException):
        list(reading._partitions(Broker(KafkaError.TOPIC_AUTHORIZATION_FAILED, 1), ["payments.events"]))
