"""`payriver projections`: the read models on R: how they stand, and made anew from the topics while the river runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from api.cli.options import HomeOption, JsonOption, by_option, reason_option
from api.roots.root import Root
from connectors.rebuild.rebuild import Plan, Rebuild
from connectors.rebuild.rebuild import Progress as Tell
from infra.database import engine, transaction
from infra.errors import BadInput
from streams.projections import rebuilds, second_copy
from streams.projections.rebuilds import RebuildRow
from streams.runtime.positions import client_config

out, err = Console(), Console(stderr=True)
ByOption = Annotated[str, by_option("Who decides it; kept.")]

projections = typer.Typer(no_args_is_help=True, help="The read models: what the API and the live page show.")


@projections.command()
def status(as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Say who made the read models anew, when and why, and whether somebody does so now."""
    with transaction(Root.begin("auditor", home=home).read) as cursor:
        found = rebuilds.find(cursor)
    if as_json:
        out.print_json(json.dumps([_as_json(each) for each in found]))
        return
    if not found:
        out.print("the read models were never made anew; `payriver projections rebuild` does it", highlight=False)
    for each in found:
        out.print(_told(each), highlight=False, soft_wrap=True)


@projections.command()
def rebuild(
    by: ByOption,
    reason: Annotated[str | None, reason_option("Why; kept with it.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether.")] = False,
    afresh: Annotated[
        bool, typer.Option("--afresh", help="Throw away what an unfinished one has made, and begin at the beginning.")
    ] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Make all read models anew from the topics, beside those that are shown, and then in their place. Ended at any time, said again it goes on."""
    work = _work(home)
    plan = work.look()
    if dry_run:
        _say(as_json, _plan_json(plan), _plan_table(plan))
        return
    if reason is None:
        raise BadInput("say --reason, for those who ask later why the read models were made anew")
    if not yes:
        _ask(plan)
    with _bar() as tell:
        done = work.run(by, reason, tell, afresh=afresh)
    _say(as_json, _as_json(done), _told(done))


@projections.command()
def abandon(by: ByOption, reason: Annotated[str, reason_option("Why; kept with it.")], home: HomeOption = None) -> None:
    """Throw away what an unfinished rebuild has made. What is shown stays as it is."""
    ended = _work(home).abandon(by, reason)
    out.print(f"rebuild {ended.rebuild_id} is abandoned; what is shown stays as it is", highlight=False)


def _work(home: Path | None) -> Rebuild:
    root = Root.begin("owner", home=home)
    copy = engine(
        root.settings.read_url, pool_size=1, application_name="payriver rebuild", seldom=True, schema=second_copy.SCHEMA
    )
    return Rebuild(root.write, root.read, copy, client_config(root.settings), root.codec)


def _ask(plan: Plan) -> None:
    """Raises BadInput where nobody is there to be asked."""
    if not sys.stdin.isatty():
        raise BadInput("nobody is there to be asked: say --yes, or look first with --dry-run")
    err.print(_plan_table(plan))
    typer.confirm("Make them anew?", abort=True, err=True)


def _plan_table(plan: Plan) -> Table:
    table = Table(box=None, show_header=False)
    table.add_row(
        f"{plan.offsets - plan.done:,}",
        "offsets of the topics to read" + (f", of {plan.offsets:,}" if plan.done else ""),
    )
    table.add_row(
        f"{sum(size for *_, size in plan.tables) / 1e6:,.1f}", "MB that the read models take, and for a while twice"
    )
    for name, count, size in plan.tables:
        table.add_row(f"[dim]{count:,}[/]", f"[dim]rows, about, in {name} ({size / 1e6:,.1f} MB)[/]")
    table.add_row(f"{plan.waiting:,}", "parked or queued messages, each taken anew or parked again")
    table.add_row(f"{plan.aside:,}", "events that were put aside, and are left out")
    if plan.running is not None:
        table.add_row("1", f"[yellow]begun and not ended: {_told(plan.running)}; it goes on[/]")
    return table


def _told(row: RebuildRow) -> Text:
    words = f"{row.rebuild_id}  {row.begun_at:%Y-%m-%d %H:%M} UTC  {row.state}  by {row.begun_by}: {row.reason}"
    if row.state == "done":
        words += f"  ({row.events:,} events, in place at {row.ended_at:%H:%M:%S})"
    elif row.ended_at is not None:
        words += f"  (ended by {row.ended_by}: {row.end_reason})"
    return Text(words, style={"done": "green", "running": "yellow"}.get(row.state, "dim"))


def _as_json(row: RebuildRow) -> dict[str, object]:
    told: dict[str, Any] = asdict(row) | {"code": row.code.hex()}
    return {name: value.isoformat() if name.endswith("_at") and value else value for name, value in told.items()}


def _plan_json(plan: Plan) -> dict[str, object]:
    tables = [{"table": name, "rows": count, "bytes": size} for name, count, size in plan.tables]
    running = _as_json(plan.running) if plan.running else None
    return {
        "offsets": plan.offsets,
        "done": plan.done,
        "tables": tables,
        "waiting": plan.waiting,
        "aside": plan.aside,
        "running": running,
    }


def _say(as_json: bool, told: dict[str, object], shown: Table | Text) -> None:
    if as_json:
        out.print_json(json.dumps(told))
    else:
        out.print(shown, soft_wrap=True)


@contextmanager
def _bar() -> Iterator[Tell]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("records")
        yield lambda what, done, total: progress.update(task, description=what, completed=done, total=total)
