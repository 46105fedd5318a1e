"""`payriver demo`: sets everything up, plays a day of a card programme on it, verifies, and stays up for a look around."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from api.cli import addresses
from api.demo.play import play
from api.demo.summary import payments
from api.demo.view import View, closing
from api.roots.embedded import embedded
from infra.database import engine
from infra.files import must_take
from infra.stack.supervisor import Stack


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="End by itself when the day is over, as without a terminal.")
    ] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the summary to this file.")] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Fetch nothing; what is not in the cache is an error.")
    ] = False,
) -> None:
    """A day of a card programme, on real servers and the real contracts. Exit status 1 if anything does not come true."""
    must_take(json_file)
    console = Console()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # Ctrl-C, asked to end, its terminal closed
        signal.signal(number, _interrupt)
    try:
        console.print("starting the servers and our processes: a minute or so", style="dim")
        with embedded(console, offline=offline) as stack, _end_told(console):
            told = _day(stack, console)
            if json_file is not None:
                json_file.write_text(json.dumps(told, indent=2) + "\n")
            ok = bool(told["verify"]["ok"])
            if ok and not once and sys.stdin.isatty():
                addresses.show(console, stack.home, ("kafka", "registry", "node"))
                console.print("\nIt stays up until Ctrl-C.")
                signal.pause()
    except KeyboardInterrupt:
        console.print("ended")
        sys.exit(130)
    sys.exit(0 if ok else 1)


def _day(stack: Stack, console: Console) -> dict[str, Any]:
    told = stack.settings_for("auditor")
    read, write = engine(told["PAYRIVER_READ_URL"]), engine(told["PAYRIVER_WRITE_URL"])
    with View(console, lambda: payments(read, write)) as view:
        view.add("start", "all processes ready", stack.seconds["start"])
        summary = play(stack, view)
    closing(console, summary)
    return summary


@contextmanager
def _end_told(console: Console) -> Iterator[None]:
    """Servers take their time to end in order; who waits is told what for."""
    try:
        yield
    finally:
        console.print("ending our processes, then the servers", style="dim")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
