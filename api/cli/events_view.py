"""How a stream looks in the terminal: an event a row, with when, what and why; a state by its fields; what two states differ in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from rich import box
from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from api.cli.fitting import Fitting
from connectors.explain import words
from connectors.explain.find_stream import Found
from schemas.definition import MESSAGES, hints
from streams.event_store.frozen import to_plain
from streams.event_store.recorded import RecordedEvent
from streams.history import Diff, flat

STYLES: Mapping[str, str] = {
    "refused": "bold red", "declined": "bold red", "unpaid": "bold red", "reverted": "red", "frozen": "red", "unseen": "yellow",
    "reversed": "yellow", "expired": "yellow", "queued": "yellow", "released": "yellow", "settled": "green", "finalized": "green",
    "authorized": "green", "captured": "green", "verified": "green", "unfrozen": "green",
}  # fmt: skip
"""The end of an event's name -> how it looks; all others are as they are."""
QUIET = {"payment_id", "account_id", "decimals", "currency", "block_hash", "log_index"}
"""Fields that a row need not repeat; `--json` has them."""
SHORT = 20
TOLD = (
    "position",
    "event_id",
    "stream_id",
    "version",
    "category",
    "type",
    "schema_version",
    "payload",
    "metadata",
    "recorded_at",
)


def as_told(event: RecordedEvent) -> dict[str, Any]:
    """An event for machines."""
    return {name: getattr(event, name) for name in TOLD} | {"hash": event.hash.hex()}


def head(found: Found) -> Text:
    """Whose stream it is."""
    return Text.assemble(
        (f"{found.category} ", "dim"), (str(found.stream_id), "bold cyan"), (f"  found by {found.found_by}", "dim")
    )


def stream(found: Found, events: Sequence[RecordedEvent], state: Any, as_of: str | None) -> Group:
    """All of it, and what it came to."""
    then = Text(
        f"as of {as_of}, version {events[-1].version}" if as_of is not None else f"now, version {events[-1].version}"
    )
    return Group(
        head(found),
        _table(events, _currency(state)),
        Panel(_state(state), title=then, title_align="left", border_style="cyan"),
    )


def diff(found: Found, told: Diff) -> Group:
    """What happened, then what changed."""
    changed = Table(
        "what", "before", "after", box=box.SIMPLE_HEAD, pad_edge=False, title="What it changed", title_justify="left"
    )
    for column in changed.columns[1:]:
        column.overflow = "fold"
    for each in told.changes:
        changed.add_row(
            Text(each.path), Text(_value(each.before), style="red"), Text(_value(each.after), style="green")
        )
    between = Text(f"versions {told.before.event.version} to {told.after.event.version}", style="dim")
    same: list[Any] = (
        [Fitting(changed)] if told.changes else [Text("Nothing in its state is another than before.", style="dim")]
    )
    return Group(
        head(found), between, *([_table(told.events, _currency(told.after.state))] if told.events else []), *same
    )


def line(event: RecordedEvent, before: RecordedEvent | None, state: Any) -> Text:
    """One event as a line of its own, for one who watches; `state`: any of the stream's, for its currency."""
    cells = row(event, before, _currency(state))
    parts = zip(cells, (5, 12, 10, 26), strict=False)
    told = Text("  ").join(Text(part.plain.ljust(width), style=part.style) for part, width in parts)
    return Text.assemble(told, "  ", cells[4])


def row(event: RecordedEvent, before: RecordedEvent | None, currency: str) -> tuple[Text, Text, Text, Text, Text, Text]:
    """Version, time (UTC), how long after the one before, type, what it says, why. `currency`: of amounts that do not say theirs."""
    metadata, payload = event.metadata, {"currency": currency, **event.payload}
    at = event.recorded_at.astimezone(UTC)
    why = f"{metadata['command']} by {metadata['actor']}"
    return (
        Text(str(event.version), style="dim"),
        Text(f"{at:%H:%M:%S.%f}"[:-3]),
        Text(
            words.since(event.recorded_at, before.recorded_at) if before else f"{at:%Y-%m-%d}",
            style="dim",
        ),
        Text(event.type, style=_style(event.type)),
        Text(", ".join(_said(name, event.payload[name], payload) for name in _fields(event))),
        Text(f"{why} ← {words.short(metadata['causation_id'])}", style="dim"),
    )


def _table(events: Sequence[RecordedEvent], currency: str) -> Fitting:
    table = Table("", "time, UTC", "after", "event", "what it says", "why", box=box.SIMPLE_HEAD, pad_edge=False)
    for column, wrap in zip(table.columns, (True, True, True, True, False, False), strict=True):
        column.no_wrap, column.overflow = wrap, "fold"
    for before, event in zip([None, *events], events, strict=False):
        table.add_row(*row(event, before, currency))
    return Fitting(table)


def _state(state: Any) -> Fitting:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    plain = to_plain(state)
    for path, value in flat(plain).items():
        if value is not None:
            table.add_row(Text(path), Text(_value(value, whole=True) + _read(path, value, plain)))
    return Fitting(table)


def _currency(state: Any) -> str:
    return str(getattr(state, "currency", ""))


def _style(kind: str) -> str:
    return next((style for word, style in STYLES.items() if kind.lower().endswith(word)), "bold")


def _fields(event: RecordedEvent) -> list[str]:
    """The fields worth a place in the row, in the order in which the message has them; then those that it has no more."""
    known = list(hints(cast(type, MESSAGES[event.type]))) if event.type in MESSAGES else []
    told = [name for name in dict.fromkeys((*known, *event.payload)) if _tells(name, event.payload.get(name))]
    return [name for name in told if name.replace("_raw", "_minor") not in told or not name.endswith("_raw")]


def _read(path: str, value: Any, plain: Mapping[str, Any]) -> str:
    """A raw amount of a state as a person reads it, behind its digits."""
    amount = path.endswith(("_raw", ".balance")) or path.startswith("holds[")
    if not amount or not str(value).isdigit() or "decimals" not in plain:
        return ""
    return f"  ({words.raw(value, int(plain['decimals']), plain['currency'])})"


def _tells(name: str, value: Any) -> bool:
    return name not in QUIET and value not in (None, "", False, "0")


def _said(name: str, value: Any, payload: Mapping[str, Any]) -> str:
    """A field with its value, amounts as a person reads them."""
    currency = str(payload.get("currency", ""))
    if name.endswith("_raw") and "decimals" in payload:
        return f"{name.removesuffix('_raw')} {words.raw(value, payload['decimals'], currency)}"
    if name == "block_time":
        return f"{name} {datetime.fromtimestamp(int(value), UTC):%Y-%m-%d %H:%M:%S}"
    if name.endswith("_minor"):
        return f"{name.removesuffix('_minor')} {words.minor(value, currency).strip()}"
    return f"{name} {_value(value)}"


def _value(value: Any, *, whole: bool = False) -> str:
    if isinstance(value, list):
        return ", ".join(_value(each, whole=whole) for each in value)
    text = "-" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return text if whole or len(text) <= SHORT or {" ", ":"} & set(text) or text.isdigit() else words.short(text)
