"""Nothing of a table is cut off, however narrow the terminal is: what does not fit beside each other stands below each other."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from rich.console import Console
from rich.table import Table

from api.cli import events_view, parked_view, verify
from api.cli.chain_climb import Climbs, drawn
from api.cli.fitting import Fitting
from connectors.verify.report import Verification
from streams.event_store.recorded import RecordedEvent
from streams.runtime.parked import ParkedMessage
from streams.runtime.records import Record

WIDTHS = (40, 60, 80, 100, 200)
ID = UUID("0b1f0a2e-6a52-5d5b-9d0a-2f7f1c3b9c11")
TRANSFER = {"account_id": str(ID), "transfer_id": str(ID), "direction": "out", "kind": "settlement_in", "amount_raw": "12345678",
            "currency": "EUR", "decimals": 2, "tx_hash": "0xfde954db", "block_number": 41022}  # fmt: skip
METADATA = '{"command": "SeeTransfer", "actor": "listener", "causation_id": "85803897-6b8a-4c55-9d16-000000008031"}'
LEG = {"leg_id": str(ID), "kind": "spend", "amount_minor": 500, "block_number": 69, "block_time": 1796035204}


def event(kind: str, payload: dict[str, Any], category: str = "payment") -> RecordedEvent:
    return RecordedEvent(1, str(ID), ID, 1, category, kind, 1, payload, METADATA, "2026-03-01 12:30:00+00", "\\x00")


def lines(width: int, show: Callable[[Console], None]) -> list[str]:
    file = io.StringIO()
    show(Console(file=file, width=width))
    return file.getvalue().splitlines()


def words(told: list[str]) -> str:
    """Without what a wrapped word is broken by."""
    return re.sub(r"[\s│╭╮╰╯─]", "", "".join(told))


@pytest.mark.parametrize("width", WIDTHS)
def test_a_table_that_does_not_fit_becomes_paragraphs_and_says_all_the_same(width: int) -> None:
    table = Table("id", "amount", "why", title="what waits", box=None)
    table.columns[2].overflow = "fold"
    for number in range(2):
        table.add_row(str(ID), f"+1,234.5{number} EUR", "the [bold]node[/] said no, and said it again and again")
    told = lines(width, lambda out: out.print(Fitting(table)))
    assert all(len(line) <= width for line in told)
    for wanted in ("what waits", str(ID), "+1,234.50 EUR", "+1,234.51 EUR", "again and again", "amount"):
        assert wanted.replace(" ", "") in words(told), wanted
    assert "…" not in words(told)
    beside = any(str(ID) in line and "+1,234.50 EUR" in line for line in told)
    assert beside == (width >= 80)


def climbs(out: Console) -> None:
    made = Climbs(3)
    made.take([event("TransferSeen", TRANSFER, "account"), event("TransferUnseen", TRANSFER, "account"),
               event("TransferSeen", TRANSFER, "account")])  # fmt: skip
    out.print(drawn(made.rows.values(), {"latest": 9, "safe": 5, "finalized": 1}, (9, 1)))


def stream(out: Console) -> None:
    out.print(events_view._table([event("LegSettled", LEG)], "EUR"))


def poison(out: Console) -> None:
    record = Record("payments.events", 0, 7, b"poison", b"\x00", {}, 0)
    since = datetime(2026, 3, 1, tzinfo=UTC)
    parked_view.print_list(
        out,
        [ParkedMessage(ID, "projections", "topic", record, "parked", "undecodable", "", since, None, None, None)],
        [],
        [],
    )


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    ("show", "wanted"),
    [
        (climbs, ("-123,456.78 EUR", "41,022", "0xfde954db", "settlement_in", "finalized", "back after 1 reorg")),
        (stream, ("LegSettled", "amount 5.00 EUR", "block_number 69", "2026-11-30", "SeeTransfer by listener")),
        (poison, (str(ID), "payments.events/0@7", "projections", "undecodable", "2026-03-01")),
    ],
    ids=["chain watch", "events", "parked list"],
)
def test_no_view_cuts_off_what_it_is_there_to_tell(
    width: int, show: Callable[[Console], None], wanted: tuple[str, ...]
) -> None:
    told = words(lines(width, show))
    assert [word for each in wanted for word in each.split() if word not in told] == []
    assert "…" not in told.replace("0b1f0a2e-6…9c11", "").replace("85803897-6…8031", "")


@pytest.mark.parametrize("width", WIDTHS)
def test_an_audit_names_all_that_it_looked_at(width: int) -> None:
    result = Verification((), {"objects that databases are made of": 1455, "events whose outbox row was dropped": 0})
    told = " ".join(lines(width, lambda out: verify.show(out, result)))
    assert [word for what in result.checked for word in what.split() if word not in told] == [] and "1,455" in told


def test_an_event_says_its_times_in_utc_and_its_amounts_with_a_currency() -> None:
    """A leg's event names no currency: that of its payment is meant."""
    told = "\n".join(lines(200, stream))
    assert "time, UTC" in told and "amount 5.00 EUR" in told and "block_time 2026-11-30 10:40:04" in told
