"""W went on by itself after it was put back: what contradicts it was put aside, and a new R, or one made anew, says what W says."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import anyio
import pytest

from api.answers.health import Health
from api.roots.provisioning import Doors, River, let_it_flow, place_consumers
from connectors.verify.verification import verify
from infra.database import transaction
from infra.settings import Settings
from infra.stack.choice import stack_for_tests
from infra.stack.supervisor import Stack
from streams.notifications import endpoints
from streams.projections.second_copy import MODELS
from tests.integration.read_side import (
    SWIPE,
    WAIT_SECONDS,
    a_world,
    append,
    as_role,
    as_stored,
    assert_is_the_fold_of,
    known,
    read_models,
)
from tests.integration.read_side import rows as asked
from tests.integration.rebuilding import command, rebuild, trail, working, wrong
from tests.integration.recovery_side import EVENTS, Copied, copied, delivered, mend, rows
from tests.waiting import until
from tests.worlds import World

__all__ = ["copied"]

LOST = [*SWIPE[:2], ("freeze", 0, 0), ("reverse", 0, 0), ("request", 0, 300)]
"""Ends otherwise than a swipe that settles, from its third step on. Some of its events bear the ids of those that W has in their stead, as when a
command is decided a second time; they stand at other positions."""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack of its own: its W is put back."""
    with stack_for_tests(River()) as running:
        yield running


def part(world: World, events: slice) -> World:
    """A world with some of its events alone."""
    found = copy.copy(world)
    found.events = world.events[events]
    return found


def shown_aside(stack: Stack) -> int | None:
    """What the API says of it."""
    health = Health(as_role(stack, "write", "gateway"), as_role(stack, "read", "queries"), Settings())
    return anyio.run(health.readiness).set_aside_shown


@pytest.mark.long  # a minute; test_projector leaves out what was put aside, and test_rebuild takes each of a rebuild's steps
@pytest.mark.timeout(600)
def test_what_was_put_aside_is_shown_no_more_and_told_to_nobody(stack: Stack, copied: Copied, tmp_path: Path) -> None:
    name, read = "went-on", as_role(stack, "read", "auditor")
    lost, kept, gone = World.of(LOST, name=name), World.of(SWIPE, name=name), a_world()
    shared = next(i for i, (a, b) in enumerate(zip(lost.events, kept.events, strict=False)) if a.message != b.message)
    with working(stack, tmp_path, "projections"):
        append(stack, part(lost, slice(shared)))
        until(
            lambda: len(rows(stack, EVENTS)) == len(asked(read, "SELECT 1 FROM deliveries")),
            "the first on R",
            WAIT_SECONDS,
        )
    copied.take()
    with working(stack, tmp_path, "projections"):
        append(stack, gone)
        append(stack, part(lost, slice(shared, None)))
        until(lambda: known(read, [gone]) and len(rows(stack, EVENTS)) == len(asked(read, "SELECT 1 FROM deliveries")),
              "what will be lost, on R", WAIT_SECONDS)  # fmt: skip
    delivered(stack, len(rows(stack, EVENTS)))
    copied.put_back()
    append(stack, part(kept, slice(shared, None)))
    as_stored(stack, kept)
    assert (refused := command(stack, "rebuild", "--reason", "W is put back", "--yes")).returncode == 1
    assert "behind_topics" in refused.stderr and trail(stack) == []
    aside = mend(stack, park=True).parked
    let_it_flow(Doors.of(stack))
    assert aside > 0 and shown_aside(stack) == aside

    with transaction(as_role(stack, "write", "operator")) as cursor:
        endpoints.register(cursor, "https://example.com/hook", by="test")
        cursor.execute("UPDATE webhook_endpoints SET enabled_at = '2020-01-01'")
    with working(stack, tmp_path, "projections", "notifications"):
        told = "SELECT count(*) FROM webhook_messages WHERE type = 'card.transaction.confirmed'"
        until(lambda: rows(stack, told) == [(1,)], "what W says is told", WAIT_SECONDS)
        assert wrong(stack), "R was told what W does not say, before anybody could know"
        rebuild(stack)
        until(partial(_is_w, stack, kept), "R says what W says", WAIT_SECONDS)
    audited = verify(as_role(stack, "write", "auditor"), read, None, patience=0)
    assert [each for each in audited.differences if each.table == "webhook_messages"] == [], "told of what is not so"
    assert shown_aside(stack) == 0 and read_models(read, gone)["payments"] == []
    assert asked(read, "SELECT 1 FROM parked_messages WHERE state IN ('parked', 'queued')") == []
    right = read_models(read, kept)

    with stack.postgres("read").superuser() as cursor:  # a new R
        cursor.execute(f"TRUNCATE {', '.join(MODELS)}, lost_events; UPDATE checkpoints SET next_offset = 0")
    audited = verify(as_role(stack, "write", "auditor"), read, None, patience=0)
    assert len([each for each in audited.differences if each.table == "lost_events"]) == aside
    place_consumers(Doors.of(stack))
    with working(stack, tmp_path, "projections"):
        until(partial(_is_w, stack, kept), "a new R says what W says", WAIT_SECONDS)
    assert read_models(read, kept) == right and shown_aside(stack) == 0


def _is_w(stack: Stack, world: World) -> bool:
    """R knows all that W holds, each at its place, and shows it rightly."""
    read = as_role(stack, "read", "projections")
    if len(rows(stack, EVENTS)) != len(asked(read, "SELECT 1 FROM deliveries WHERE topic IS NOT NULL")):
        return False
    assert_is_the_fold_of(read, world)
    assert wrong(stack) == []
    return True
