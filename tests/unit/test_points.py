"""Points in the past as people write them, and what two states differ in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import cast

import pytest
import typer
from typer.testing import CliRunner

from api.cli.events import events
from infra.errors import BadInput
from schemas.definition import MESSAGES, hints
from streams.event_store.points import TOLD_LATER, AtBlock, AtTime, AtVersion, Point, point_of
from streams.history import Change, changes
from tests.given import HOLD, PAYMENT, SCREEN, approved, opened, request, seen, transfer


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("7", AtVersion(7)),
        (" v12 ", AtVersion(12)),
        ("block:41022", AtBlock(41022)),
        ("b41022", AtBlock(41022)),
        ("2026-03-01T12:00:00Z", AtTime(datetime(2026, 3, 1, 12, tzinfo=UTC))),
        ("2026-03-01T12:00:00.000120+01:00", AtTime(datetime(2026, 3, 1, 12, 0, 0, 120, timezone(timedelta(hours=1))))),
        ("2026-03-01", AtTime(datetime(2026, 3, 1, tzinfo=UTC))),
    ],
)
def test_a_point_is_a_version_a_time_or_a_block(text: str, point: Point) -> None:
    assert point_of(text) == point
    assert str(point)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "yesterday",
            "2026-03-01T12:00:00",
            "-1",
            "1.5",
            "block:",
            "block:x",
            "v",
            "9" * 12,
            "\u0667",
            "block:\u0667",
        ),
        *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"),
    ],
)
def test_what_is_no_point_is_named(text: str) -> None:
    with pytest.raises(BadInput, match=r"block:41022"):
        point_of(text)


def test_states_that_are_the_same_differ_in_nothing() -> None:
    assert list(changes(approved().customer, approved().customer)) == []


def test_what_differs_is_told_by_field_and_by_key() -> None:
    before = opened().given(request())
    was = before.customer, before.payment
    after = before.given(HOLD, SCREEN)
    amount = str(1_000 * 10**16)
    told = {each.path: each for each in changes(was[0], after.customer)}
    assert told[f"holds[{PAYMENT}]"] == Change(f"holds[{PAYMENT}]", None, amount)
    assert told["held_raw"] == Change("held_raw", "0", amount)
    assert Change("verdict", None, "passed") in list(changes(was[1], after.payment))
    gone = after.customer
    told = {each.path: each for each in changes(gone, after.given(seen(transfer())).customer)}
    assert told[f"holds[{PAYMENT}]"].after is None
    assert told[f"debits[{transfer().transfer_id}].seen"].after is True


def test_of_every_event_that_names_a_block_it_is_known_whether_it_tells_of_it_at_once() -> None:
    at_once = {
        *("AccountRegistered", "TransferSeen", "AllowanceObserved", "WithdrawalQueued", "IntegrityObserved", "LegSeen"),
    }
    named = {
        name
        for name, cls in MESSAGES.items()
        if cls.topic.endswith(".events") and "block_number" in hints(cast(type, cls))
    }
    assert named == at_once | set(TOLD_LATER), (
        "a new one: does it tell of its block when that is seen, or later (TOLD_LATER)?"
    )


def test_no_point_at_all_is_not_now_at_the_command_line() -> None:
    app = typer.Typer()
    app.command()(events)
    said = CliRunner().invoke(app, ["a payment", "--as-of", ""])
    assert isinstance(said.exception, BadInput) and "'' is no point in time" in str(said.exception)
