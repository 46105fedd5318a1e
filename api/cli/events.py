"""`payriver events STREAM` and `payriver diff STREAM FROM TO`: what happened to a payment or an account, as it was and as it comes."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from sqlalchemy import Engine

from api.cli import events_view as view
from api.cli.options import HomeOption, JsonOption, listened
from api.roots.root import Root
from connectors.explain.find_stream import Found, find_stream
from infra.database import transaction
from infra.errors import BadInput
from streams import history
from streams.event_store import store
from streams.event_store.frozen import to_plain
from streams.event_store.points import AtVersion, point_of, version_at
from streams.event_store.recorded import RecordedEvent

LOOK_SECONDS = 0.3
STREAM = typer.Argument(
    metavar="STREAM",
    help="A payment or an account: its id (or 8 digits of it), a wallet, a card's token, the network's reference, a transaction.",
)
POINT = "A version (7), a time with its zone (2026-03-01T12:00:00Z), or a block (block:41022)."


def events(
    stream: Annotated[str, STREAM],
    as_of: Annotated[str | None, typer.Option("--as-of", help=f"Only what had happened then. {POINT}")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stay, and tell what comes; Ctrl-C ends it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; with --follow a line an event.")] = False,
    home: HomeOption = None,
) -> None:
    """Everything that happened to a payment or an account, with when, why and by whom, and the state that it came to."""
    if follow and as_of is not None:
        raise BadInput("--follow tells what is still to come, --as-of what was: give one of them")
    point = point_of(as_of) if as_of is not None else None
    root = Root.begin("auditor", home=home)
    with transaction(root.write) as write, transaction(root.read) as read:
        found = find_stream(write, read, stream)
        version = version_at(write, found.stream_id, point) if point is not None else store.MAX_VERSION
        told = store.read_stream(write, found.stream_id, up_to=version)
        at = history.as_of(write, found.stream_id, AtVersion(told[-1].version))
    if follow:
        _follow(root.write, found, told, as_json, at.state)
    elif as_json:
        state = {"version": at.event.version, "state": to_plain(at.state)}
        _print({**vars(found), "as_of": as_of, **state, "events": [view.as_told(event) for event in told]})
    else:
        Console().print(view.stream(found, told, at.state, as_of))


def diff(
    stream: Annotated[str, STREAM],
    start: Annotated[str, typer.Argument(metavar="FROM", help=f"What came after this. {POINT}")],
    end: Annotated[str, typer.Argument(metavar="TO", help="Up to this, in the same words.")],
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """What happened to a payment or an account between two points, and what it changed."""
    root = Root.begin("auditor", home=home)
    with transaction(root.write) as write, transaction(root.read) as read:
        found = find_stream(write, read, stream)
        told = history.diff(write, found.stream_id, point_of(start), point_of(end))
    if not as_json:
        Console().print(view.diff(found, told))
        return
    versions = {"from_version": told.before.event.version, "to_version": told.after.event.version}
    changed = [vars(each) for each in told.changes]
    _print({**vars(found), **versions, "events": [view.as_told(each) for each in told.events], "changes": changed})


def _follow(write: Engine, found: Found, told: list[RecordedEvent], as_json: bool, state: Any) -> None:
    """What there is, then what comes, an event as soon as it is there; until Ctrl-C, or until nobody reads it."""
    console, before = Console(), None
    if not as_json:
        console.print(view.head(found))
    try:
        for event in _coming(write, told):
            if as_json:
                _print(view.as_told(event), lines=True)
            else:
                console.print(view.line(event, before, state))
            before = event
    except KeyboardInterrupt:
        return


def _coming(write: Engine, told: list[RecordedEvent]) -> Iterator[RecordedEvent]:
    last = told[-1]
    while True:
        yield from told
        last = told[-1] if told else last
        time.sleep(LOOK_SECONDS)
        if not listened(sys.stdout):
            return
        with transaction(write) as cursor:
            told = store.read_stream(cursor, last.stream_id, after=last.version)


def _print(value: dict[str, Any], *, lines: bool = False) -> None:
    option = orjson.OPT_APPEND_NEWLINE | (0 if lines else orjson.OPT_INDENT_2)
    typer.echo(orjson.dumps(value, option=option).decode(), nl=False)
