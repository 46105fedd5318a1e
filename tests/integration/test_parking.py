"""Parking per key, run by run on a real PostgreSQL: what waits for a person keeps its order, and holds up nobody else."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psycopg2
import pytest

from infra.database import Cursor, transaction
from infra.errors import BadInput, Conflict, Retry, Stop
from streams.runtime import checkpoint, replay
from streams.runtime.consumer import process
from streams.runtime.records import Record, Run
from tests.integration.effects import Effects
from tests.integration.one_partition import Shore, shore, text_of

__all__ = ["shore"]


# --- what goes wrong -------------------------------------------------------------------------------------------------


class Raising:
    """Writes, then raises: always, or only beside a message with this text."""

    def __init__(self, error: Exception, text: str = "") -> None:
        self._error, self._text = error, text

    def apply(self, cursor: Cursor, records: Sequence[Record]) -> None:
        Effects().apply(cursor, records)
        if not self._text or self._text in [(record.value or b"").decode() for record in records]:
            raise self._error


@pytest.mark.parametrize("error", [Retry("not yet"), Stop("a person is needed"), psycopg2.OperationalError("gone")])
def test_what_may_pass_and_what_needs_a_person_parks_nothing_and_moves_nothing(shore: Shore, error: Exception) -> None:
    with pytest.raises(type(error)):
        shore.take(shore.run(0, ("a", "m0"), ("b", "m1")), Raising(error, "m1"))

    assert (shore.effects(), shore.waiting(), shore.next_offset()) == ([], [], 0)


def test_a_lock_that_is_not_to_be_had_in_time_is_tried_again(shore: Shore) -> None:
    class Impatient:
        def apply(self, cursor: Cursor, records: Sequence[Record]) -> None:
            cursor.execute("SET LOCAL lock_timeout = '50ms'; SELECT pg_advisory_xact_lock(4711)")

    with transaction(shore.engine) as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(4711)")
        with pytest.raises(psycopg2.errors.LockNotAvailable):
            shore.take(shore.run(0, ("a", "m0")), Impatient())
    assert shore.take(shore.run(0, ("a", "m0")), Impatient())
    assert shore.waiting() == []


def test_a_bug_parks_its_message_with_the_errors_own_words(shore: Shore) -> None:
    assert shore.take(shore.run(0, ("a", "m0"), ("b", "m1"), ("c", "m2")), Raising(ValueError("no such leg\x00"), "m1"))

    (message,) = shore.messages()
    assert (message.state, message.reason, message.error) == ("parked", "failed", "ValueError: no such leg\\x00")
    assert message.record == shore.run(0, ("a", "m0"), ("b", "m1")).records[1]
    assert shore.effects() == ["m0", "m2"]


def test_a_handler_that_goes_on_after_a_database_error_is_found_out(shore: Shore) -> None:
    class Careless:
        def apply(self, cursor: Cursor, records: Sequence[Record]) -> None:
            with suppress(psycopg2.Error):
                cursor.execute("SELECT 1 / 0")

    assert shore.take(shore.run(0, ("a", "m0")), Careless())
    assert shore.messages()[0].error == (
        "HandlerBrokeTransaction: the handler left its transaction in state 3; it may not commit, roll back, or go on after"
        " an error"
    )
    assert shore.next_offset() == 1


def test_what_was_replayed_once_waits_again_behind_a_message_that_fails_again(shore: Shore) -> None:
    """A consumer whose tables were thrown away reads from the beginning: what waited once is no more done than all the rest."""
    run = shore.run(0, ("a", "poison"), ("a", "m1"))
    assert shore.take(run)
    shore.heal("poison")
    assert shore.replay().done == 2
    with transaction(shore.engine) as cursor:
        checkpoint.rewind(cursor, shore.consumer, shore.place.topic)

    assert shore.take(run, Raising(BadInput("not yet again")))
    assert shore.waiting() == [("poison", "parked"), ("m1", "queued")]
    assert shore.replay().done == 2
    assert shore.effects() == ["poison", "m1"] * 2
    assert shore.waiting() == []


def test_a_message_with_an_endless_key_is_parked_like_any_other(shore: Shore) -> None:
    """An index holds no more than a third of a page; what could not be parked would be tried again for ever, and hold up its partition."""
    endless = "".join(random.Random(7).choices("0123456789abcdef", k=50_000))
    other = endless[:-1] + "x"
    assert shore.take(
        shore.run(0, (endless, "m0"), ("b", "m1"), (endless, "m2"), (other, "m3")), Raising(BadInput("no"), "m0")
    )

    assert shore.waiting() == [("m0", "parked"), ("m2", "queued")]
    assert (shore.effects(), shore.next_offset()) == (["m1", "m3"], 4)
    assert shore.replay().done == 2
    assert shore.waiting() == []


def test_a_message_of_broken_bytes_and_no_value_can_be_parked(shore: Shore) -> None:
    class Refusing:
        def apply(self, cursor: Cursor, records: Sequence[Record]) -> None:
            raise BadInput("no")

    record = Record(shore.place.topic, 1, 0, b"\xff\x00key", None, {"odd": "a\x00"}, 0)
    assert shore.take(Run(shore.place, 0, 1, (record,)), Refusing())

    (message,) = shore.messages()
    assert (message.record.key_text, message.record.value, message.reason) == ("\\xff\\x00key", None, "bad_input")
    assert message.record.headers == {"odd": "a\\x00"}


def test_a_hook_that_fails_after_the_commit_undoes_nothing(shore: Shore) -> None:
    told: list[int] = []

    def hook(records: Sequence[Record]) -> None:
        told.append(len(records))
        raise ValueError("nobody is awake")

    assert process(shore.engine, shore.consumer, Effects(), shore.run(0, ("a", "m0")), after_commit=hook)
    assert (shore.effects(), told, shore.waiting()) == (["m0"], [1], [])


# --- parking per key -------------------------------------------------------------------------------------------------


def test_a_keys_later_messages_wait_in_order_in_this_run_and_the_next(shore: Shore) -> None:
    shore.take(shore.run(0, ("a", "poison-0"), ("b", "m1"), ("a", "m2")))
    shore.take(shore.run(3, ("a", "m3"), ("b", "m4")))

    assert shore.effects() == ["m1", "m4"]
    assert shore.waiting() == [("poison-0", "parked"), ("m2", "queued"), ("m3", "queued")]


def test_a_message_without_a_key_holds_nobody_up(shore: Shore) -> None:
    shore.take(shore.run(0, (None, "poison-0"), (None, "m1"), ("", "m2")))
    assert (shore.effects(), shore.waiting()) == (["m1", "m2"], [("poison-0", "parked")])
    shore.heal("poison-0")
    assert shore.replay().done == 1


def test_a_replay_stops_at_the_first_that_fails_and_goes_on_from_there(shore: Shore) -> None:
    shore.take(shore.run(0, ("a", "poison-0"), ("a", "m1"), ("a", "poison-2"), ("a", "m3")))
    shore.heal("poison-0")

    first = shore.replay()
    assert first.stopped_at is not None
    assert (first.done, text_of(first.stopped_at), first.stopped_at.reason) == (2, "poison-2", "undecodable")
    assert shore.waiting() == [("poison-2", "parked"), ("m3", "queued")]

    shore.heal("poison-2")
    assert shore.replay().done == 2
    assert shore.effects() == ["poison-0", "m1", "poison-2", "m3"]


def test_a_discarded_message_is_never_taken_and_those_behind_it_wait_for_a_replay(shore: Shore) -> None:
    shore.take(shore.run(0, ("a", "poison-0"), ("a", "m1")))
    poison = shore.messages()[0]
    with pytest.raises(BadInput, match="reason"):
        replay.discard(shore.engine, poison.parked_id, by="test", reason=" ")

    ended = replay.discard(shore.engine, poison.parked_id, by="test", reason="sent by mistake")
    assert (ended.state, ended.ended_by, ended.end_reason) == ("discarded", "test", "sent by mistake")
    shore.take(shore.run(2, ("a", "m2")))
    assert shore.effects() == []
    assert shore.replay().done == 2
    assert shore.effects() == ["m1", "m2"]
    with pytest.raises(Conflict, match="discarded by test"):
        replay.replay(shore.engine, Effects(), poison.parked_id, by="test")


def test_redelivery_from_the_beginning_keeps_what_was_decided(shore: Shore) -> None:
    run = shore.run(0, ("a", "m0"), ("a", "poison-1"), ("a", "m2"), ("b", "poison-3"), ("c", "m4"))
    shore.take(run)
    replay.discard(shore.engine, shore.messages()[2].parked_id, by="test", reason="sent by mistake")
    with transaction(shore.engine) as cursor:
        checkpoint.rewind(cursor, shore.consumer, shore.place.topic)
    shore.take(run)

    assert shore.effects() == ["m0", "m4", "m0", "m4"], "what came before the parked one is not behind it"
    assert shore.waiting() == [("poison-1", "parked"), ("m2", "queued")]


def test_a_message_replayed_once_that_fails_when_redelivered_is_parked_again(shore: Shore) -> None:
    run = shore.run(0, ("a", "m0"))
    shore.take(run, Raising(ValueError("a bug")))
    assert shore.replay().done == 1
    with transaction(shore.engine) as cursor:
        checkpoint.rewind(cursor, shore.consumer, shore.place.topic)
    shore.take(run, Raising(ValueError("the bug again")))

    (message,) = shore.messages()
    assert (message.state, message.error, message.ended_at) == ("parked", "ValueError: the bug again", None)


def test_a_message_that_comes_while_its_key_is_replayed_is_neither_lost_nor_early(shore: Shore) -> None:
    shore.take(shore.run(0, ("a", "poison-0"), ("a", "m1")))
    shore.heal("poison-0")
    begun = threading.Event()

    class Slow(Effects):
        def apply(self, cursor: Cursor, records: Sequence[Record]) -> None:
            begun.set()
            time.sleep(0.2)
            super().apply(cursor, records)

    with ThreadPoolExecutor(1) as pool:
        replaying = pool.submit(shore.replay, Slow())
        begun.wait(5)
        for offset in range(2, 12):
            shore.take(shore.run(offset, ("a", f"m{offset}")))
        replaying.result(20)

    assert shore.effects() == ["poison-0", *(f"m{n}" for n in range(1, 12))]
    assert shore.waiting() == []
