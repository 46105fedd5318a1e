"""Workers: each function puts one part of a role together; `consume` runs it until SIGTERM."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from threading import Event

from api.roots.root import Root
from connectors.recovery.agreement import EVENT_TOPICS, check_topics
from infra.database import Cursor
from schemas.topics import SUBSCRIPTIONS
from streams.command_agent import CommandAgent
from streams.event_store import store
from streams.runtime.consumer import AfterCommit, Handler
from streams.runtime.positions import client_config
from streams.runtime.services import Service
from streams.sagas.agent import SagaAgent, Timeouts
from streams.sagas.engine import Engine

SUBSCRIBED = {each.component: each for each in SUBSCRIPTIONS}


def commands(root: Root) -> Handler:
    """payments.commands and accounts.commands -> decided and appended."""
    return CommandAgent(root.codec, root.handler)


def sagas(root: Root) -> Handler:
    """payments.events -> the saga's next orders."""
    return SagaAgent(root.codec, Engine(root.policy, "sagas", partial(_send, root)))


def timeouts(root: Root) -> Timeouts:
    """What time alone brings about; beside the sagas' agent."""
    return Timeouts(root.write, Engine(root.policy, "timeout", partial(_send, root)))


def projections(root: Root) -> Handler:
    """payments.events, accounts.events and persons.events -> the read models on R."""
    from streams.projections.projector import Projector

    return Projector(root.codec, root.write)


def notifications(root: Root) -> Handler:
    """payments.events and accounts.events -> webhook rows."""
    from streams.notifications.agent import Notifier

    return Notifier(root.codec)


def sender(root: Root) -> int:
    """Webhook rows -> HTTP, with retries."""
    from streams.notifications import sender as sending

    sending.run(root.settings, root.write, until_signalled())
    return 0


# Consumer -> what it does with messages; a replay of a parked one goes through the same.
HANDLERS: Mapping[str, Callable[[Root], Handler]] = {
    "commands": commands,
    "sagas": sagas,
    "projections": projections,
    "notifications": notifications,
}
BESIDE: Mapping[str, Callable[[Root], Service]] = {"sagas": timeouts}


def consume(
    root: Root, handler: Handler, services: Sequence[Service] = (), after_commit: AfterCommit | None = None
) -> int:
    """Read the component's topics until SIGTERM, with its checkpoints on the server that it writes. Gives the exit code."""
    from streams.runtime.worker import run_worker  # with Faust, which only these processes pay for

    component = root.settings.component
    found = SUBSCRIBED[component]
    events = [topic for topic in found.topics if topic in EVENT_TOPICS]
    check_topics(root.write, client_config(root.settings), component, events)
    beside = [BESIDE[component](root)] if component in BESIDE else []
    return run_worker(
        root.settings,
        engine=root.write if found.server == "write" else root.read,
        topics=found.topics,
        handler=handler,
        services=[*services, *beside],
        after_commit=after_commit,
    )


def until_signalled() -> Event:
    """An event that SIGTERM or SIGINT sets."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _send(root: Root, cursor: Cursor, orders: Sequence[store.OutgoingCommand]) -> None:
    store.send(cursor, root.codec, orders)
