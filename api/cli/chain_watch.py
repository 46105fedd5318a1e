"""`payriver chain watch`: one sees each transfer climb from seen to safe to finalized, and a reorg push it back."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console, RenderableType
from rich.live import Live
from sqlalchemy import Engine

from api.cli.chain_climb import TAGS, TYPES, Climbs, drawn
from api.cli.options import HomeOption
from api.roots.chain import ChainRoot
from api.roots.workers import until_signalled
from connectors.chain.listening import cursor as rows
from connectors.chain.node.rpc import Rpc
from infra.database import transaction
from streams.event_store import recorder
from streams.event_store.subscription import Subscription

LOOK_SECONDS = 0.2
EARLIER = 10_000
"""Positions before the newest from which the first screen is made."""


def watch(
    lines: Annotated[int, typer.Option(min=1, max=200, help="So many transfers, the one that moved last first.")] = 15,
    once: Annotated[bool, typer.Option("--once", help="Show what there is now, and end.")] = False,
    home: HomeOption = None,
) -> None:
    """Transfers as they climb from seen to safe to finalized, and fall when a reorg drops their block; Ctrl-C ends it."""
    root = ChainRoot.begin("auditor", home=home)
    screen = Screen(root.write, root.rpc, root.chain.chain_id, lines)
    console = Console()
    if once:
        console.print(screen.now())
        return
    stop = until_signalled()
    with Live(screen.now(), console=console, auto_refresh=False) as live:
        while not stop.wait(LOOK_SECONDS):
            live.update(screen.now(), refresh=True)


class Screen:
    """What is shown, made anew each time: the events that came since, where the node's tags are, where the listener stands."""

    def __init__(self, database: Engine, rpc: Rpc, chain_id: int, lines: int) -> None:
        self._database, self._rpc, self._chain_id = database, rpc, chain_id
        self._climbs = Climbs(lines)
        with transaction(database) as cursor:
            newest = recorder.highest_position(cursor)
        self._events = Subscription(database, after=max(0, newest - EARLIER), types=TYPES)

    def now(self) -> RenderableType:
        """The screen. Raises RpcUnreachable where no node answers."""
        heads = self._rpc.blocks(TAGS)
        while batch := self._events.next_batch():
            self._climbs.take(batch)
        with transaction(self._database) as cursor:
            at = rows.position(cursor, self._chain_id)
        heights = {tag: head.number if head else None for tag, head in zip(TAGS, heads, strict=True)}
        return drawn(self._climbs.rows.values(), heights, (at.number, at.final) if at else None)
