"""`payriver parked`: what waits for a person, why, and how it goes on. Messages of both servers, sagas, webhooks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from sqlalchemy import Engine

from api.cli import parked_view as view
from api.cli.options import HomeOption, JsonOption, by_option, reason_option
from api.roots.chain import ChainRoot, intents
from api.roots.workers import HANDLERS, SUBSCRIBED
from infra.database import transaction
from infra.errors import BadInput, NotFound
from streams.notifications import outgoing
from streams.notifications.outgoing import WebhookMessage
from streams.runtime import replay as messages
from streams.runtime.consumer import Handler
from streams.runtime.parked import ParkedMessage
from streams.sagas import waiting
from streams.sagas.waiting import WaitingSaga

out = Console()
MOST_SHOWN = 1000
EVERY_STATE = ("parked", "queued", "replayed", "discarded")

ByOption = Annotated[str, by_option("Who decides it; kept with the message.")]
IdArgument = Annotated[UUID, typer.Argument(metavar="ID", help="As `payriver parked list` names it.")]

parked = typer.Typer(
    no_args_is_help=True, help="What waits for a person: see it, let it go on, or end it with a reason."
)


@dataclass(frozen=True)
class Waiting:
    """What waits, of every kind the first `MOST_SHOWN`. `more`: the kinds of which there are more."""

    messages: list[ParkedMessage]
    sagas: list[WaitingSaga]
    webhooks: list[WebhookMessage]
    more: tuple[str, ...]


@parked.command("list")
def list_(
    everything: Annotated[bool, typer.Option("--all", help="Also messages whose wait has ended.")] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Messages, sagas and webhooks that wait, each with its reason."""
    found = _everything(_root(home), EVERY_STATE if everything else messages.WAITING)
    if as_json:
        told = view.as_json(found.messages, found.sagas, found.webhooks) | {"more": list(found.more)}
        out.print_json(json.dumps(told))
        return
    view.print_list(out, found.messages, found.sagas, found.webhooks)
    if found.more:
        out.print(
            f"[yellow]there are more {' and '.join(found.more)} than the {MOST_SHOWN} shown: let some go on first[/]"
        )


@parked.command()
def show(waiting_id: IdArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """One of them with all that is known: the message's content, the error, what waits behind it."""
    root = _root(home)
    if found := _message(root, waiting_id):
        server, message = found
        with transaction(server) as cursor:
            behind = messages.behind(cursor, message)
        view.show_message(out, message, behind, view.content_of(root.codec, message.record.value), as_json=as_json)
        return
    with transaction(root.write) as cursor:
        sagas, webhook = waiting.find(cursor, saga_id=waiting_id), outgoing.one(cursor, waiting_id)
        attempts = outgoing.attempts(cursor, waiting_id) if webhook else []
    if webhook:
        view.show_webhook(out, webhook, attempts, as_json=as_json)
    elif sagas:
        view.show_saga(out, sagas[0], waiting.ways_on(sagas[0].stuck_in), as_json=as_json)
    else:
        raise _nothing(waiting_id)


@parked.command()
def replay(waiting_id: IdArgument, by: ByOption, home: HomeOption = None) -> None:
    """Take a message again, with all of its key and in order; or send a webhook again under its old id."""
    root = _root(home)
    if found := _message(root, waiting_id):
        server, message = found
        done = messages.replay(server, _handler(root, message.consumer), waiting_id, by=by)
        view.print_replayed(out, done)
        raise typer.Exit(0 if done.stopped_at is None else 1)
    with transaction(root.write) as cursor:
        if sagas := waiting.find(cursor, saga_id=waiting_id):
            ways_on = ", ".join(waiting.ways_on(sagas[0].stuck_in))
            raise BadInput(f"{waiting_id} is a saga and no message: it goes on by itself when one of {ways_on} comes")
        if outgoing.one(cursor, waiting_id) is None:
            raise _nothing(waiting_id)
        outgoing.replay(cursor, waiting_id)
    out.print(f"webhook [bold]{waiting_id}[/] will be sent again, under the same id")


@parked.command()
def discard(
    waiting_id: IdArgument,
    by: ByOption,
    reason: Annotated[str, reason_option("Why it is never taken; kept for those who ask later.")],
    home: HomeOption = None,
) -> None:
    """End a message without taking it. What waits behind it stays, and is replayed by a replay."""
    root = _root(home)
    found = _message(root, waiting_id)
    if found is None:
        raise NotFound(f"no parked message {waiting_id}; sagas and webhooks are not discarded, they go on or wait")
    server, message = found
    messages.discard(server, waiting_id, by=by, reason=reason)
    with transaction(server) as cursor:
        rest = [each for each in messages.find(cursor, consumer=message.consumer) if _same_key(each, message)]
    view.print_discarded(out, message, rest)


def _nothing(waiting_id: UUID) -> NotFound:
    return NotFound(f"nothing that waits is called {waiting_id}; `payriver parked list` shows what does")


def _root(home: Path | None) -> ChainRoot:
    return ChainRoot.begin("operator", home=home)


def _servers(root: ChainRoot) -> Iterator[Engine]:
    yield root.write
    yield root.read


def _everything(root: ChainRoot, states: tuple[str, ...]) -> Waiting:
    found: list[ParkedMessage] = []
    for server in _servers(root):
        with transaction(server) as cursor:
            found += messages.find(cursor, states=states, limit=MOST_SHOWN + 1)
    with transaction(root.write) as cursor:
        sagas = waiting.find(cursor, limit=MOST_SHOWN + 1)
        webhooks = outgoing.find(cursor, limit=MOST_SHOWN + 1)
    counts = {"messages": len(found), "sagas": len(sagas), "webhooks": len(webhooks)}
    more = tuple(kind for kind, count in counts.items() if count > MOST_SHOWN)
    return Waiting(found[:MOST_SHOWN], sagas[:MOST_SHOWN], webhooks[:MOST_SHOWN], more)


def _message(root: ChainRoot, parked_id: UUID) -> tuple[Engine, ParkedMessage] | None:
    """The message, and the server on which it waits."""
    for server in _servers(root):
        with transaction(server) as cursor:
            try:
                return server, messages.show(cursor, parked_id)
            except NotFound:
                continue
    return None


def _handler(root: ChainRoot, consumer: str) -> Handler:
    """The consumer's own handler, as its worker builds it."""
    if consumer == "submitter":
        return intents(root)
    if consumer not in HANDLERS:
        raise BadInput(f"no consumer of ours is called {consumer!r}; there are {', '.join(SUBSCRIBED)}")
    return HANDLERS[consumer](root)


def _same_key(one: ParkedMessage, other: ParkedMessage) -> bool:
    return one.record.key is not None and (one.topic_id, one.record.key) == (other.topic_id, other.record.key)
