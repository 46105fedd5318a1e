"""`payriver archive --outbox`: what lies in the outbox's slices, and those that were delivered before a day dropped, by the database's owner."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from api.cli.fitting import Fitting
from api.cli.stack import doors_of
from connectors.debezium.retention import Retention, Slice
from infra.database import engine

NAME = "payriver archive"


def drop_slices(before: datetime, by: str, home: Path | None, *, dry_run: bool, as_json: bool) -> None:
    """Print each slice with what became of it, or would. What was dropped before an error stays dropped, and is told."""
    doors, console = doors_of(home), Console(stderr=as_json)
    write = engine(doors.write_url, pool_size=1, application_name=NAME, frozen_seconds=0)
    retention = Retention(write, engine(doors.read_url, pool_size=1, application_name=NAME))
    told: list[Slice] = []
    try:
        with _bar() as progress:
            task = progress.add_task("slices of the outbox", total=None)

            def tell(what: str) -> None:
                progress.update(task, description=what)

            for each in retention.look(before, tell) if dry_run else retention.drop(before, by, tell):
                told.append(each)
                progress.advance(task)
    finally:
        if as_json:
            typer.echo(
                json.dumps({"before": before.isoformat(), "dry_run": dry_run, "slices": [_json(each) for each in told]})
            )
        elif told:
            console.print(_table(told, dry_run=dry_run))


def _bar() -> Progress:
    err = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=err, transient=True, disable=not err.is_terminal)


def _table(told: Sequence[Slice], *, dry_run: bool) -> Fitting:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for name, justify in (
        ("slice", "left"),
        ("numbers", "right"),
        ("events", "right"),
        ("orders", "right"),
        ("MB", "right"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    table.add_column("newest row, UTC")
    table.add_column("", overflow="fold")
    for each in told:
        goes = "[green]would go[/]" if dry_run else "[green]dropped[/]"
        read = each.newest is not None and bool(each.events or each.orders)
        counts = (f"{each.events:,}", f"{each.orders:,}") if read else ("", "")
        newest = each.newest.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if each.newest else ""
        stays = f"[dim]stays: {each.stays}[/]" if each.stays else goes
        table.add_row(
            each.name, f"{each.first:,} to {each.beyond - 1:,}", *counts, f"{each.bytes / 1e6:,.1f}", newest, stays
        )
    return Fitting(table)


def _json(each: Slice) -> dict[str, object]:
    newest = each.newest.isoformat() if each.newest else None
    told = {"slice": each.name, "first": each.first, "beyond": each.beyond, "bytes": each.bytes, "stays": each.stays}
    return told | {"events": each.events, "orders": each.orders, "newest": newest}
