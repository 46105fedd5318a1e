"""Ponder as the chain's bench runs it: the project of infra/peers/ponder, on the same node and the same PostgreSQL server."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Engine

from api.bench.chain_stage import LOOK_SECONDS, ChainStage
from api.bench.figure import BenchFailed
from infra.database import engine, transaction
from infra.peers import PONDER
from infra.stack.npm import node, npm_ci
from infra.stack.ports import free_port
from infra.stack.process import Command, Spawner

PEER = f"Ponder {orjson.loads((PONDER / 'package.json').read_bytes())['dependencies']['ponder']}"
SCHEMA = "bench"
IN_BLOCK = f"SELECT count(*) FROM {SCHEMA}.transfer WHERE block_number = %s"
STARTED, COMPLETED, LIVE = (
    "Started backfill indexing",
    "Completed backfill indexing across all chains",
    "Started live indexing",
)


@dataclass(frozen=True)
class Ponder:
    """A Ponder that runs; `log` is what it says, an object a line; `database` what it has stored."""

    log: Path
    process: subprocess.Popen[bytes]
    database: Engine

    def backfill_seconds(self, patience_seconds: float = 900) -> float:
        """From its first question about history to its last commit, by its own clock; it goes on with new heads then."""
        began = self._when(STARTED, patience_seconds)
        return (self._when(COMPLETED, patience_seconds) - began) / 1000

    def until_live(self) -> None:
        """It waits for new heads."""
        self._when(LIVE, 60)

    def stored(self, block: int | None = None) -> int:
        """How many rows are committed, of a block or of all."""
        query, values = (IN_BLOCK, (block,)) if block is not None else (f"SELECT count(*) FROM {SCHEMA}.transfer", ())
        with transaction(self.database) as cursor:
            cursor.execute(query, values)
            return int(cursor.fetchall()[0][0])

    def _when(self, message: str, patience_seconds: float) -> float:
        """The time (milliseconds) at which it said this. Raises BenchFailed."""
        deadline = time.monotonic() + patience_seconds
        while True:
            for each in self._said():
                if each.get("msg") == message:
                    return float(each["time"])
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise BenchFailed(f"Ponder never said {message!r}; its last words: {self.log.read_text()[-800:]}")
            time.sleep(LOOK_SECONDS)

    def _said(self) -> Iterator[dict[str, Any]]:
        for line in self.log.read_bytes().splitlines() if self.log.exists() else ():
            try:
                told = orjson.loads(line)
            except orjson.JSONDecodeError:  # a warning of Node's, or half a line
                continue
            if isinstance(told, dict):
                yield told


@contextmanager
def running(stage: ChainStage) -> Iterator[Ponder]:
    """`ponder start`, which is how it is run in production; ended afterwards."""
    packages = npm_ci(PONDER, cache=stage.asked.cache, offline=stage.asked.offline)
    folder = stage.stack.home.path("work", "ponder")
    shutil.copytree(PONDER, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
    if not (folder / "node_modules").exists():
        (folder / "node_modules").symlink_to(packages)
    log = folder / "ponder.log"
    log.unlink(missing_ok=True)  # what an earlier one said is not said by this one
    started = Spawner().spawn(_command(stage, folder))
    try:
        yield Ponder(log, started, engine(stage.peer_url))
    finally:
        started.terminate()
        started.wait(30)


def _command(stage: ChainStage, folder: Path) -> Command:
    program = folder / "node_modules" / "ponder" / "dist" / "esm" / "bin" / "ponder.js"
    door = ("--port", str(free_port(set())), "--hostname", "127.0.0.1")
    argv = (str(node()), str(program), "start", "--schema", SCHEMA, "--log-format", "json", *door)
    told = {
        "DATABASE_URL": stage.peer_url, "RPC_URL": stage.chain.rpc_url, "SOCKET_URL": stage.chain.socket_url,
        "TOKEN": stage.token, "START_BLOCK": str(stage.first), "PONDER_TELEMETRY_DISABLED": "1", "DO_NOT_TRACK": "1",
        "HOME": str(folder), "PATH": os.pathsep.join((str(node().parent), os.environ.get("PATH", os.defpath))),
    }  # fmt: skip
    return Command(argv, folder / "ponder.log", folder, told, yields=False)
