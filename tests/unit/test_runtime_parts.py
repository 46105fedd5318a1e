"""The parts of the fenced consumer that need no server: runs, what is transient, stillness, and who ends a process."""

from __future__ import annotations

import inspect
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psycopg2
import psycopg2.errors
import pytest
import sqlalchemy.exc
from aiokafka.consumer.consumer import AIOKafkaConsumer
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import Retry, Stop, Undecodable, Unreachable
from infra.transient import is_transient
from streams.runtime import transport
from streams.runtime.parked import describe, reason_of
from streams.runtime.records import Place, Record, Run, as_headers
from streams.runtime.services import EXIT_FAILED
from streams.runtime.watchdog import OTHERS_PATIENCE, Stillness

PLACE = Place("cluster", "id", "payments.events", 0)
MINE = {("payments.events", 0)}


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """A run with gaps before and between its records, ending after the last, as the fetching thread labels them."""
    start = draw(st.integers(0, 50))
    offsets = sorted(draw(st.sets(st.integers(start, start + 30), min_size=1)))
    records = tuple(Record("payments.events", 0, offset, b"k", b"v", {}, 0) for offset in offsets)
    return Run(PLACE, start, offsets[-1] + 1, records)


@given(runs())
def test_a_run_taken_singly_has_each_record_once_and_no_hole(run: Run) -> None:
    singles = list(run.singly())
    assert [single.records[0] for single in singles] == list(run.records)
    assert [single.start for single in singles] == [run.start, *(single.end for single in singles[:-1])]
    assert singles[-1].end == run.end


@given(runs(), st.integers(0, 100))
def test_the_part_of_a_run_since_a_checkpoint_is_exactly_what_the_checkpoint_lacks(run: Run, known: int) -> None:
    part = run.since(known)
    assert part.end == run.end
    assert run.start <= part.start <= run.end
    assert part.records == tuple(record for record in run.records if record.offset >= known)


def test_a_run_holds_no_record_before_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new assignment fetches from Kafka's own offset, which lags behind the checkpoint, until it is sought: what lies before was taken."""
    monkeypatch.setattr(transport, "_record", lambda offset: Record("t", 0, offset, None, None, {}, 0))
    fetched = transport.Fetched(PLACE, 1, 1929, 1941, [1919, 1928, 1929, 1940])
    assert [each.offset for each in fetched.run().records] == [1929, 1940]


def test_headers_keep_text_show_broken_bytes_and_leave_absent_values_out() -> None:
    raw = (("ce_id", "ü".encode()), ("traceparent", None), ("odd", b"\xffa"))
    assert as_headers(raw) == {"ce_id": "ü", "odd": "\\xffa"}


def _states(*codes: str) -> Iterator[psycopg2.Error]:
    """Errors as psycopg2 raises them for these SQLSTATEs; only its pickling lets one set the code."""
    for code in codes:
        error: Any = psycopg2.errors.lookup(code)("as the server would say")
        error.__setstate__({"pgcode": code})
        yield error


TRANSIENT = [
    *_states("40001", "40P01", "55P03", "57P01", "57P03"),  # serialization, deadlock, lock, shutdown, starting up
    *_states("53300", "53100", "25006", "25P03"),  # too many connections, disk full, read only, idle in transaction
    psycopg2.OperationalError("server closed the connection unexpectedly"),
    psycopg2.InterfaceError("connection already closed"),
    sqlalchemy.exc.TimeoutError("the pool is empty"),
    sqlalchemy.exc.OperationalError("SELECT 1", {}, psycopg2.OperationalError("refused")),
    Retry("not yet"),
    Unreachable("the node is away"),
]
LASTING = [
    *_states("23505", "22012", "42P01", "42501", "25P02"),  # duplicate, division by zero, no table, no grant, failed
    Undecodable("no Avro"),
    Stop("a person is needed"),
    ValueError("a bug"),
]


