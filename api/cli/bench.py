"""`payriver bench`: what the product does a second, and in how many milliseconds, beside its peers or its aims."""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.bench.figure import Asked, Figure
from infra.errors import BadInput
from infra.files import must_take

# Name -> module with `measure(asked) -> figures`. Only those that are asked for are loaded.
BENCHES: Mapping[str, str] = {
    "river": "api.bench.river",
    "store": "api.bench.store",
    "audit": "api.bench.audit",
    "chain": "api.bench.chain",
}


class Size(StrEnum):
    """How long a bench may take, where it can be told."""

    small = "small"
    usual = "usual"
    full = "full"


def bench(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAMES", help=f"Which: {', '.join(BENCHES)}. None: all.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Exit status 1 if a ratio is below its aim.")] = False,
    cold: Annotated[bool, typer.Option("--cold", help="Begin with an empty cache: fetches all servers anew.")] = False,
    size: Annotated[
        Size, typer.Option(help="chain only: small to see that it runs, full with a backfill of a million logs.")
    ] = Size.usual,
    offline: Annotated[
        bool, typer.Option("--offline", help="Fetch nothing; what is not in the cache is an error.")
    ] = False,
) -> None:
    """Measure on this machine. A ratio is higher the better we are, whatever is measured; the aim is the least we are content with."""
    wanted = _known(names or list(BENCHES))
    if cold and offline:
        raise BadInput("--cold fetches every server anew, --offline fetches nothing: give one of them")
    must_take(json_file)
    signal.signal(signal.SIGTERM, _interrupt)
    console = Console(stderr=True)
    found: list[Figure] = []
    try:
        for name in wanted:
            found += _measured(name, Asked(console, cold, offline, size=size.value))
            _write(json_file, found)  # after each, so that a long run that breaks keeps what it had
    except KeyboardInterrupt:
        console.print("ended")
        sys.exit(130)
    Console().print(_table(found))
    console.print(f"load average {', '.join(f'{each:.1f}' for each in os.getloadavg())}", style="dim")
    if check and not all(each.reached for each in found):
        sys.exit(1)


def _known(names: list[str]) -> list[str]:
    for name in names:
        if name not in BENCHES:
            raise BadInput(f"no bench is called {name!r}; there are {', '.join(BENCHES)}")
    return names


def _measured(name: str, asked: Asked) -> list[Figure]:
    asked.console.rule(name)
    measure: Callable[[Asked], Iterator[Figure]] = importlib.import_module(BENCHES[name]).measure
    found = []
    for figure in measure(asked):
        asked.console.print(f"  {figure.name}: {figure.ours:g} {figure.unit}", highlight=False)
        found.append(figure)
    return found


def _write(path: Path | None, found: list[Figure]) -> None:
    if path is not None:
        path.write_text(json.dumps([each.as_json() for each in found], indent=2) + "\n")


def _table(found: list[Figure]) -> Table:
    table = Table(title="Figures", title_justify="left", box=None)
    for heading in ("what", "ours", "peer", "", "unit", "ratio", "aim"):
        table.add_column(heading, justify="right" if heading in ("ours", "peer", "ratio", "aim") else "left")
    for each in found:
        colour = "green" if each.reached else "red"
        figures = (f"{each.ours:g}", f"{each.peer:g}", each.peer_name, each.unit)
        table.add_row(each.name, *figures, Text(f"{each.ratio:.2f}", style=colour), f"{each.aim:g}")
    return table


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
