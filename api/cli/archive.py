"""`payriver archive`: moves closed payments to the cold partitions of the event store. Nothing is changed, nothing is lost, all is read as before.

`--outbox` drops slices of the outbox that were delivered long ago (`outbox_drops.py` of this room).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from api.cli.options import HomeOption, JsonOption, by_option, moment
from api.cli.outbox_drops import drop_slices
from api.roots.root import Root
from infra.errors import BadInput
from streams.event_store import slices


def archive(
    before: Annotated[
        str, typer.Option(help="Day or time (ISO 8601; UTC where it says no zone) before which they closed.")
    ],
    by: Annotated[str, by_option("Who drops; kept with what went.")],
    outbox: Annotated[
        bool, typer.Option("--outbox", help="Instead, drop whole slices of the outbox that are delivered and older.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many would move, or what would go.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move payments that closed before a day to cold partitions, a few hundred in a transaction; ended at any time, it goes on when called again."""
    until = moment_that_is_over(before)
    if outbox:
        drop_slices(until, by, home, dry_run=dry_run, as_json=as_json)
        return
    operator = Root.begin("operator", home).write
    wanted = slices.closed(operator, until)
    streams = events = 0
    if not dry_run:
        err = Console(stderr=True)
        with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
            task = progress.add_task("closed payments", total=wanted)
            for moved in slices.archive(operator, until):
                streams, events = streams + moved[0], events + moved[1]
                progress.advance(task, moved[0])
    if as_json:
        typer.echo(json.dumps({"before": until.isoformat(), "closed": wanted, "streams": streams, "events": events}))
    elif dry_run:
        typer.echo(f"{wanted} payments closed before {until.isoformat()} and would move")
    else:
        typer.echo(f"{streams} payments with {events} events moved to cold partitions")


def moment_that_is_over(told: str) -> datetime:
    """Raises BadInput for what is no time, or one that has not come: what is not over cannot be archived."""
    until = moment(told)
    if until > datetime.now(UTC):
        raise BadInput(f"{until.isoformat()} has not come yet; give a day that is over")
    return until
