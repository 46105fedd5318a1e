"""The fenced consumer on a real broker and a real PostgreSQL: whatever happens to its workers, each message counts once."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
from confluent_kafka import TopicPartition

from infra.database import transaction
from infra.stack import access
from infra.stack.supervisor import Stack
from streams.runtime import checkpoint, replay
from streams.runtime.positions import Positions
from streams.runtime.services import EXIT_FAILED
from streams.runtime.watchdog import Kafka, messages_wait
from tests.integration.effects import Effects
from tests.integration.riverbed import Riverbed, riverbed
from tests.waiting import until


@pytest.fixture
def bed(stack: Stack, tmp_path: Path) -> Iterator[Riverbed]:
    with riverbed(stack, tmp_path) as dug:
        yield dug


def test_nothing_is_lost_and_nothing_counts_twice_through_kills_a_frozen_worker_and_failing_transactions(
    bed: Riverbed,
) -> None:
    done = threading.Event()
    producing = threading.Thread(target=_produce_until, args=(bed, done))
    producing.start()
    try:
        _maltreat(bed)
    finally:
        done.set()
        producing.join(30)
    until(lambda: len(bed.effects()) >= len(bed.sent), "every message taken", 60)
    last = bed.workers[-1]
    last.terminate()

    assert last.wait(20) == 0
    assert bed.doubled() == []
    taken = Counter(bed.effects())
    assert taken == Counter(bed.sent)
    assert not [text for text in taken if text.startswith("aborted")]


def _produce_until(bed: Riverbed, done: threading.Event) -> None:
    """Transactions of forty, every fourth aborted."""
    number = 0
    while not done.wait(0.1):
        abort = number % 4 == 3
        name = "aborted" if abort else "m"
        bed.send(*((f"key-{n % 60}", f"{name}-{number}-{n}") for n in range(40)), abort=abort)
        number += 1


def _maltreat(bed: Riverbed) -> None:
    """Kill the only worker; let two share; freeze one until its session has ended and thaw it; kill the other when they share again."""
    start = partial(bed.start, seconds=0.04, failing=0.05)
    first = start()
    until(lambda: len(bed.effects()) > 200, "a worker that works")
    first.kill()
    second, zombie = start(), start()
    _two_share(bed, "after the killed worker's session has ended")
    zombie.send_signal(signal.SIGSTOP)
    until(lambda: bed.shares() == [4], "the frozen worker's session at its end, and all with the other", 40)
    zombie.send_signal(signal.SIGCONT)
    _two_share(bed, "when the frozen one is back")
    second.kill()


def _two_share(bed: Riverbed, when: str) -> None:
    """Each holds half of the topic, and works on it."""
    until(lambda: bed.shares() == [2, 2], f"two that share, {when}", 40)
    before = bed.checkpoints()
    until(lambda: all(now > before[place] for place, now in bed.checkpoints().items()), f"work of both, {when}", 40)


def test_a_poison_message_is_parked_its_key_waits_in_order_and_all_others_go_on(bed: Riverbed) -> None:
    bed.start()
    bed.send(("anna", "a1"), ("bert", "b1"), ("anna", "poison-a2"), ("anna", "a3"), ("bert", "b2"), (None, "poison-x"))
    bed.send(("carl", "c1"), ("anna", "a4"), (None, "x2"))
    until(lambda: {"a1", "b1", "b2", "c1", "x2"} <= set(bed.effects()), "all other messages")
    until(lambda: len(_waiting(bed)) == 4, "the parked ones")

    assert [(text, state, reason) for text, state, reason, _ in _waiting(bed)] == [
        ("poison-a2", "parked", "undecodable"),
        ("a3", "queued", None),
        ("a4", "queued", None),
        ("poison-x", "parked", "undecodable"),
    ]
    assert bed.effects("key = 'anna'") == ["a1"]

    poison = _waiting(bed)[0][3]
    stopped = replay.replay(bed.engine, Effects(), poison, by="test").stopped_at
    assert stopped is not None and stopped.parked_id == poison
    bed.heal("poison-a2")
    assert replay.replay(bed.engine, Effects(), poison, by="test").done == 3
    bed.send(("anna", "a5"))
    until(lambda: "a5" in bed.effects(), "the key flows again")

    assert bed.effects("key = 'anna'") == ["a1", "poison-a2", "a3", "a4", "a5"]


def test_a_rewound_consumer_takes_everything_again_but_what_a_person_discarded(bed: Riverbed) -> None:
    bed.start()
    bed.send(("anna", "a1"), ("anna", "poison-a2"), ("anna", "a3"), *((f"k{n}", f"m{n}") for n in range(100)))
    until(lambda: len(bed.effects()) == 101 and len(_waiting(bed)) == 2, "the first delivery")
    poison = _waiting(bed)[0][3]
    replay.discard(bed.engine, poison, by="test", reason="never was a message")
    assert replay.replay(bed.engine, Effects(), _waiting(bed)[0][3], by="test").done == 1
    first = Counter(bed.effects())

    with bed.stack.postgres("write").superuser() as cursor:
        checkpoint.rewind(cursor, bed.consumer, bed.topic)
    until(lambda: len(bed.effects()) == 2 * first.total(), "everything a second time, from a running worker")
    time.sleep(0.5)

    assert Counter(bed.effects()) == first + first
    assert not _waiting(bed)
    assert "poison-a2" not in first


@pytest.mark.long
def test_a_consumer_rewound_in_mid_run_again_and_again_stands_still_at_none_of_them(bed: Riverbed) -> None:
    """Of what was fetched before a rewind and what comes after it nothing may be taken for read, or the last run is never met again."""
    messages = [(f"k{n % 40}", f"m{n}") for n in range(1500)]
    for start in range(0, len(messages), 100):
        bed.send(*messages[start : start + 100])
    bed.start(run_records=5, seconds=0.005)
    until(lambda: len(bed.effects()) == len(messages), "the first delivery", 120)
    reached = bed.checkpoints()
    for rewound in range(8):
        with bed.stack.postgres("write").superuser() as cursor:
            checkpoint.rewind(cursor, bed.consumer, bed.topic)
        taken = len(bed.effects())
        if rewound % 2:
            until(lambda: bed.checkpoints() == reached, f"all read again after rewind {rewound}", 60)
        else:  # the next rewind comes while this one is read
            until(partial(_more_than, bed, taken + 300), f"some read again after rewind {rewound}", 60)
    assert set(bed.effects()) == {text for _, text in messages}


def test_the_watchdog_tells_a_waiting_message_from_a_transactions_marker(bed: Riverbed) -> None:
    bed.send(*((f"k{n}", f"m{n}") for n in range(40)))
    bed.send(*((f"k{n}", f"aborted{n}") for n in range(40)), abort=True)
    bed.start(stall_seconds=2)
    until(lambda: len(bed.effects()) == 40, "all messages")
    places, never = bed.positions.places([bed.topic]), threading.Event()

    assert messages_wait(dict(bed.kafka), bed.consumer, dict.fromkeys(places, 0), never) == set(places)
    assert messages_wait(dict(bed.kafka), bed.consumer, bed.positions.read(places), never) == set()
    time.sleep(6)
    assert bed.workers[0].poll() is None, "an idle worker is no stalled one"


def test_a_worker_whose_checkpoint_stands_still_beside_waiting_messages_ends_itself(bed: Riverbed) -> None:
    worker = bed.start(stall_seconds=2, seconds=600)
    bed.send(("anna", "a1"))

    assert worker.wait(40) == EXIT_FAILED
    assert "the checkpoint stands still" in bed.log(1).read_text()


def test_a_worker_without_a_provisioned_checkpoint_ends_and_says_what_to_do(bed: Riverbed) -> None:
    with bed.stack.postgres("write").superuser() as cursor:
        cursor.execute("DELETE FROM checkpoints WHERE consumer = %s AND partition = 2", (bed.consumer,))
    worker = bed.start()

    assert worker.wait(30) == EXIT_FAILED
    assert "payriver provision" in bed.log(1).read_text()


def test_a_checkpoint_below_what_the_topic_has_kept_stops_the_worker_and_skips_nothing(bed: Riverbed) -> None:
    bed.send(*((f"k{n}", f"m{n}") for n in range(40)))
    gone = [TopicPartition(bed.topic, partition, 2) for partition in range(4)]
    for deleted in bed.admin.delete_records(gone).values():
        deleted.result()
    worker = bed.start()

    assert worker.wait(40) == EXIT_FAILED
    assert bed.effects() == []
    assert re.search(r"begins at 2: Kafka has deleted records\. .*`payriver recover`", bed.log(1).read_text())


def test_each_consumers_own_kafka_user_may_ask_what_the_runtime_asks(stack: Stack, bed: Riverbed) -> None:
    mine: Kafka = dict(access.kafka_client(stack.home, "commands"))
    places = Positions(bed.engine, "commands", mine).places(["payments.commands", "accounts.commands"])

    never = threading.Event()
    assert {place.topic for place in places} == {"payments.commands", "accounts.commands"}
    assert messages_wait(mine, "commands", dict.fromkeys(places, 0), never) <= set(places)


def _more_than(bed: Riverbed, count: int) -> bool:
    return len(bed.effects()) > count


def _waiting(bed: Riverbed) -> list[tuple[str, str, str | None, UUID]]:
    with transaction(bed.engine) as cursor:
        found = replay.find(cursor, consumer=bed.consumer)
    return [((m.record.value or b"").decode(), m.state, m.reason, m.parked_id) for m in found]
