"""`payriver verify`: the audit of everything stored, as role auditor. Exit status 0 only if all of it agrees."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import orjson
import typer
from psycopg2 import ProgrammingError
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from api.cli.options import HomeOption, JsonOption, seconds_option
from api.roots.chain import ChainRoot
from connectors.verify import verification
from connectors.verify.report import Covered, Difference, Verification
from connectors.verify.settle import settle
from connectors.verify.walk import Progress as Tell

SHOWN_AT_MOST = 200
BESIDE = 40
"""Characters for a number and what it counts."""


def verify(
    as_json: JsonOption = False,
    wait: Annotated[float, seconds_option("Seconds to wait for a river in motion to come to rest.")] = 10,
    chain: Annotated[bool, typer.Option(help="Ask the node too.")] = True,
    home: HomeOption = None,
) -> None:
    """Hold everything stored against everything else, and against the chain; print what differs, row by row."""
    root = ChainRoot.begin("auditor", home=home)
    console = Console(stderr=as_json)
    _let_it_rest(console, root, wait)
    with _bar(console) as tell:
        result = verification.verify(root.write, root.read, root.chain, ask_node=chain, progress=tell, keys=root.keys)
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(result.to_json(), option=orjson.OPT_INDENT_2) + b"\n")
    else:
        show(console, result)
    sys.exit(0 if result.ok else 1)


def _let_it_rest(console: Console, root: ChainRoot, wait: float) -> None:
    try:
        moving = settle(root.write, root.read, wait)
    except ProgrammingError:  # the tables are others, or closed to the auditor: the audit names what differs
        return
    if not moving.at_rest:
        console.print(f"[yellow]still in motion after {wait:g} s:[/] {moving}")


def show(console: Console, result: Verification) -> None:
    """The result as a person reads it: what was looked at, what waits, what differs, and the verdict last."""
    console.print(_looked_at(result, max(1, min(3, console.width // BESIDE))))
    for words in result.skipped:
        console.print(f"[yellow]not looked at[/]  {words}")
    for words in result.known:
        console.print(f"[yellow]known[/]  {escape(words)}", soft_wrap=True)
    if result.covered is not None:
        console.print(_reach(result.covered))
    for each in result.waiting:
        console.print(f"[yellow]waits[/]  {each.table} {escape(f'{each.key}: {each.reason}')}")
    for number, difference in enumerate(result.differences[:SHOWN_AT_MOST], 1):
        console.print(_told(number, difference))
    if len(result.differences) > SHOWN_AT_MOST:
        console.print(f"... and {len(result.differences) - SHOWN_AT_MOST} more; `--json` tells all")
    console.print(_verdict(result))


def _looked_at(result: Verification, beside: int) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 3, 0, 0))
    for _ in range(beside):
        table.add_column(justify="right", style="bold")
        table.add_column(style="dim")
    cells = [cell for what, count in result.checked.items() for cell in (f"{count:,}", what)]
    for start in range(0, len(cells), 2 * beside):
        table.add_row(*cells[start : start + 2 * beside])
    return table


def _reach(covered: Covered) -> Text:
    """Up to where nobody can have changed anything, and what is not promised yet."""
    if not covered.anchors_read:
        return Text(
            f"audit log  {covered.logged:,} events logged; the chain was not asked for its anchors", style="yellow"
        )
    if covered.transaction is None:
        return Text(f"audit log  no anchor yet: {covered.not_covered:,} events not covered", style="yellow")
    text = Text(
        f"audit log  {covered.anchored:,} events anchored, up to position {covered.last_position}", style="green"
    )
    text.append(f" (transaction {covered.transaction}, block {covered.block_number})", style="dim")
    if covered.not_covered:
        text.append(f"; {covered.not_covered:,} after it not yet covered", style="yellow")
    return text


def _told(number: int, difference: Difference) -> Text:
    text = Text(f"\n{number:>4}  ")
    text.append(difference.table, style="bold red")
    text.append(f"  {difference.key}\n", style="bold")
    text.append(f"      {difference.about}\n")
    text.append(f"      is         {difference.found}\n", style="red")
    text.append(f"      should be  {difference.expected}", style="green")
    return text


def _verdict(result: Verification) -> Text:
    seconds = f" ({result.seconds:.1f} s)"
    if result.ok:
        return Text("\nEverything agrees." + seconds, style="bold green")
    tables = sorted({difference.table for difference in result.differences})
    found = len(result.differences)
    return Text(f"\n{found} difference{'s' * (found != 1)}, in {', '.join(tables)}." + seconds, style="bold red")


@contextmanager
def _bar(console: Console) -> Iterator[Tell]:
    """A bar for each thing that is looked at, while a terminal watches."""
    columns = (TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        tasks: dict[str, TaskID] = {}

        def tell(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], completed=done, total=total)

        yield tell
