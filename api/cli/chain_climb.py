"""How far each transfer has climbed, folded from the store's events: seen, safe, finalized; a reorg pushes it back down."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from rich.console import Group, OverflowMethod
from rich.table import Table
from rich.text import Text

from api.cli.fitting import Fitting
from streams.event_store.recorded import RecordedEvent

TYPES = ("TransferSeen", "TransferUnseen", "TransferFinalized", "TransferEnded")
STEPS = ("seen", "safe", "finalized")
TAGS = ("latest", "safe", "finalized")
SHORT = 10


@dataclass(frozen=True)
class Climb:
    """One account's side of a transfer. `state`: seen, dropped, final, ended; `fell`: how often a reorg has pushed it back."""

    told: Mapping[str, Any]
    state: str
    block: int | None
    fell: int = 0

    def reached(self, safe: int) -> int:
        """How many of STEPS, where blocks up to `safe` are safe."""
        if self.state == "final":
            return 3
        if self.state != "seen" or self.block is None:
            return 0
        return 2 if self.block <= safe else 1


@dataclass
class Climbs:
    """The newest `size` of them; whichever moved last stands first."""

    size: int
    rows: OrderedDict[tuple[str, str], Climb] = field(default_factory=OrderedDict)

    def take(self, events: Iterable[RecordedEvent]) -> None:
        """What happened since, in the store's order."""
        for event in events:
            key = (event.payload["account_id"], event.payload["transfer_id"])
            self.rows[key] = _climbed(self.rows.get(key), event)
            self.rows.move_to_end(key, last=False)
            while len(self.rows) > self.size:
                self.rows.popitem()


def _climbed(before: Climb | None, event: RecordedEvent) -> Climb:
    known = before or Climb(event.payload, "seen", None)
    block = event.payload.get("block_number", known.block)
    match event.type:
        case "TransferUnseen":
            return replace(known, state="dropped", block=block, fell=known.fell + 1)
        case "TransferEnded":
            return replace(known, state="ended")
        case kind:
            return replace(known, told=event.payload, state="seen" if kind == "TransferSeen" else "final", block=block)


def drawn(climbs: Iterable[Climb], heights: Mapping[str, int | None], cursor: Sequence[int] | None) -> Group:
    """The screen. `heights`: of the node's blocks by TAGS; `cursor`: (seen, final) of the listener."""
    node = "   ".join(f"{tag} {'-' if heights[tag] is None else format(heights[tag], ',')}" for tag in TAGS)
    listener = f"seen {cursor[0]:,}   final {cursor[1]:,}" if cursor else "has not begun"
    table = Table(box=None, title=None)
    for name in ("transfer", "account", "kind", "amount", "block", "climb"):
        fold: OverflowMethod = "fold" if name == "climb" else "ellipsis"
        table.add_column(name, justify="right" if name in ("amount", "block") else "left", overflow=fold)
    for each in climbs:
        told = each.told
        sign = "-" if told["direction"] == "out" else "+"
        amount = f"{sign}{Decimal(told['amount_raw']).scaleb(-told['decimals']):,.2f} {told['currency']}"
        block = "-" if each.block is None else f"{each.block:,}"
        place = _short(told.get("tx_hash") or told["transfer_id"])
        table.add_row(place, _short(told["account_id"]), told["kind"], amount, block, climb(each, heights["safe"] or 0))
    shown = Fitting(table) if table.row_count else Text("no transfer of a wallet under watch yet", style="dim")
    return Group(Text.assemble(("node      ", "dim"), node), Text.assemble(("listener  ", "dim"), listener), "", shown)


def climb(each: Climb, safe: int) -> Text:
    """Its steps, those that it has reached in colour, and what became of it otherwise."""
    if each.state == "dropped":
        return Text("pushed back by a reorg: on no block now", style="bold red")
    if each.state == "ended":
        return Text("given back: it can never be mined any more", style="yellow")
    reached, text = each.reached(safe), Text()
    for place, step in enumerate(STEPS):
        there = place < reached
        text.append(" ━━ " if place else "", style="green" if there else "dim")
        text.append(f"{'●' if there else '○'} {step}", style="bold green" if there else "dim")
    if each.fell:
        text.append(f"  back after {each.fell} reorg{'s' * (each.fell > 1)}", style="yellow")
    return text


def _short(text: str) -> str:
    return text[:SHORT]
