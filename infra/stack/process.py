"""Starts and ends the processes of the stack, so that none outlives the supervisor, however the supervisor ends.

Three nets, each under the one before: Linux signals a child when the thread that spawned it dies (so one thread that lives as
long as we do spawns them all); a watchdog process ends what is left; the next start ends what the state file still names.
"""

from __future__ import annotations

import ctypes
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

PASSED_ON = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "COVERAGE_PROCESS_START")
LOG_BYTES = 32 * 1024 * 1024
PR_SET_PDEATHSIG = 1
NICENESS, AUTOGROUP = 10, Path("/proc/self/autogroup")
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


@dataclass(frozen=True)
class Command:
    """How one process is started and asked to end. `environment` holds its own secrets and nobody else's."""

    argv: tuple[str, ...]
    log: Path
    cwd: Path
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    user: int | None = None
    stop_signal: int = signal.SIGTERM
    stop_seconds: float = 20
    yields: bool = True
    """Whether it stands back where the processor is short. W, the API, the listener and the chain do not: a card network waits for them."""


@dataclass(frozen=True)
class Identity:
    """A process id alone may be another's by now; with its start time (seconds since 1970) it is one process for ever."""

    pid: int
    created: float

    @classmethod
    def of(cls, pid: int) -> Identity:
        """The process that has this id now; raises psutil.NoSuchProcess."""
        return cls(pid, psutil.Process(pid).create_time())

    def process(self) -> psutil.Process | None:
        """The process, unless it has ended."""
        try:
            found = psutil.Process(self.pid)
            same = abs(found.create_time() - self.created) < 0.02 and found.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return found if same else None


class Spawner:
    """The one thread that starts processes: Linux ties their death signal to it, so it ends only when we do."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[tuple[Command, Future[subprocess.Popen[bytes]]]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="spawner", daemon=True).start()

    def spawn(self, command: Command) -> subprocess.Popen[bytes]:
        """Starts the process; its output goes to its log."""
        started: Future[subprocess.Popen[bytes]] = Future()
        self._work.put((command, started))
        return started.result()

    def _run(self) -> None:
        while True:
            command, started = self._work.get()
            try:
                started.set_result(_popen(command))
            except (OSError, subprocess.SubprocessError) as error:
                started.set_exception(error)


def _popen(command: Command) -> subprocess.Popen[bytes]:
    inherited = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    other: dict[str, Any] = {}
    if command.user is not None:
        other = {"user": command.user, "group": command.user, "extra_groups": []}
    _rotate(command.log)
    with command.log.open("ab") as log:
        return subprocess.Popen(
            command.argv,
            cwd=command.cwd,
            env={**inherited, **command.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=_before(command),
            **other,
        )


def _before(command: Command) -> Callable[[], None]:
    """Run in the child before its program: says what it yields, and asks the kernel for a signal when our spawner is gone."""
    parent = os.getpid()

    def prepare() -> None:
        if command.yields:
            _yield_to_others()
        if _prctl is None:
            return
        _prctl(PR_SET_PDEATHSIG, command.stop_signal, 0, 0, 0)
        if os.getppid() != parent:  # we died in between: nobody would signal this child
            os._exit(1)

    return prepare


def _yield_to_others() -> None:
    """A tenth of the others' weight. Where Linux shares out by session (sched(7), autogroup), the session is told so, too."""
    os.nice(NICENESS)
    for _ in range(10):  # who is not root may say so ten times a second, all processes together
        try:
            AUTOGROUP.write_text(str(NICENESS))
        except BlockingIOError:
            time.sleep(0.1)
        except OSError:  # there is no such thing here
            return
        else:
            return


def _rotate(log: Path) -> None:
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))


def end(identities: dict[Identity, int], seconds: float) -> None:
    """Asks each process with its own signal, waits at most `seconds` for all, then kills what is left (a frozen one too)."""
    living = {identity: p for identity in identities if (p := identity.process())}
    for identity, process in living.items():
        _signal(process, identities[identity])
        _signal(process, signal.SIGCONT)  # a frozen process hears nothing else
    _, left = psutil.wait_procs(list(living.values()), timeout=seconds)
    for process in left:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(left, timeout=5)


def _signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def signal_tree(pid: int, number: int) -> None:
    """To a process first, so that it starts no other one meanwhile, and to all that it started: PostgreSQL is a process a session."""
    process = psutil.Process(pid)
    _signal(process, number)
    for child in process.children(recursive=True):
        _signal(child, number)


@contextmanager
def unbroken() -> Iterator[None]:
    """What ends everything comes to its own end: meanwhile no Ctrl-C, SIGTERM or closed terminal breaks it off."""
    if threading.current_thread() is not threading.main_thread():  # signals reach the main thread alone
        yield
        return
    before = {
        number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def wait_until(ready: Callable[[], bool], alive: Callable[[], bool], seconds: float) -> bool:
    """Whether `ready` came true in time, and before the process ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if ready():
            return True
        if not alive():
            return False
        time.sleep(0.05)
    return False
