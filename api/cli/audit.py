"""`payriver audit`: the tamper-evident log of all events: how far it is, its anchors on chain, proofs for whoever does not trust us."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from api.cli import audit_view as view
from api.cli.options import HomeOption, JsonOption, by_option, moment, seconds_option
from api.cli.stack import doors_of
from api.roots.audit import anchorer_of, export_key_of, filler_of
from api.roots.chain import ChainRoot
from api.roots.workers import until_signalled
from connectors.anchoring import rows
from connectors.anchoring.anchorer import Anchorer
from connectors.anchoring.begin_again import begin_again
from connectors.anchoring.process import AuditProcess
from connectors.anchoring.rows import Anchor
from infra import nesting  # noqa: F401  (bounds what a file and a node may say)
from infra.audit import check as checker
from infra.database import Cursor, engine, transaction
from infra.errors import BadInput, Misconfigured, NotFound
from infra.files import must_take, put
from streams.audit_log import closing, log, proofs
from streams.audit_log.export import export as write_export

ANCHOR = "An anchor: its size, or its transaction's hash."
OutOption = Annotated[Path | None, typer.Option("--out", help="Where the file goes.")]

MOST_DIGITS = 18
"""Of a size: what W's bigint holds."""

out, err = Console(), Console(stderr=True)
audit = typer.Typer(
    no_args_is_help=True, help="Tamper evidence: the Merkle log of all events, its anchors on chain, proofs, exports."
)


@audit.command()
def run() -> None:
    """Fill the log and anchor it at the stated cadence, until SIGTERM."""
    root = ChainRoot.begin("audit")
    anchorer = anchorer_of(root) if root.chain.anchors is not None else None
    settings = root.settings
    AuditProcess(filler_of(root), anchorer, settings.anchor_seconds, settings.anchor_events)(until_signalled())


@audit.command()
def status(as_json: JsonOption = False, home: HomeOption = None) -> None:
    """The log's size and root, its last anchor, and what no anchor covers yet."""
    root = ChainRoot.begin("auditor", home=home)
    with transaction(root.write) as cursor:
        found = view.state(cursor)
    if as_json:
        out.print_json(json.dumps(found.as_json()))
    else:
        view.show_state(out, found)


@audit.command()
def anchor(
    wait: Annotated[float, seconds_option("Seconds to wait until it is final.")] = 60,
    home: HomeOption = None,
) -> None:
    """Bring the log up to date and state its root on chain now; what is sent is carried to finality by `payriver audit run`."""
    root = ChainRoot.begin("audit", home=home)
    anchorer = anchorer_of(root)
    with _bar("events into the log", _count(root)) as progress:
        filler_of(root).catch_up(30, lambda size: progress.update(progress.task_ids[0], completed=size))
    made = anchorer.begin() or anchorer.newest()
    if made is None:
        raise NotFound("there are no events yet, and so there is nothing to anchor")
    made = _until_final(anchorer, made, wait)
    view.show_anchor(out, made)
    if made.state == "lost":
        raise Misconfigured(
            f"nonce {made.nonce} of {made.sender} was used by another transaction; its key must do nothing else"
        )


@audit.command("begin-again")
def again(
    reason: Annotated[
        str, typer.Option(help="Why, for an auditor who reads it in years; the chain states its hash with the new log.")
    ],
    by: Annotated[str, by_option("Who decides it.")],
    to: OutOption = None,
    home: HomeOption = None,
) -> None:
    """Close a log that is broken (`log_broken`), with its reason, and begin a new one over all events. What it held stays as evidence."""
    must_take(to or Path("log.closing.json"))
    doors = doors_of(home)
    write, read = (engine(url, pool_size=1, frozen_seconds=0) for url in (doors.write_url, doors.read_url))
    with err.status("holding the log against its witness and its anchors"):
        made = begin_again(write, read, reason, by)
    path = to or Path(f"{made.log_id}.closing.json")
    put(path, made.record)
    view.show_closing(out, path, made)


