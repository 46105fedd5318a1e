"""Keeps a stack's processes alive: starts them, watches them, starts again with growing pauses what died unasked."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import structlog

from infra.errors import Misconfigured, PayriverError, Unreachable
from infra.stack.process import Command, Identity, Spawner, wait_until

log = structlog.get_logger(__name__)

TICK_SECONDS = 0.2
TEND_SECONDS = 2.0
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 60.0  # a process that lived this long starts again without a pause
TAIL_CHARACTERS = 1500
READY_SECONDS = 180.0  # some ten seconds on an idle machine

State = Literal["stopped", "starting", "running", "pausing", "stopping"]


@dataclass
class Kept:
    """One process that should live. `prepare`, `command`, `ready`, `stopped` are its server's or component's."""

    name: str
    worker: int
    kind: Literal["server", "component"]
    version: str
    address: str
    command: Callable[[], Command]
    prepare: Callable[[], None] = lambda: None
    ready: Callable[[], bool] = lambda: True
    stopped: Callable[[], None] = lambda: None
    tend: Callable[[], None] | None = None  # called every few seconds while it runs
    named: Callable[[str], PayriverError | None] = lambda log: None  # why it did not start, where its log says so
    state: State = "stopped"
    restarts: int = 0
    since: float = 0.0
    process: subprocess.Popen[bytes] | None = None
    started: Command | None = None
    identity: Identity | None = None
    pause: float = FIRST_PAUSE_SECONDS
    again_at: float = 0.0
    log_from: int = 0  # where this start's words begin in its log
    changing: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @property
    def label(self) -> str:
        """How people see it: servers by name, components with their number."""
        return self.name if self.kind == "server" else f"{self.name}-{self.worker}"

    def alive(self) -> bool:
        """Whether its process runs (or is frozen)."""
        return self.process is not None and self.process.poll() is None

    def row(self) -> dict[str, Any]:
        """What the state file says of it."""
        identity = self.identity if self.alive() else None
        return {
            "component": self.name,
            "worker": self.worker,
            "kind": self.kind,
            "state": self.state,
            "address": self.address,
            "version": self.version,
            "pid": identity.pid if identity else None,
            "created": identity.created if identity else None,
            "signal": int(self.started.stop_signal) if self.started else int(signal.SIGTERM),
            "restarts": self.restarts,
            "since": round(self.since, 3),
        }


class Keeper:
    """All processes of one stack. `changed` is called after each change of state; `remove` goes with the last process."""

    def __init__(self, changed: Callable[[], None], remove: Path | None = None) -> None:
        self.kept: list[Kept] = []
        self._changed = changed
        self._spawner = Spawner()
        self._closing = threading.Event()
        self._watchdog_line = threading.Lock()
        command = [sys.executable, "-m", "infra.stack.watchdog", *([str(remove)] if remove else [])]
        self._watchdog = subprocess.Popen(
            command,
            cwd="/",
            stdin=subprocess.PIPE,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._threads = [threading.Thread(target=run, name="keeper", daemon=True) for run in (self._watch, self._tend)]
        for thread in self._threads:
            thread.start()

    def find(self, name: str, worker: int = 1) -> Kept:
        """The process of that name."""
        for kept in self.kept:
            if (kept.name, kept.worker) == (name, worker):
                return kept
        raise Misconfigured(f"no process {name}-{worker}; there are {', '.join(k.label for k in self.kept)}")

    def start(self, kept: Kept, *, wait: bool = True) -> None:
        """Starts it unless it runs, and waits until it is ready. Raises what its log names, else `Unreachable` with the log's end."""
        with kept.changing:
            if not kept.alive():
                kept.pause = FIRST_PAUSE_SECONDS
                self._spawn(kept)
        if wait and not wait_until(kept.ready, kept.alive, READY_SECONDS):
            told = _said(kept)
            end = told[-TAIL_CHARACTERS:] or "(nothing)"
            raise kept.named(told) or Unreachable(f"{kept.label} did not get ready; the end of its log:\n{end}")
        if wait:
            self._set(kept, "running")

    def stop(self, kept: Kept) -> None:
        """Ends it in order, and it stays down until it is started."""
        with kept.changing:
            self._set(kept, "stopping")
            process, command = kept.process, kept.started
            if process is not None and command is not None and process.poll() is None:
                _ask_to_end(process, command)
            clean = process is not None and process.returncode in (0, 128 + signal.SIGTERM)
            self._set(kept, "stopped")
        if clean:
            kept.stopped()

    def kill(self, kept: Kept) -> None:
        """SIGKILL; it stays down until it is started."""
        with kept.changing:
            kept.state = "stopping"
            if kept.process is not None:
                kept.process.kill()
                kept.process.wait()
            self._set(kept, "stopped")

    def stop_all(self, groups: list[list[Kept]]) -> None:
        """Ends group after group, the members of one at the same time; nothing starts any more."""
        self._closing.set()
        for group in groups:
            threads = [threading.Thread(target=self.stop, args=(kept,), daemon=True) for kept in group]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def close(self) -> None:
        """Lets the watchdog go; it ends what is left, and leaves when nothing is."""
        self._closing.set()
        for thread in self._threads:
            thread.join()
        assert self._watchdog.stdin is not None
        self._watchdog.stdin.close()
        self._watchdog.wait()

    def _spawn(self, kept: Kept) -> None:
        if self._closing.is_set():
            raise Unreachable(f"the stack is stopping; {kept.label} is not started")
        kept.prepare()
        kept.started = kept.command()
        kept.log_from = kept.started.log.stat().st_size if kept.started.log.exists() else 0
        kept.process = self._spawner.spawn(kept.started)
        kept.identity = Identity.of(kept.process.pid)
        self._tell_watchdog(kept.identity, kept.started.stop_signal)
        self._set(kept, "starting")

    def _tell_watchdog(self, identity: Identity, number: int) -> None:
        line = json.dumps({"pid": identity.pid, "created": identity.created, "signal": int(number)}) + "\n"
        with self._watchdog_line:
            assert self._watchdog.stdin is not None
            self._watchdog.stdin.write(line.encode())
            self._watchdog.stdin.flush()

    def _set(self, kept: Kept, state: State) -> None:
        if kept.state != state:
            kept.state, kept.since = state, time.time()
        self._changed()

    def _watch(self) -> None:
        while not self._closing.wait(TICK_SECONDS):
            for kept in list(self.kept):
                try:
                    self._look_at(kept)
                except Exception as error:  # noqa: BLE001 - a supervised process that cannot start is tried again
                    log.error("not started", process=kept.label, error=str(error))
                    with suppress(OSError):  # the state file may be what cannot be written
                        self._wait_before_restart(kept)

    def _tend(self) -> None:
        """In a thread of its own: a frozen server answers nobody, and the others should not wait for that."""
        while not self._closing.wait(TEND_SECONDS):
            for kept in list(self.kept):
                if kept.tend is None or kept.state != "running" or not kept.alive():
                    continue
                try:
                    kept.tend()
                except Exception as error:  # noqa: BLE001 - tended again in a moment
                    log.warning("not tended", process=kept.label, error=str(error))

    def _look_at(self, kept: Kept) -> None:
        if not kept.changing.acquire(blocking=False):
            return  # somebody is starting or stopping it right now
        try:
            if kept.state in ("starting", "running") and not kept.alive():
                code = kept.process.returncode if kept.process else None
                log.warning("died", process=kept.label, exit_code=code)
                self._wait_before_restart(kept)
            elif kept.state == "pausing" and time.monotonic() >= kept.again_at:
                kept.restarts += 1
                self._spawn(kept)
            elif kept.state == "starting" and kept.restarts and kept.ready():
                self._set(kept, "running")
        finally:
            kept.changing.release()

    def _wait_before_restart(self, kept: Kept) -> None:
        steady = time.time() - kept.since > STEADY_SECONDS
        kept.pause = FIRST_PAUSE_SECONDS if steady else min(kept.pause * 2, LONGEST_PAUSE_SECONDS)
        kept.again_at = time.monotonic() + kept.pause
        self._set(kept, "pausing")


def _said(kept: Kept) -> str:
    """What it has written since it was started."""
    if kept.started is None or not kept.started.log.exists():
        return ""
    whole = kept.started.log.read_bytes()
    return whole[kept.log_from if kept.log_from <= len(whole) else 0 :].decode(errors="replace")  # shorter: a fresh log


def _ask_to_end(process: subprocess.Popen[bytes], command: Command) -> None:
    process.send_signal(command.stop_signal)
    process.send_signal(signal.SIGCONT)  # a frozen process hears nothing else
    with suppress(subprocess.TimeoutExpired):
        process.wait(command.stop_seconds)
    if process.poll() is None:
        process.kill()
        process.wait()
