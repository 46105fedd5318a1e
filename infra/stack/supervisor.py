"""The whole river on one machine: two PostgreSQL, Kafka, registry, Connect, an EVM node, and two of each of our own processes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Protocol

import psutil
from confluent_kafka.admin import AdminClient
from rich.console import Console

from infra.errors import Misconfigured
from infra.stack import access
from infra.stack.fetch import fetch
from infra.stack.home import Home, write_state
from infra.stack.keeper import Keeper
from infra.stack.members import keep_component, keep_server, make_server
from infra.stack.process import signal_tree, unbroken
from infra.stack.roles import COMPONENTS, Component, secret_names
from infra.stack.servers.base import Server, Site
from infra.stack.servers.database import Database
from infra.stack.servers.kafka import administrator
from infra.stack.servers.node import Node
from infra.stack.start_order import DATABASES, SERVERS, STOP_ORDER, ServersStart

PORTS = [*SERVERS, "controller", "registry-management"]


class Provisioner(Protocol):
    """What the rooms above put between the servers as they come up. Each step may be done again at every start."""

    def databases(self, stack: Stack) -> None:
        """Both PostgreSQL answer and have their roles: tables."""

    def broker(self, stack: Stack) -> None:
        """Kafka answers: topics and ACLs."""

    def consumers(self, stack: Stack) -> None:
        """Topics and tables are there: checkpoints. Connect, which writes to the topics, is started after this."""

    def vocabulary(self, stack: Stack) -> None:
        """The registry answers and W has its tables: schemas."""

    def river(self, stack: Stack) -> None:
        """All servers answer: slot, connector, contracts. Our own processes are started after this."""


class Stack:
    """The embedded stack, started and ended by the process that holds this object.

    `home` is kept and can be started again; without one a home is made and removed, and unless `throwaway` is False
    its servers do not wait for the disk. `servers` and `components` say what runs. `settings`: component -> more
    variables for its processes, read at each start. Use it as a context manager. Only one process at a time may run a home.
    """

    def __init__(
        self,
        home: Path | None = None,
        *,
        throwaway: bool | None = None,
        servers: Sequence[str] = SERVERS,
        components: Sequence[Component] = COMPONENTS,
        provisioner: Provisioner | None = None,
        partitions: int = 12,
        chain_file: Path | None = None,
        settings: Mapping[str, Mapping[str, str]] | None = None,
        cache: Path | None = None,
        mirror: str = "",
        offline: bool = False,
        slots_in_an_epoch: int = 4,
        console: Console | None = None,
    ) -> None:
        self.home = Home.throwaway() if home is None else Home(home.absolute())
        self.partitions = partitions
        self.chain_file = chain_file or self.home.path("chain.json")
        self.settings = {name: dict(told) for name, told in (settings or {}).items()}
        self.seconds: dict[str, float] = {}
        self.state, self.error = "stopped", ""
        self.servers: dict[str, Server] = {}
        self._names, self._components = tuple(servers), tuple(components)
        self._provisioner = provisioner
        self._throwaway, self._remove = (home is None) if throwaway is None else throwaway, home is None
        self._fetching = {"cache": cache, "mirror": mirror, "offline": offline, "console": console}
        self._site_options = {
            "offline": offline,
            "slots_in_an_epoch": slots_in_an_epoch,
        }
        self._keeper: Keeper | None = None
        self._writing = threading.Lock()
        if "connect" in self._names and provisioner is None:
            raise Misconfigured("Connect needs its topics before it starts: give a provisioner, or leave connect out")

    def __enter__(self) -> Stack:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- start and stop ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts everything, in order, and returns when all of it is ready. What fails takes everything down again."""
        began = time.monotonic()
        try:
            self.home.open()
            self._keeper = Keeper(self.write_state, self.home.folder if self._remove else None)
            self._enter("starting")
            self._lay_out()
            self.seconds["fetch"] = time.monotonic() - began
            ServersStart(self._names, self._start_server, self._step, self._give_up).run()
            if "connect" in self._names:
                self._step("river")
            self._start_components()
            self._enter("ready")
        except BaseException as error:
            self.error = str(error) or type(error).__name__
            self._enter("failed")
            self.stop()
            raise
        self.seconds["start"] = time.monotonic() - began

    @unbroken()
    def stop(self) -> None:
        """Ends everything in order: our processes, Connect, the servers it stands on, the databases. Safe to call twice."""
        if self._keeper is None:
            self.home.close(remove=self._remove)
            return
        began = time.monotonic()
        if self.state != "failed":
            self._enter("stopping")
        kept = self._keeper.kept
        groups = [[k for k in kept if k.kind == "component"]]
        groups += [[k for k in kept if k.kind == "server" and k.name in names] for names in STOP_ORDER]
        self._keeper.stop_all(groups)
        self._keeper.close()
        if self.state != "failed":
            self._enter("stopped")
        self._keeper = None
        self.home.close(remove=self._remove)
        self.seconds["stop"] = time.monotonic() - began

    # --- for tests, the demo and people --------------------------------------------------------------------------------

    def restart(self, name: str, worker: int = 1) -> None:
        """Ends a process in order, if it runs, and starts it again at its old address."""
        self.stop_process(name, worker)
        self.start_process(name, worker)

    def stop_process(self, name: str, worker: int = 1) -> None:
        """Ends a process in order; it stays down."""
        self._running.stop(self._running.find(name, worker))

    def start_process(self, name: str, worker: int = 1, *, wait: bool = True) -> None:
        """Starts a process that is down, and waits until it is ready."""
        self._running.start(self._running.find(name, worker), wait=wait)

    def kill(self, name: str, worker: int = 1, *, stay_down: bool = True) -> None:
        """SIGKILL. With `stay_down=False` the supervisor starts it again, as after any other death."""
        if stay_down:
            self._running.kill(self._running.find(name, worker))
        else:
            os.kill(self.pid(name, worker), signal.SIGKILL)

    def freeze(self, name: str, worker: int = 1) -> None:
        """SIGSTOP, to its children too: it is there and does nothing, as on a machine that swaps."""
        signal_tree(self.pid(name, worker), signal.SIGSTOP)

    def thaw(self, name: str, worker: int = 1) -> None:
        """SIGCONT: a frozen process goes on and knows nothing of the time that passed."""
        signal_tree(self.pid(name, worker), signal.SIGCONT)

    def pid(self, name: str, worker: int = 1) -> int:
        """The process id now; it changes with every start."""
        kept = self._running.find(name, worker)
        if kept.process is None or not kept.alive():
            raise Misconfigured(f"{kept.label} does not run")
        return kept.process.pid

    def url(self, name: str, worker: int = 1) -> str:
        """The address of a server or of the API."""
        return access.url(self.home, name, worker)

    def settings_for(self, component: str, worker: int = 1) -> dict[str, str]:
        """The environment of a component, or of a person's identity (`operator`, `auditor`, `owner`, `cdc`, `ui`)."""
        chain = str(self.chain_file) if self.chain_file.exists() else ""
        told = access.settings_for(self.home, component, worker, partitions=self.partitions, chain=chain)
        return told | self.settings.get(component, {})

    def log(self, name: str, worker: int = 1) -> Path:
        """Where the process writes its log."""
        return self.home.path("logs", f"{self._running.find(name, worker).label}.log")

    def postgres(self, name: str) -> Database:
        """Server `write` or `read`, by its superuser's door."""
        return Database(self.home, name)

    @cached_property
    def admin(self) -> AdminClient:
        """Kafka's administrator; one for the stack's life, since a client that is let go of takes its answers with it."""
        return administrator(self.home)

    def node(self) -> Node | None:
        """The development node, or None where the chain is somebody else's."""
        server = self.servers.get("node")
        return server if isinstance(server, Node) else None

    def write_state(self) -> None:
        """Writes what runs where; called at every change."""
        with self._writing:
            if self._keeper is None or not self.home.folder.exists():
                return
            supervisor = {"pid": os.getpid(), "created": psutil.Process().create_time()}
            rows = [kept.row() for kept in self._keeper.kept]
            state = {"state": self.state, "error": self.error, "throwaway": self._throwaway, "seconds": self.seconds}
            state |= {"partitions": self.partitions, "chain_file": str(self.chain_file)}
            write_state(self.home.folder, {**state, "supervisor": supervisor, "processes": rows})

    # --- inside --------------------------------------------------------------------------------------------------------

    @property
    def _running(self) -> Keeper:
        if self._keeper is None:
            raise Misconfigured("the stack does not run; start() it first")
        return self._keeper

    def _enter(self, state: str) -> None:
        self.state = state
        self.write_state()

    def _lay_out(self) -> None:
        programs = fetch(**self._fetching)  # type: ignore[arg-type]
        self.home.make_passwords(secret_names())
        apis = [f"{c.name}-{n}" for c in self._components if c.serves for n in range(1, c.instances + 1)]
        self.home.choose_ports([*PORTS, *apis])
        site = Site(self.home, programs, self._throwaway, **self._site_options)  # type: ignore[arg-type]
        for name in self._names:
            self.servers[name] = make_server(site, name)
            self._running.kept.append(keep_server(self.home, self.servers[name]))

    def _start_server(self, name: str) -> None:
        began = time.monotonic()
        self.start_process(name)
        self.seconds[name] = time.monotonic() - began
        if name in DATABASES:
            self.postgres(name).create_roles()

    def _give_up(self) -> None:
        self._running.stop_all([[kept] for kept in reversed(self._running.kept)])

    def _step(self, name: str) -> None:
        if self._provisioner is not None:
            began = time.monotonic()
            getattr(self._provisioner, name)(self)
            self.seconds[name] = time.monotonic() - began

    def _start_components(self) -> None:
        for component in self._components:
            for worker in range(1, component.instances + 1):
                told = partial(self.settings_for, component.name, worker)  # at each start: the chain may be named later
                self._running.kept.append(keep_component(self.home, component, worker, told))
        ours = [kept for kept in self._running.kept if kept.kind == "component"]
        with ThreadPoolExecutor(1) as pool:  # Ctrl-C reaches the main thread alone: no process is half known
            list(pool.map(lambda kept: self._running.start(kept, wait=False), ours))
        for kept in ours:
            self._running.start(kept)
