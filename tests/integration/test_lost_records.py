"""Kafka's machine loses its power before the newest records are on its disk: named at the start, announced again, and nothing stepped over."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.roots.provisioning import Doors, River, let_it_flow, place_consumers
from infra.database import transaction
from infra.errors import LostRecords
from infra.stack.choice import stack_for_tests
from infra.stack.supervisor import Stack
from tests.integration.read_side import WAIT_SECONDS, a_worker, a_world, append, as_role, assert_is_the_fold_of, known
from tests.integration.recovery_side import EVENTS, delivered, mend, recovery, rows
from tests.integration.torn_log import tear
from tests.waiting import until

WORDS = r"projections has come to offset \d+ of \w+\.events/\d+, which ends at \d+: Kafka has lost records\. .*`payriver recover`"
LENGTH, BEFORE = (
    slice(8, 12),
    12,
)  # a batch: its first offset, how many bytes follow, those bytes (Kafka's record batch, version 2)
CONTROL = 0x20


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack of its own: its broker loses records."""
    with stack_for_tests(River()) as running:
        yield running


def lose_power(stack: Stack, topic: str, batches: int) -> int:
    """The broker, as it comes back from a power failure that so many batches of records did not outlive. Gives in how many partitions."""
    stack.kill("connect")
    stack.kill("kafka")
    torn = tear(stack.home.path("kafka"), topic, batches)
    stack.start_process("kafka")
    return torn


@pytest.mark.timeout(400)
def test_records_that_kafka_lost_stop_who_had_come_by_them_and_are_announced_again(
    stack: Stack, tmp_path: Path
) -> None:
    read, worlds = as_role(stack, "read", "projections"), [a_world() for _ in range(6)]
    worker = a_worker(stack, "projections", 1, tmp_path)
    for world in worlds[:5]:
        append(stack, world)
    until(lambda: known(read, worlds[:5]), "the first events on R", WAIT_SECONDS)
    worker.terminate()
    worker.wait(30)
    assert recovery(stack).look(lambda *_: None).agrees

    assert lose_power(stack, "payments.events", batches=1)
    refused = a_worker(stack, "projections", 2, tmp_path)
    assert refused.wait(60) != 0
    assert re.search(WORDS, (tmp_path / "projections-2.log").read_text())
    with pytest.raises(LostRecords, match=WORDS):
        place_consumers(Doors.of(stack))

    stack.start_process("connect")
    plan = recovery(stack).look(lambda *_: None)
    assert plan.lacking > 0 and plan.astray > 0 and not plan.agrees
    done = mend(stack)
    assert (done.announced, done.set_right) == (plan.lacking, plan.astray)
    let_it_flow(Doors.of(stack))

    last = a_worker(stack, "projections", 3, tmp_path)
    append(stack, worlds[5])
    until(lambda: known(read, worlds), "all events on R, each at its place", WAIT_SECONDS)
    last.terminate()
    last.wait(30)
    for world in worlds:
        assert_is_the_fold_of(read, world)
    stored = {str(row[1]) for row in rows(stack, EVENTS)}
    assert (
        delivered(stack, len(stored)).keys() == stored
    )  # what lost its transaction's marker alone may come a second time
    twice = 'SELECT 1 FROM deliveries GROUP BY topic, partition, "offset" HAVING count(*) > 1'
    with transaction(read) as cursor:
        cursor.execute(twice)
        assert cursor.fetchall() == []
    assert recovery(stack).look(lambda *_: None).agrees
