"""`payriver backfill`: reads a chain's history as fast as its nodes give it, shows how far it is, and leaves the head to the listener."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from api.cli.options import HomeOption
from api.roots.chain import ChainRoot, listener_of
from api.roots.workers import until_signalled
from connectors.chain.accounts.discovery import Discovery
from connectors.chain.listening import cursor as rows
from connectors.chain.listening.backfill import Backfill
from connectors.chain.listening.listener import BULK, Listener
from connectors.chain.listening.stretches import Stretches
from infra.database import transaction
from infra.errors import BadInput
from infra.garbage import look_seldom

PAUSE_SECONDS = 0.5


def backfill(
    first: Annotated[
        int | None, typer.Option("--from", min=0, help="First block to read. None: the chain file's start_block.")
    ] = None,
    home: HomeOption = None,
) -> None:
    """Read the chain's history up to its final block; killed anywhere, it goes on where it was. The listener follows from there."""
    root = ChainRoot.begin("listener", home=home)
    listener = listener_of(root, f"backfill {socket.gethostname()}/{os.getpid()}")
    if first is not None and _position(listener) is None:
        listener.chain = root.chain.model_copy(update={"start_block": first})
    job = Backfill(
        root.write, root.chain, Discovery(root.write, root.chain, root.registrar), Stretches(root.rpc, root.chain)
    )
    _must_have_come(first, job.discovery.registrar.final_block().number)
    look_seldom()
    console = Console(stderr=True)
    with _bars(console) as bars:
        ended = _Run(listener, job, bars, until_signalled()).until_done(first)
    position = _position(listener)
    where = f"block {position.number:,}" if position else "the beginning"
    console.print(
        f"[green]history is stored up to {where}[/]; the listener follows the head from there"
        if ended
        else f"stopped at {where}; the same command goes on from there"
    )


def _must_have_come(first: int | None, final: int) -> None:
    if first is not None and first > final:
        raise BadInput(f"block {first:,} is not final yet: the newest final one is {final:,}; begin with it or before")


@dataclass
class _Run:
    """One run of the command."""

    listener: Listener
    job: Backfill
    bars: Progress
    stop: Event

    def until_done(self, first: int | None) -> bool:
        """Earlier blocks, then those up to the final one, then what accounts found late still lack. False: it was told to stop."""
        self._catch_up()
        stand = self.job.begin(first) if first is not None else self.job.stand()
        if stand is not None and not stand.done:
            self._earlier()
        self._fill()
        self.listener.stretches.close()
        self.listener.fills.close()
        self.job.stretches.close()
        self.listener.ahead.close()
        return not self.stop.is_set()

    def _catch_up(self) -> None:
        """The listener's own way from where it stands to the final block. Where another listener works, it is watched."""
        bar = None
        while not self.stop.is_set():
            final = self.job.discovery.registrar.final_block().number
            position = _position(self.listener)
            if position is not None:
                bar = self._moved(bar, "blocks", min(position.number, final), final)
                if final <= position.number + BULK:
                    return
            if not self.listener.step():
                self.stop.wait(PAUSE_SECONDS)

    def _earlier(self) -> None:
        """Blocks before the listener's first."""
        bar = None
        while not self.stop.is_set():
            stand = self.job.stand()
            if stand is None or stand.done:
                return
            bar = self._moved(bar, "earlier blocks", stand.read - stand.first + 1, stand.last - stand.first + 1)
            self.job.step(self.job.discovery.registrar.final_block().number)

    def _fill(self) -> None:
        """The history of accounts that were found late."""
        bar, wanted = None, 0
        while not self.stop.is_set():
            left, reached = self.job.filling()
            position = _position(self.listener)
            if not left or position is None:
                return
            wanted = wanted or position.final - reached
            bar = self._moved(
                bar, f"history of {left} accounts", wanted - max(0, position.final - reached), max(wanted, 1)
            )
            if not self.listener.step():
                self.stop.wait(PAUSE_SECONDS)

    def _moved(self, bar: int | None, what: str, done: int, total: int) -> int:
        task = self.bars.add_task(what, total=total) if bar is None else self.bars.task_ids[bar]
        self.bars.update(task, description=what, completed=done, total=total)
        return self.bars.task_ids.index(task)


class _Rate(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        """The rate, once there is one."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "", style="cyan")


@contextmanager
def _bars(console: Console) -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        yield progress


def _position(listener: Listener) -> rows.Position | None:
    with transaction(listener.database) as cursor:
        return rows.position(cursor, listener.chain.chain_id)
