"""How `payriver audit` shows the log, its anchors and its proofs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from api.cli.fitting import Fitting
from connectors.anchoring import rows
from connectors.anchoring.rows import Anchor
from infra.database import Cursor
from streams.audit_log import log, merkle
from streams.audit_log.closing import Closing, closings

AFTER = "SELECT count(*) FROM events WHERE position > %s"
AT = "SELECT position FROM audit_leaves WHERE leaf_index = %s - 1"
SHOWN = 10
COLOURS = {"final": "green", "mined": "yellow", "broadcast": "yellow", "signed": "yellow", "lost": "red"}


@dataclass(frozen=True)
class LogState:
    """The log now. `covered_position`: of the last event under the last final anchor."""

    log_id: str
    size: int
    root: bytes
    not_logged: int
    covered: int
    covered_position: int
    not_covered: int
    anchors: tuple[Anchor, ...]
    closings: tuple[Closing, ...]

    def as_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "log_id": self.log_id,
            "size": self.size,
            "root": self.root.hex(),
            "not_logged": self.not_logged,
            "covered": self.covered,
            "covered_position": self.covered_position,
            "not_covered": self.not_covered,
            "anchors": [anchor_json(each) for each in self.anchors],
            "closed": [dict(each.told) | {"next_id": each.next_id} for each in self.closings],
        }


def state(cursor: Cursor) -> LogState:
    """The log and its last anchors."""
    end, final = log.end(cursor), rows.last_final(cursor)
    covered = final.head.size if final else 0
    position = 0
    if covered:
        cursor.execute(AT, (covered,))
        row = cursor.fetchone()
        position = row[0] if row else 0
    not_logged = after(cursor, end.position)
    return LogState(
        log_id=log.log_id(cursor),
        size=end.size,
        root=merkle.root(end.size, log.Hashes(cursor)),
        not_logged=not_logged,
        covered=covered,
        covered_position=position,
        not_covered=end.size - covered + not_logged,
        anchors=tuple(rows.page(cursor, SHOWN)),
        closings=tuple(closings(cursor)),
    )


def after(cursor: Cursor, position: int) -> int:
    """How many events are stored after a position."""
    cursor.execute(AFTER, (position,))
    ((count,),) = cursor.fetchall()
    return int(count)


def anchor_json(anchor: Anchor) -> dict[str, Any]:
    """An anchor as `--json` prints it. `data`: the call data, which is the head that a checker is given."""
    return {
        "log_id": anchor.head.log_id,
        "size": anchor.head.size,
        "root": anchor.head.root.hex(),
        "data": "0x" + anchor.head.encode().hex(),
        "chain_id": anchor.chain_id,
        "sender": anchor.sender,
        "nonce": anchor.nonce,
        "transaction": anchor.tx_hash,
        "state": anchor.state,
        "block_number": anchor.block_number,
        "decided_at": anchor.decided_at.isoformat(),
    }


def show_state(console: Console, found: LogState) -> None:
    """As a person reads it."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    table.add_row("log", found.log_id)
    table.add_row(
        "size", f"{found.size:,} events" + (f", {found.not_logged:,} more to take" if found.not_logged else "")
    )
    table.add_row("root", found.root.hex())
    table.add_row("covered", _covered(found))
    console.print(table)
    if found.anchors:
        console.print(_anchors(found.anchors, found.log_id))
    if found.closings:
        show_closings(console, found.closings)


def _covered(found: LogState) -> Text:
    if not found.covered:
        return Text("nothing yet; `payriver audit anchor` states the root on chain", style="yellow")
    text = Text(f"{found.covered:,} events, up to position {found.covered_position:,}", style="green")
    if found.not_covered:
        text.append(f"; {found.not_covered:,} not covered yet", style="yellow")
    return text


