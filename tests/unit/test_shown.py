"""What is shown is shown as it is, whatever words a poison message or a person put into it."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from rich.console import Console

from api.cli import parked_view as view
from api.cli import verify
from api.cli.audit_view import show_closings
from connectors.verify.report import Verification, Waiting
from streams.audit_log.closing import Closing
from streams.runtime.parked import ParkedMessage
from streams.runtime.records import Record
from streams.runtime.replay import Replayed

WORDS = "[/] [/red] [bold]x"
RECORD = Record("payments.events", 0, 7, WORDS.encode(), b"\x00", {"ce_type": WORDS}, 0)
ID = UUID("0b1f0a2e-6a52-5d5b-9d0a-2f7f1c3b9c11")
SINCE = datetime(2026, 3, 1, tzinfo=UTC)
POISON = ParkedMessage(ID, "projections", "topic", RECORD, "parked", "undecodable", WORDS, SINCE, None, None, None)
ENDED = replace(POISON, state="discarded", ended_at=SINCE, ended_by="ada", end_reason=WORDS)


def shown(show: Callable[[Console], None]) -> str:
    """What a wide terminal has of it."""
    file = io.StringIO()
    show(Console(file=file, width=200))
    return file.getvalue()


@pytest.mark.parametrize(
    "show",
    [
        lambda out: view.print_list(out, [POISON], [], []),
        lambda out: view.print_list(out, [ENDED], [], []),
        lambda out: view.show_message(out, POISON, 0, {"undecodable": WORDS}, as_json=False),
        lambda out: view.print_replayed(out, Replayed(1, POISON)),
    ],
    ids=["list", "list of all", "show", "replay"],
)
def test_a_poison_message_is_shown_with_its_own_words(show: Callable[[Console], None]) -> None:
    told = shown(show)
    assert WORDS in told and "[dim]" not in told


def test_a_closed_log_is_shown_with_the_reason_that_a_person_gave() -> None:
    texts = dict.fromkeys(("broken", "closed_at", "log_id", "root", "witness_root"), "x")
    made = Closing.made(because=WORDS, closed_by=WORDS, size=1, witness_size=1, **texts)
    assert f"{WORDS}: {WORDS}" in shown(lambda out: show_closings(out, [made]))


def test_an_audit_shows_what_is_known_and_what_waits_with_its_own_words() -> None:
    result = Verification((), {}, waiting=(Waiting("sagas", WORDS, WORDS),), known=(WORDS,))
    assert shown(lambda out: verify.show(out, result)).count(WORDS) == 3
