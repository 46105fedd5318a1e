"""`payriver work ROLE`: a worker of one role, until SIGTERM. Each function below is that role's composition root."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from threading import Event

import typer

from api.cli.roots import Root
from infra.database import Cursor
from infra.errors import BadInput
from schemas.topics import SUBSCRIPTIONS
from streams.command_agent import CommandAgent
from streams.event_store import store
from streams.runtime.worker import run_worker
from streams.sagas.agent import SagaAgent, Timeouts
from streams.sagas.engine import Engine

TOPICS = {each.component: list(each.topics) for each in SUBSCRIPTIONS}


def commands(root: Root) -> int:
    """payments.commands and accounts.commands -> decided and appended."""
    agent = CommandAgent(root.codec, root.handler)
    return run_worker(root.settings, engine=root.write, topics=TOPICS["commands"], handler=agent)


def sagas(root: Root) -> int:
    """payments.events -> the saga's next orders; and the timeouts."""
    send = partial(_send, root)
    agent = SagaAgent(root.codec, Engine(root.policy, "sagas", send))
    timeouts = Timeouts(root.write, Engine(root.policy, "timeout", send))
    return run_worker(root.settings, engine=root.write, topics=TOPICS["sagas"], handler=agent, services=[timeouts])


def projections(root: Root) -> int:
    """payments.events and accounts.events -> the read models on R."""
    from streams.projections.projector import Projector

    projector = Projector(root.codec, root.write)
    return run_worker(root.settings, engine=root.read, topics=TOPICS["projections"], handler=projector)


def notifications(root: Root) -> int:
    """payments.events and accounts.events -> webhook rows."""
    from streams.notifications.agent import Notifier

    return run_worker(root.settings, engine=root.write, topics=TOPICS["notifications"], handler=Notifier(root.codec))


def sender(root: Root) -> int:
    """Webhook rows -> HTTP, with retries."""
    from streams.notifications import sender as sending

    sending.run(root.settings, root.write, until_signalled())
    return 0


def serve() -> None:
    """Answer the REST API, the card network's requests and the live page."""
    from api.app import create_app
    from api.app import serve as run

    root = Root.begin("api")
    run(create_app(root.settings, read=root.read, write=root.write, gateway=root.gateway), root.settings)


ROLES: Mapping[str, Callable[[Root], int]] = {
    "commands": commands,
    "sagas": sagas,
    "projections": projections,
    "notifications": notifications,
    "sender": sender,
}


def work(role: str = typer.Argument(help=f"One of: {', '.join(ROLES)}")) -> None:
    """Run one worker of ROLE until SIGTERM."""
    if role not in ROLES:
        raise BadInput(f"no role is called {role!r}; the roles are {', '.join(ROLES)}")
    sys.exit(ROLES[role](Root.begin(role)))


def until_signalled() -> Event:
    """An event that SIGTERM or SIGINT sets."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _send(root: Root, cursor: Cursor, orders: Sequence[store.OutgoingCommand]) -> None:
    store.send(cursor, root.codec, orders)