@audit.command()
def closings(
    to: Annotated[Path | None, typer.Option("--out", help="The folder that their records go to; it is made.")] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Logs that were closed; with --out a folder of their records, which anyone checks against an anchor of the log that began then."""
    root = ChainRoot.begin("auditor", home=home)
    with transaction(root.write) as cursor:
        found = closing.closings(cursor)
    for each in found:
        if to is not None:
            to.mkdir(parents=True, exist_ok=True)
            put(to / f"{each.log_id}.closing.json", each.record)
    if as_json:
        out.print_json(json.dumps([dict(each.told) | {"next_id": each.next_id} for each in found]))
    else:
        view.show_closings(out, found)


@audit.command()
def prove(
    event: Annotated[str, typer.Argument(metavar="EVENT", help="An event's id, or its position.")],
    by: Annotated[
        str | None, typer.Option("--anchor", help="Against this anchor (size or transaction); else the last.")
    ] = None,
    to: OutOption = None,
    home: HomeOption = None,
) -> None:
    """Write a proof file for one event; whoever has it and the anchor needs nothing else of ours to check it."""
    must_take(to)
    root = ChainRoot.begin("auditor", home=home)
    with transaction(root.write) as cursor:
        used = _anchor(cursor, by)
        text = proofs.prove(cursor, _event(event), used.head)
    told = checker.check_proof(text, used.head)
    path = to or Path(f"{told['event_id']}.proof.json")
    put(path, text)
    view.show_proof(out, path, told, used)


@audit.command()
def consistency(
    first: Annotated[str, typer.Argument(metavar="FIRST", help=ANCHOR)],
    second: Annotated[str, typer.Argument(metavar="SECOND", help=ANCHOR)],
    to: OutOption = None,
    home: HomeOption = None,
) -> None:
    """Write a proof file that the log of one anchor begins with the log of an earlier one."""
    must_take(to)
    root = ChainRoot.begin("auditor", home=home)
    with transaction(root.write) as cursor:
        old, new = sorted((_anchor(cursor, first), _anchor(cursor, second)), key=lambda each: each.head.size)
        text = proofs.prove_consistency(cursor, old.head, new.head)
    path = to or Path(f"{old.head.size}-{new.head.size}.consistency.json")
    put(path, text)
    view.show_consistency(out, path, old, new)


@audit.command()
def export(
    start: Annotated[str, typer.Option("--from", help="Recorded at or after: 2026-03-01, or 2026-03-01T12:00:00Z.")],
    end: Annotated[str, typer.Option("--to", help="Recorded before.")],
    to: Annotated[Path, typer.Option("--out", help="A folder that is made.")],
    home: HomeOption = None,
) -> None:
    """Write the events of a period for an auditor: JSON lines, and a signed manifest that proves them to be what the log has."""
    root = ChainRoot.begin("audit", home=home)
    key, period = export_key_of(root), (moment(start), moment(end))
    with transaction(root.write) as cursor, _bar("events", 1) as progress:
        used = _anchor(cursor, None)
        manifest = write_export(
            cursor, used.head, key, period, to,
            lambda done, total: progress.update(progress.task_ids[0], completed=done, total=total),
        )  # fmt: skip
    view.show_export(out, to, manifest, used)


@audit.command()
def check(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A proof file, or the folder of an export.")],
    head: Annotated[
        list[str] | None, typer.Option(help="Call data of the anchor, 0x...; twice for a consistency proof.")
    ] = None,
    anchor: Annotated[
        list[str] | None, typer.Option(help="Hash of the anchor's transaction instead; needs --rpc and --sender.")
    ] = None,
    rpc: Annotated[str | None, typer.Option(help="URL of an EVM node that you trust.")] = None,
    sender: Annotated[str | None, typer.Option(help="Whose anchors count.")] = None,
) -> None:
    """Check a file as an auditor does, with infra/audit/check.py alone: no database, no setting of ours."""
    words = [str(path)]
    words += ["--head", *head] if head else []
    words += ["--anchor", *anchor] if anchor else []
    words += ["--rpc", rpc] if rpc else []
    words += ["--sender", sender] if sender else []
    sys.exit(checker.main(words))


def _until_final(anchorer: Anchorer, made: Anchor, seconds: float) -> Anchor:
    until = time.monotonic() + seconds
    with err.status("on its way") as line:
        while True:
            anchorer.carry()
            made = anchorer.newest() or made
            if not made.open or time.monotonic() > until:
                return made
            line.update(f"{made.state}{f' in block {made.block_number}' if made.block_number else ''}: not final yet")
            time.sleep(0.5)


def _anchor(cursor: Cursor, wanted: str | None) -> Anchor:
    """The anchor that is meant; it must be final. Raises NotFound, BadInput."""
    if wanted is not None and not (wanted.startswith("0x") or (wanted.isdecimal() and len(wanted) <= MOST_DIGITS)):
        raise BadInput(
            f"{wanted!r} is neither the size of an anchor nor the hash of its transaction; `payriver audit status` shows some"
        )
    found = rows.last_final(cursor) if wanted is None else rows.find(cursor, wanted)
    if found is None:
        raise NotFound(
            f"no anchor {wanted or 'is final yet'}; `payriver audit anchor` makes one, `payriver audit status` shows the last"
        )
    if found.state != "final":
        raise BadInput(
            f"the anchor of {found.head.size} events is {found.state}, and may still be dropped by the chain; wait until it is final"
        )
    if found.head.log_id != (open_id := log.log_id(cursor)):
        raise BadInput(
            f"that anchor is of log {found.head.log_id}, which was closed: what was proved under it stays proved, and W is proved under the"
            f" anchors of log {open_id}; `payriver audit closings` tells why"
        )
    return found


def _event(text: str) -> UUID | int:
    try:
        return int(text) if text.isdecimal() else UUID(text)
    except ValueError:
        raise BadInput(
            f"{text!r} is neither an event's id nor a position; `payriver explain PAYMENT` names a payment's events"
        ) from None


def _count(root: ChainRoot) -> int:
    with transaction(root.write) as cursor:
        found = log.end(cursor)
        return found.size + view.after(cursor, found.position)


def _bar(words: str, total: int) -> Progress:
    columns = (TextColumn(words), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    progress = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
    progress.add_task(words, total=total)
    return progress
