"""`payriver snapshots`: the kept states of long streams: how many there are, made anew, thrown away. Nothing but time is lost with one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import orjson
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from api.cli.fitting import Fitting
from api.cli.options import HomeOption, JsonOption
from api.roots.root import Root
from infra.database import Cursor, transaction
from streams.aggregates import AGGREGATES
from streams.event_store import snapshots as kept
from streams.event_store.fingerprint import fingerprint
from streams.event_store.states import state_at

COUNTS = """
SELECT count(*) FILTER (WHERE fingerprint = %(code)s), count(*) FILTER (WHERE fingerprint <> %(code)s),
       coalesce(sum(octet_length(state::text)), 0)
FROM snapshots WHERE category = %(category)s
"""
DUE = """
SELECT s.stream_id, s.version FROM streams AS s LEFT JOIN snapshots AS n ON n.stream_id = s.stream_id AND n.fingerprint = %(code)s
WHERE s.category = %(category)s AND s.version >= %(every)s AND s.version - coalesce(n.version, 0) >= %(every)s
ORDER BY s.stream_id
"""
out = Console()

snapshots = typer.Typer(no_args_is_help=True, help="The kept states of long streams.")


@snapshots.command()
def status(as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Say how many there are, how many of other code, and how many streams are due one."""
    with transaction(Root.begin("auditor", home=home).write) as cursor:
        found = [_counted(cursor, category) for category in AGGREGATES]
    if as_json:
        typer.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
        return
    table = Table("aggregate", "one every", "kept", "of other code", "due", "bytes")
    for each in found:
        style = "yellow" if each["due"] else ""
        told = (f"{each['every']} events", str(each["kept"]), str(each["of_other_code"]))
        table.add_row(each["category"], *told, f"[{style}]{each['due']}[/]" if style else "0", f"{each['bytes']:,}")
    out.print(Fitting(table))
    if any(each["due"] for each in found):
        out.print(
            "Those that are due are kept when their stream is next loaded; `payriver snapshots rebuild` does it now."
        )


@snapshots.command()
def rebuild(
    everything: Annotated[
        bool, typer.Option("--all", help="Throw all away first, and fold every stream from its first event.")
    ] = False,
    home: HomeOption = None,
) -> None:
    """Keep the state of every stream that is due: after an upgrade, before the new processes are asked."""
    source = Root.begin("operator", home=home).write
    with transaction(source) as cursor:
        dropped = kept.drop(cursor) if everything else 0
        due = [each for category in AGGREGATES for each, _ in _due(cursor, category)]
    err = Console(stderr=True)
    with Progress(console=err, disable=not err.is_terminal) as progress:
        for stream_id in progress.track(due, description="streams"):
            with transaction(source) as cursor:
                at = state_at(cursor, stream_id)
                kept.save(cursor, [at.kept] if at is not None else [])
    out.print(f"{len(due)} snapshots made" + (f", {dropped} thrown away before" if everything else ""))


@snapshots.command()
def drop(
    stale: Annotated[bool, typer.Option("--stale", help="Only those that other code has folded.")] = False,
    streams: Annotated[list[UUID] | None, typer.Argument(metavar="STREAMS", help="Only of these streams.")] = None,
    home: HomeOption = None,
) -> None:
    """Throw snapshots away: all of them, those of some streams, or what an upgrade has left."""
    with transaction(Root.begin("operator", home=home).write) as cursor:
        dropped = kept.drop(cursor, streams or None, stale=stale)
    out.print(f"{dropped} snapshots thrown away; streams are folded from their events until they are kept again")


def _due(cursor: Cursor, category: str) -> Sequence[tuple[UUID, int]]:
    every = AGGREGATES[category].snapshot_every
    cursor.execute(DUE, {"category": category, "code": fingerprint(category), "every": every})
    return cursor.fetchall()


def _counted(cursor: Cursor, category: str) -> dict[str, Any]:
    cursor.execute(COUNTS, {"category": category, "code": fingerprint(category)})
    ours, others, size = cursor.fetchall()[0]
    return {
        "category": category,
        "every": AGGREGATES[category].snapshot_every,
        "kept": ours,
        "of_other_code": others,
        "due": len(_due(cursor, category)),
        "bytes": int(size),
    }
