"""`payriver demo`: sets everything up, plays a day of a card programme on it, verifies, and stays up for a look around."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from api.cli import addresses
from api.cli.chain_setup import prepare
from api.cli.files import must_take
from api.cli.provisioning import River
from api.demo.play import play
from api.demo.summary import payments
from api.demo.view import View, closing
from infra.database import engine
from infra.settings import MachineSettings
from infra.stack.supervisor import Stack

PARTITIONS = 4
SENDER = {"PAYRIVER_WEBHOOK_ALLOWED_HOSTS": '["127.0.0.1"]'}


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
        console.print("starting the servers and our processes: half a minute", style="dim")
        with embedded(console, offline=offline) as stack:
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


def embedded(console: Console, *, offline: bool = False, cache: Path | None = None) -> Stack:
    """The stack of the demo, also of its bench: thrown away in the end, yet everything waits for the disk."""
    machine = MachineSettings()
    return Stack(
        throwaway=False,
        provisioner=River(last=prepare),
        partitions=PARTITIONS,
        settings={"sender": SENDER},
        cache=cache or machine.cache,
        mirror=machine.maven_mirror,
        offline=offline or machine.offline,
        console=console,
    )


def _day(stack: Stack, console: Console) -> dict[str, Any]:
    told = stack.settings_for("auditor")
    read, write = engine(told["PAYRIVER_READ_URL"]), engine(told["PAYRIVER_WRITE_URL"])
    with View(console, lambda: payments(read, write)) as view:
        view.add("start", "all processes ready", stack.seconds["start"])
        summary = play(stack, view)
    closing(console, summary)
    return summary


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
