"""The fence, run by run on a real PostgreSQL: a run counts once, whatever overlaps, lacks, waits or sleeps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest

from infra.database import engine, transaction
from infra.errors import MissingCheckpoint
from infra.transient import is_transient
from streams.runtime import checkpoint
from streams.runtime.records import Place, Run
from tests.integration.effects import Effects
from tests.integration.one_partition import Shore, shore

__all__ = ["shore"]


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