@pytest.mark.parametrize("error", TRANSIENT, ids=repr)
def test_what_may_pass_by_itself_is_tried_again(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize("error", LASTING, ids=repr)
def test_what_will_not_pass_by_itself_is_not_tried_again(error: Exception) -> None:
    assert not is_transient(error)


def test_a_parked_message_bears_the_short_word_and_the_text_of_its_error() -> None:
    assert (reason_of(Undecodable("no Avro")), reason_of(KeyError("leg"))) == ("undecodable", "failed")
    assert describe(KeyError("leg")) == "KeyError: 'leg'"
    assert len(describe(ValueError("x" * 10_000))) == 2000


# --- the watchdog's judgement ----------------------------------------------------------------------------------------


def test_a_checkpoint_that_moves_is_never_probed() -> None:
    stillness = Stillness(8)
    for offset in range(100):
        stillness.observe({PLACE: offset}, MINE)
        assert not stillness.to_probe()


def test_a_message_may_wait_as_long_as_the_patience_and_no_longer() -> None:
    stillness = Stillness(8)
    looks = _looks_until_stalled(stillness, MINE)
    assert looks == 1 + 2 + 8, "the first look, a quarter of the patience to the probe, the patience"


def test_partitions_of_other_workers_get_more_patience_and_begin_anew_when_they_come_to_us() -> None:
    stillness = Stillness(8)
    for _ in range(1 + 2 + 8 + 3):
        _look(stillness, set())
    assert not stillness.stalled()
    _look(stillness, MINE)
    assert not stillness.stalled()
    assert _looks_until_stalled(Stillness(8), set()) == 1 + 2 + 8 * OTHERS_PATIENCE


def test_an_idle_partition_is_no_stalled_one() -> None:
    stillness = Stillness(4)
    for _ in range(100):
        stillness.observe({PLACE: 7}, MINE)
        if found := stillness.to_probe():
            stillness.probed(found, set())
        assert not stillness.stalled()


def _look(stillness: Stillness, mine: set[tuple[str, int]]) -> None:
    stillness.observe({PLACE: 7}, mine)
    if found := stillness.to_probe():
        stillness.probed(found, set(found))


def _looks_until_stalled(stillness: Stillness, mine: set[tuple[str, int]]) -> int:
    for looks in range(1, 100):
        _look(stillness, mine)
        if stillness.stalled():
            return looks
    raise AssertionError("never stalled")


# --- loops beside the consumer ---------------------------------------------------------------------------------------

PROCESS = """
import os
import sys
import threading
from streams.runtime import services
from streams.runtime.services import run_services

services.GRACE_SECONDS = 0.5

def crashes(stop):
    raise ValueError("the provider sent nonsense")

def returns(stop):
    pass

def waits(stop):
    os.write(1, b"waits\\n")  # in one piece, whoever else writes
    stop.wait()

def hangs(stop):
    threading.Event().wait()

sys.exit(run_services([globals()[name] for name in sys.argv[1:]]))
"""


@pytest.mark.parametrize("services", [("crashes", "waits"), ("returns", "waits"), ("hangs", "crashes")])
def test_a_loop_that_ends_unasked_ends_the_process(services: tuple[str, ...]) -> None:
    done = subprocess.run([sys.executable, "-c", PROCESS, *services], capture_output=True, text=True, timeout=60)
    assert done.returncode == EXIT_FAILED
    assert "process_fails" in done.stdout


def test_loops_end_in_good_order_when_asked() -> None:
    process = subprocess.Popen([sys.executable, "-c", PROCESS, "waits", "waits"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as told:  # both have begun, so both are listened to
        assert [told.readline().strip() for _ in range(2)] == ["waits", "waits"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


# --- what we reach into ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("owner", "name"), transport.REACHES_INTO, ids=str)
def test_each_private_name_that_the_transport_uses_is_still_there(owner: type, name: str) -> None:
    assert callable(getattr(owner, name))


def test_the_driver_still_reads_the_isolation_level_when_it_starts() -> None:
    assert "self._isolation_level" in inspect.getsource(AIOKafkaConsumer.start)
