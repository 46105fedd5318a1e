"""How things that wait look: tables for people, JSON for programs. A poison message's words are shown, and never taken for markup."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from api.cli.fitting import Fitting
from infra.errors import PayriverError
from schemas.codec import Codec
from schemas.definition import to_json
from streams.notifications.outgoing import WebhookMessage
from streams.runtime.parked import ParkedMessage
from streams.runtime.replay import Replayed
from streams.sagas.waiting import WaitingSaga

COLOURS = {"parked": "red", "queued": "yellow", "replayed": "green", "discarded": "dim"}
BYTES_SHOWN = 256
DOORS = {
    "refund_ended_unpaid": "plan it anew: payriver payment refund-again {} --reason '...'",
    "unseen_too_long": "wait no longer for it: payriver payment close-spend {} --reason '...'",
    "not_final_in_time": "take back a spend that no block carries: payriver payment give-up {} --reason '...'",
}
"""What a person may do about a saga, by the reason that it waits for."""


def print_list(
    out: Console, messages: Sequence[ParkedMessage], sagas: Sequence[WaitingSaga], webhooks: Sequence[WebhookMessage]
) -> None:
    """A table a kind; one line where nothing waits."""
    if not (messages or sagas or webhooks):
        out.print("nothing waits for a person")
        return
    if messages:
        table = _table(
            f"{len(messages)} messages", "id", "consumer", "state", "topic/partition@offset", "key", "reason", "since"
        )
        for each in messages:
            state = f"[{COLOURS[each.state]}]{each.state}[/]"
            key, why = escape(each.record.key_text or "-"), escape(_why(each))
            table.add_row(str(each.parked_id), each.consumer, state, _place(each), key, why, _at(each.parked_at))
        out.print(Fitting(table))
    if sagas:
        table = _table(f"{len(sagas)} sagas", "payment", "stuck in", "reason", "since")
        for saga in sagas:
            table.add_row(str(saga.saga_id), saga.stuck_in or "-", escape(saga.reason or "-"), _at(saga.since))
        out.print(Fitting(table))
    if webhooks:
        table = _table(f"{len(webhooks)} webhooks", "id", "type", "of", "attempts", "reason", "since")
        for hook in webhooks:
            tried, since = str(hook.attempts), _at(hook.ended_at or hook.created_at)
            table.add_row(str(hook.message_id), hook.type, str(hook.stream_id), tried, hook.reason or "-", since)
        out.print(Fitting(table))


def as_json(
    messages: Sequence[ParkedMessage], sagas: Sequence[WaitingSaga], webhooks: Sequence[WebhookMessage]
) -> dict[str, Any]:
    """Everything that waits, for a program."""
    return {
        "messages": [message_json(each) for each in messages],
        "sagas": [saga_json(each) for each in sagas],
        "webhooks": [webhook_json(each) for each in webhooks],
    }


def message_json(message: ParkedMessage) -> dict[str, Any]:
    """A message without its content."""
    record = message.record
    return {
        "id": str(message.parked_id),
        "consumer": message.consumer,
        "state": message.state,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "key": record.key_text,
        "reason": message.reason,
        "error": message.error,
        "since": message.parked_at.isoformat(),
        "ended_at": message.ended_at.isoformat() if message.ended_at else None,
        "ended_by": message.ended_by,
        "end_reason": message.end_reason,
    }


def saga_json(saga: WaitingSaga) -> dict[str, Any]:
    """A saga that waits."""
    return {
        "id": str(saga.saga_id),
        "state": saga.state,
        "stuck_in": saga.stuck_in,
        "reason": saga.reason,
        "since": saga.since.isoformat(),
    }


def webhook_json(hook: WebhookMessage) -> dict[str, Any]:
    """A webhook message."""
    return {
        "id": str(hook.message_id),
        "type": hook.type,
        "state": hook.state,
        "endpoint": str(hook.endpoint_id),
        "stream": str(hook.stream_id),
        "event": str(hook.event_id),
        "attempts": hook.attempts,
        "reason": hook.reason,
        "since": (hook.ended_at or hook.created_at).isoformat(),
    }


def content_of(codec: Codec, value: bytes | None) -> dict[str, Any]:
    """What a message says: its type and fields, or its first bytes in hex where it is none of ours."""
    try:
        decoded = codec.decode(value)
    except PayriverError as error:
        raw = value or b""
        return {"undecodable": str(error), "bytes": len(raw), "hex": raw[:BYTES_SHOWN].hex()}
    return {"type": type(decoded).__name__, **to_json(decoded)}


def show_message(out: Console, message: ParkedMessage, behind: int, content: dict[str, Any], *, as_json: bool) -> None:
    """All that is known of a message."""
    told = {**message_json(message), "behind": behind, "headers": message.record.headers, "content": content}
    _show(out, f"message {message.parked_id}", told, as_json)
    if not as_json and message.ended_at is None:
        out.print(
            f"\ngo on:  payriver parked replay {message.parked_id}\nor end: payriver parked discard {message.parked_id} --reason '...'"
        )


def show_saga(out: Console, saga: WaitingSaga, ways_on: Sequence[str], *, as_json: bool) -> None:
    """All that is known of a saga; its whole story is `payriver explain`."""
    _show(out, f"saga of payment {saga.saga_id}", {**saga_json(saga), "goes_on_with": list(ways_on)}, as_json)
    if not as_json:
        out.print(f"\nits story: payriver explain {saga.saga_id}")
        if saga.reason in DOORS:
            out.print(DOORS[saga.reason].format(saga.saga_id))


def show_webhook(out: Console, hook: WebhookMessage, attempts: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """A webhook with every attempt."""
    _show(out, f"webhook {hook.message_id}", {**webhook_json(hook), "tried": list(attempts)}, as_json)
    if not as_json and hook.state == "parked":
        out.print(f"\nsend again: payriver parked replay {hook.message_id}")


def print_replayed(out: Console, done: Replayed) -> None:
    """What a replay did."""
    out.print(f"{done.done} messages were taken")
    if done.stopped_at is not None:
        error = escape(done.stopped_at.error or "")
        out.print(f"[red]stopped at {done.stopped_at.parked_id}[/]: {error}", highlight=False)


def print_discarded(out: Console, message: ParkedMessage, rest: Sequence[ParkedMessage]) -> None:
    """That it ended, and how those behind it go on."""
    out.print(f"message [bold]{message.parked_id}[/] is discarded")
    if rest:
        out.print(f"{len(rest)} of its key wait still: payriver parked replay {rest[0].parked_id}")


def _show(out: Console, title: str, told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        out.print_json(json.dumps(told, default=str))
        return
    table = Table(title=title, title_justify="left", box=None, show_header=False)
    for name, value in told.items():
        shown = json.dumps(value, indent=1, default=str) if isinstance(value, dict | list) else str(value)
        table.add_row(Text(name, style="dim"), Text(shown if value is not None else "-"))
    out.print(table)


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left", box=None)
    for heading in headings:  # ids are copied whole
        table.add_column(heading, overflow="fold" if heading in ("key", "reason") else "ellipsis")
    return table


def _place(message: ParkedMessage) -> str:
    record = message.record
    return f"{record.topic}/{record.partition}@{record.offset}"


def _why(message: ParkedMessage) -> str:
    return message.end_reason or message.reason or "behind one that is parked"


def _at(moment: datetime) -> str:
    return moment.astimezone().isoformat(sep=" ", timespec="seconds")