def _anchors(anchors: tuple[Anchor, ...], open_id: str) -> Fitting:
    table = Table(title="the last anchors", title_justify="left", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for name in ("events", "state", "block", "transaction", "decided"):
        table.add_column(name, justify="right" if name in ("events", "block") else "left")
    for each in anchors:
        colour = COLOURS.get(each.state, "red")
        row = (f"{each.head.size:,}", f"[{colour}]{each.state}[/]", str(each.block_number or ""), each.tx_hash or "")
        closed = "" if each.head.log_id == open_id else f" of closed log {each.head.log_id}"
        table.add_row(*row, f"{each.decided_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC{closed}")
    return Fitting(table)


def show_closing(console: Console, path: Path, made: Closing) -> None:
    """A log that was just closed, and what to do now."""
    show_closings(console, [made])
    console.print(f"[bold]{path}[/] is the record of it: give it to your auditor, with the reason", soft_wrap=True)
    console.print(
        "the new log takes all events and is anchored at its cadence; at once: payriver audit anchor", soft_wrap=True
    )


def show_closings(console: Console, found: Sequence[Closing]) -> None:
    """Each with its reason; none is said, too."""
    for each in found:
        told = each.told
        who_and_why = escape(f"{told['closed_by']}: {told['because']}")
        console.print(f"[yellow]closed[/]  log {each.log_id} at {told['closed_at']} by {who_and_why}", soft_wrap=True)
        console.print(f"        {told['broken']}; log {each.next_id} began then", style="dim", soft_wrap=True)
    if not found:
        console.print("no audit log was ever closed")


def show_anchor(console: Console, anchor: Anchor) -> None:
    """One anchor, just made or on its way."""
    where = f" in block {anchor.block_number}" if anchor.block_number else ""
    words = f"[bold]{anchor.head.size:,}[/] events of log {anchor.head.log_id}, root {anchor.head.root.hex()}"
    console.print(words, soft_wrap=True)
    console.print(
        f"[{COLOURS.get(anchor.state, 'red')}]{anchor.state}[/]{where}: transaction {anchor.tx_hash}", soft_wrap=True
    )
    if anchor.open:
        console.print("it is carried to finality by `payriver audit run`; `payriver audit status` shows how far it is")


def show_proof(console: Console, path: Path, told: dict[str, Any], anchor: Anchor) -> None:
    """What was proved, and how anyone checks it."""
    console.print(
        f"[bold]{path}[/] proves event {told['event_id']} ({told['type']}, position {told['position']})", soft_wrap=True
    )
    _how(console, path, anchor)


def show_consistency(console: Console, path: Path, old: Anchor, new: Anchor) -> None:
    """What was proved, and how anyone checks it."""
    words = f"proves that the log of {new.head.size:,} events begins with the log of {old.head.size:,}"
    console.print(f"[bold]{path}[/] {words}", soft_wrap=True)
    _how(console, path, old, new)


def show_export(console: Console, path: Path, manifest: dict[str, Any], anchor: Anchor) -> None:
    """What was written, and how anyone checks it."""
    places = f"positions {manifest['first_position']:,} to {manifest['last_position']:,}"
    console.print(f"[bold]{path}[/] has {manifest['count']:,} events, {places}, signed", soft_wrap=True)
    _how(console, path, anchor)


def _how(console: Console, path: Path, *anchors: Anchor) -> None:
    for each in anchors:
        where = f"transaction {each.tx_hash}, block {each.block_number}, chain {each.chain_id}, sender {each.sender}"
        console.print(
            f"against the anchor of {each.head.size:,} events of log {each.head.log_id}: {where}", soft_wrap=True
        )
    hashes = " ".join(f"--anchor {each.tx_hash}" for each in anchors)
    console.print(
        f"check it: payriver audit check {path} {hashes} --rpc URL --sender {anchors[0].sender}", soft_wrap=True
    )
    console.print("or with Python alone: infra/audit/check.py, which takes the same words", style="dim", soft_wrap=True)
