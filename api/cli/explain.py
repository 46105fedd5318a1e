"""`payriver explain PAYMENT`: a payment's whole causal chain, in order of time, and what is missing of it."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated, Any

import orjson
import typer
from rich import box
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from api.cli.fitting import Fitting
from api.cli.options import HomeOption, JsonOption
from api.roots.root import Root
from connectors.explain import words
from connectors.explain.find import find
from connectors.explain.gather import gather
from connectors.explain.story import Moment, Story, tell
from infra.database import transaction

PLAIN: dict[str, Any] = {"title_justify": "left", "title_style": "bold", "box": box.SIMPLE_HEAD, "pad_edge": False}
LANES = {
    "payment": ("bold cyan", "●"),
    "account": ("cyan", "○"),
    "saga": ("magenta", "◆"),
    "chain": ("yellow", "■"),
    "webhook": ("green", "▲"),
    "parked": ("bold red", "✖"),
}


def explain(
    payment: Annotated[
        str,
        typer.Argument(
            metavar="PAYMENT",
            help="Payment id (or its first 8 digits), network reference, NAME:KEY of the caller, or transaction.",
        ),
    ],
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Tell a payment's story: from block or request over every event, saga step, leg and posting to the webhooks."""
    root = Root.begin("auditor", home=home)
    with transaction(root.write) as write, transaction(root.read) as read:
        payment_id, found_by = find(write, read, payment)
        story = tell(gather(write, read, payment_id))
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(as_told(story, found_by), option=orjson.OPT_INDENT_2, default=str) + b"\n")
    else:
        Console().print(rendered(story, found_by))


def as_told(story: Story, found_by: str) -> dict[str, Any]:
    """The story for machines: the summary, the moments, what is missing, and every row it was made of."""
    moments = [
        {**asdict(each), "since_start_ms": round((each.at - story.start).total_seconds() * 1000, 3)}
        for each in story.moments
    ]
    record = {name: value for name, value in vars(story.record).items() if name not in ("payment_id", "account_id")}
    return {
        "payment_id": story.record.payment_id,
        "account_id": story.record.account_id,
        "found_by": found_by,
        "start": story.start,
        "moments": moments,
        "missing": story.missing,
        "record": record,
    }


def rendered(story: Story, found_by: str) -> Group:
    """The story for people."""
    parts: list[Any] = [_head(story, found_by), _narrative(story)]
    parts += [
        Fitting(table) for table in (_legs(story), _ledger(story), _kafka(story), _hooks(story)) if table.row_count
    ]
    if story.missing:
        parts.append(Text("\nWhat is open or missing", style="bold"))
        parts += [Text(f"  · {each}", style="yellow") for each in story.missing]
    return Group(*parts)


def _head(story: Story, found_by: str) -> Panel:
    record, shown = story.record, story.record.shown or {}
    asked = story.requested
    lines = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    lines.add_column(style="dim")
    lines.add_column(overflow="fold")
    outcome = shown.get("outcome", "not shown yet")
    amount = words.minor(asked.get("amount_minor", 0), story.currency)
    exact = words.raw(asked.get("amount_raw", 0), story.decimals)
    lines.add_row("outcome", Text(f"{outcome}: {words.OUTCOMES.get(outcome, '')}", style="bold"))
    lines.add_row("amount", f"{amount} ({exact} tokens)")
    lines.add_row(
        "began",
        f"{words.ORIGINS.get(str(asked['origin']), asked['origin'])}, {story.start:%Y-%m-%d %H:%M:%S.%f} UTC",
    )
    states = f"card leg {shown.get('state', '?')}, spend {shown.get('spend_state') or 'none'}, refund {shown.get('refund_state') or 'none'}"
    lines.add_row("stands at", states)
    if shown.get("reason"):
        lines.add_row("reason", Text(words.reason(shown["reason"])))
    saga = record.saga or {}
    lines.add_row("saga", f"{saga.get('state', 'none yet')}, {saga.get('handled', 0)} events taken")
    lines.add_row("account", f"{record.account_id}, wallet {(record.holder or {}).get('wallet', 'not known')}")
    lines.add_row("found by", found_by)
    return Panel(lines, title=f"payment [bold]{record.payment_id}[/]", title_align="left", border_style="cyan")


def _narrative(story: Story) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(justify="right", style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for moment in story.moments:
        style, mark = LANES[moment.lane]
        table.add_row(
            words.since(moment.at, story.start), Text(f"{mark} {moment.lane}", style=style), _told(moment, style)
        )
    return table


def _told(moment: Moment, style: str) -> Text:
    name, colon, rest = moment.what.partition(": ")
    text = Text(name + colon, style=style)
    text.append(rest, style="default")
    for line in moment.details:
        if line:
            text.append(f"\n  {line}", style="dim")
    return text


def _legs(story: Story) -> Table:
    table = Table(
        "leg",
        "transfer",
        "amount",
        "transaction",
        "block",
        "its state",
        "seen at",
        title="\nOn the chain",
        **PLAIN,
    )
    for each in story.record.sightings:
        told = each["detail"]
        block = f"{each['block_number']} {words.short(each['block_hash'])}"
        table.add_row(
            told.get("leg_kind") or told.get("kind"),
            f"{told.get('direction')} {words.short(str(each['sighting_id']))}",
            words.raw(told.get("amount_raw", 0), story.decimals, story.currency),
            words.short(each["tx_hash"]),
            block,
            f"{each['state']} (block {each['block_state'] or 'not stored'})",
            words.since(each["block_recorded_at"], story.start) if each["block_recorded_at"] else "-",
        )
    return table


def _ledger(story: Story) -> Table:
    table = Table("booked", "phase", "debit", "credit", "amount", "for", title="\nIn the ledger", **PLAIN)
    for each in story.record.postings:
        debit, credit = (
            f"{side.partition(':')[0]}:{side.partition(':')[2][:8]}" for side in (each["debit"], each["credit"])
        )
        amount = words.raw(each["amount_raw"], story.decimals, each["currency"])
        table.add_row(f"{each['booked_at']:%H:%M:%S}", words.PHASES[each["phase"]], debit, credit, amount, each["kind"])
    return table


def _kafka(story: Story) -> Table:
    table = Table(
        "event",
        "version",
        "position",
        "Kafka",
        "recorded",
        "delivered",
        title="\nAs it was delivered",
        **PLAIN,
    )
    places = {each["event_id"]: each for each in story.record.deliveries}
    for event in story.record.events:
        place = places.get(event["event_id"])
        where = "not yet" if place is None else "from the store" if place["topic"] is None else _where(place)
        delivered = "-" if place is None else words.since(place["delivered_at"], story.start)
        recorded = words.since(event["recorded_at"], story.start)
        table.add_row(event["type"], str(event["version"]), str(event["position"]), where, recorded, delivered)
    return table


def _where(place: dict[str, Any]) -> str:
    return f"{place['topic']}/{place['partition']} @ {place['offset']}"


def _hooks(story: Story) -> Table:
    table = Table("webhook", "told to", "state", "attempts", "ended", title="\nTold to others", **PLAIN)
    table.columns[1].overflow = "fold"
    for each in story.record.webhooks:
        ended = words.since(each["ended_at"], story.start) if each["ended_at"] else "-"
        state = f"{each['state']}{': ' + each['reason'] if each['reason'] else ''}"
        table.add_row(each["type"], Text(each["url"]), state, str(each["attempts"]), ended)
    return table
