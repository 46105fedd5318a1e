"""In which order the servers come up and go down: as much at a time as their needs allow."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass

SERVERS = ("write", "read", "kafka", "registry", "connect", "node")
DATABASES = ("write", "read")
STOP_ORDER = (("connect",), ("registry", "kafka", "node"), DATABASES)


@dataclass(frozen=True)
class ServersStart:
    """Brings up the servers of `names`: R before the registry, Kafka's topics before Connect, both R and W before tables.

    `start` returns when a server answers, `step` when what belongs between the servers is done (`Provisioner`). Both are called from
    several threads. `give_up` ends what runs, so that whoever waits for it ends, too.
    """

    names: Collection[str]
    start: Callable[[str], None]
    step: Callable[[str], None]
    give_up: Callable[[], None]

    def run(self) -> None:
        """Returns when all are up. Raises the first thing that went wrong, after it gave up."""
        with ThreadPoolExecutor(max_workers=8, thread_name_prefix="start") as pool:
            write, read = (pool.submit(self._start, [], name) for name in DATABASES)
            registry = pool.submit(self._start, [read], "registry")
            tables = pool.submit(self._step, [write, read], DATABASES, "databases")
            vocabulary = pool.submit(self._step, [registry, tables], ("registry",), "vocabulary")
            lines = [
                *(write, read, registry, tables, vocabulary),
                pool.submit(self._start_broker, tables),
                pool.submit(self._start, [], "node"),
            ]
            try:
                for line in as_completed(lines):
                    line.result()
            except BaseException:
                self.give_up()
                raise

    def _start_broker(self, tables: Future[None]) -> None:
        self._start([], "kafka")
        self._step([], ("kafka",), "broker")
        self._step([tables], (*DATABASES, "connect"), "consumers")
        self._start([], "connect")

    def _start(self, first: list[Future[None]], name: str) -> None:
        for line in first:
            line.result()
        if name in self.names:
            self.start(name)

    def _step(self, first: list[Future[None]], servers: tuple[str, ...], name: str) -> None:
        for line in first:
            line.result()
        if set(servers) <= set(self.names):
            self.step(name)
