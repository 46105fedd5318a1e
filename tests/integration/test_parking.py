"""The fence and parking per key, run by run on a real PostgreSQL: no broker is needed to know what a run may do."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psycopg2
import pytest
from sqlalchemy import Engine

from infra.database import Cursor, engine, transaction
from infra.errors import BadInput, Conflict, MissingCheckpoint, Retry, Stop
from infra.stack import access
from infra.stack.supervisor import Stack
from streams.runtime import checkpoint, replay
from streams.runtime.consumer import Handler, is_transient, process
from streams.runtime.records import Place, Record, Run
from tests.integration import effects
from tests.integration.effects import Effects
from tests.integration.riverbed import ROLE


class Shore:
    """A consumer with one partition's checkpoint at 0, and its table of effects."""

    def __init__(self, database: Engine) -> None:
        self.engine = database
        self.consumer = f"shore-{uuid.uuid4().hex[:8]}"
        self.place = Place("cluster", f"id-{self.consumer}", "payments.events", 1)

    def run(self, start: int, *messages: tuple[str | None, str]) -> Run:
        """Messages of (key, text) at `start` and after."""
        return Run(self.place, start, start + len(messages), tuple(self._records(start, messages)))

    def take(self, run: Run, handler: Handler | None = None) -> bool:
        return process(self.engine, self.consumer, handler or Effects(), run)

    def effects(self) -> list[str]:
        return [str(row[0]) for row in self._all("SELECT id FROM effects ORDER BY at")]

    def waiting(self) -> list[tuple[str, str]]:
        return [(_text(m), m.state) for m in self.messages()]

    def messages(self) -> list[replay.ParkedMessage]:
        with transaction(self.engine) as cursor:
            return replay.find(cursor, consumer=self.consumer)

    def replay(self, handler: Handler | None = None) -> replay.Replayed:
        return replay.replay(self.engine, handler or Effects(), self.messages()[0].parked_id, by="test")

    def heal(self, text: str) -> None:
        with transaction(self.engine) as cursor:
            cursor.execute("INSERT INTO healed VALUES (%s)", (text,))

    def next_offset(self) -> int:
        with transaction(self.engine) as cursor:
            return checkpoint.next_offset(cursor, self.consumer, self.place)

    def _all(self, sql: str) -> list[tuple[object, ...]]:
        with transaction(self.engine) as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def _records(self, start: int, messages: Sequence[tuple[str | None, str]]) -> Iterator[Record]:
        for offset, (key, text) in enumerate(messages, start):
            raw = None if key is None else key.encode()
            yield Record(self.place.topic, 1, offset, raw, text.encode(), {"ce_id": text}, 1_700_000_000_000)


@pytest.fixture
def shore(stack: Stack) -> Iterator[Shore]:
    database = engine(access.database_url(stack.home, "write", ROLE))
    shore = Shore(database)
    with stack.postgres("write").superuser() as cursor:
        cursor.execute(f"{effects.DROP}; {effects.TABLES}")
        cursor.execute(f"GRANT SELECT, INSERT ON effects, healed TO {ROLE}; GRANT USAGE ON effects_at_seq TO {ROLE}")
        checkpoint.provision(cursor, shore.consumer, [shore.place])
    yield shore
    database.dispose()
    with stack.postgres("write").superuser() as cursor:
        cursor.execute(effects.DROP)
        cursor.execute("DELETE FROM checkpoints WHERE consumer = %s", (shore.consumer,))
        cursor.execute("DELETE FROM parked_messages WHERE consumer = %s", (shore.consumer,))


# --- the fence -------------------------------------------------------------------------------------------------------


def test_a_run_that_was_applied_before_is_left_alone_and_one_that_overlaps_is_trimmed(shore: Shore) -> None:
    run = shore.run(0, ("a", "m0"), ("a", "m1"), ("b", "m2"))
    assert shore.take(run)
    assert shore.take(run)
    assert shore.take(shore.run(1, ("a", "m1"), ("b", "m2"), ("b", "m3")))

    assert shore.effects() == ["m0", "m1", "m2", "m3"]
    assert shore.next_offset() == 4


def test_a_run_after_a_hole_moves_nothing(shore: Shore) -> None:
    assert not shore.take(shore.run(5, ("a", "m5")))
    assert not shore.take(shore.run(5, ("a", "poison-m5")))

    assert (shore.effects(), shore.waiting(), shore.next_offset()) == ([], [], 0)


def test_markers_and_aborted_messages_between_the_records_are_stepped_over(shore: Shore) -> None:
    records = (shore.run(0, ("a", "poison-0")).records[0], shore.run(4, ("b", "m4")).records[0])
    assert shore.take(Run(shore.place, 0, 5, records))

    assert (shore.effects(), shore.waiting(), shore.next_offset()) == (["m4"], [("poison-0", "parked")], 5)


def test_a_partition_without_a_checkpoint_is_an_error_and_never_offset_zero(shore: Shore) -> None:
    anew = Run(Place("cluster", "another id", "payments.events", 1), 0, 1, shore.run(0, ("a", "m0")).records)
    with pytest.raises(MissingCheckpoint, match="payriver provision"):
        shore.take(anew)


def test_two_workers_with_the_same_run_at_once_apply_it_once(shore: Shore) -> None:
    run = shore.run(0, *((f"k{n}", f"m{n}") for n in range(20)))
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda _: shore.take(run, Effects(seconds=0.1)), range(4)))

    assert shore.effects() == [f"m{n}" for n in range(20)]


def test_a_worker_frozen_inside_its_transaction_does_not_hold_the_partition_for_ever(shore: Shore) -> None:
    run = shore.run(0, ("a", "m0"))
    soon_ended = engine(shore.engine.url.render_as_string(hide_password=False), frozen_seconds=1)
    with pytest.raises(psycopg2.Error) as thawed, transaction(soon_ended) as frozen:
        checkpoint.advance(frozen, shore.consumer, run)
        Effects().apply(frozen, run.records)
        assert shore.take(run), "another worker waits for the row, and has it when the frozen session is ended"
        frozen.execute("SELECT 1")

    assert is_transient(thawed.value)
    assert shore.effects() == ["m0"]


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
    assert (first.done, _text(first.stopped_at), first.stopped_at.reason) == (2, "poison-2", "undecodable")
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


def _text(message: replay.ParkedMessage) -> str:
    return (message.record.value or b"").decode()
