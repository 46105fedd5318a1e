"""Each member of the stack as the keeper wants it: the servers, and our own processes with their environments."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version

from infra.errors import Misconfigured
from infra.stack.access import url
from infra.stack.home import Home
from infra.stack.keeper import Kept
from infra.stack.process import Command
from infra.stack.roles import Component
from infra.stack.servers.base import Server, Site, answers
from infra.stack.servers.connect import Connect
from infra.stack.servers.kafka import Kafka
from infra.stack.servers.node import Node
from infra.stack.servers.postgres import Postgres
from infra.stack.servers.registry import Registry


def make_server(site: Site, name: str) -> Server:
    """The server of that name."""
    match name:
        case "write" | "read":
            return Postgres(site, name)
        case "kafka":
            return Kafka(site)
        case "registry":
            return Registry(site)
        case "connect":
            return Connect(site)
        case "node":
            return Node(site)
        case _:
            raise Misconfigured(f"no server is called {name!r}")


def keep_server(home: Home, server: Server) -> Kept:
    """A server under the keeper."""
    return Kept(
        name=server.name,
        worker=1,
        kind="server",
        version=server.version,
        address=url(home, server.name),
        command=server.command,
        prepare=server.prepare,
        ready=server.ready,
        stopped=server.stopped,
        tend=server.tend if isinstance(server, Connect) else None,
        named=server.named if isinstance(server, Kafka) else lambda log: None,
    )


def keep_component(home: Home, component: Component, worker: int, settings: Callable[[], dict[str, str]]) -> Kept:
    """One of our processes under the keeper. Only the API has an address to ask; the others are ready when they run."""
    address = url(home, component.name, worker) if component.serves else ""

    def command() -> Command:
        return Command(
            argv=(sys.executable, "-m", "api.cli.main", *component.command),
            log=home.path("logs", f"{component.name}-{worker}.log"),
            cwd=home.path("work"),
            environment={**settings(), "TMPDIR": str(home.path("tmp"))},
            stop_seconds=10,
            yields=component.yields,
        )

    def ready() -> bool:
        response = answers(f"{address}/health/live") if address else None
        return not address or (response is not None and response.status_code == 200)

    return Kept(component.name, worker, "component", version("payriver"), address, command, ready=ready)
