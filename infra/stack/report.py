"""What runs in a home, for people and for programs: read from outside, without touching anything."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from infra.stack.home import read_state, take_lock
from infra.stack.process import Identity

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Row:
    """One process with its children. `rss_mb`: resident memory in MiB; pages that processes share are counted by their share."""

    component: str
    worker: int
    kind: str
    state: str
    address: str
    version: str
    pid: int | None
    rss_mb: float
    restarts: int


@dataclass(frozen=True)
class Report:
    """A home: `state` is ready, starting, stopping, failed, stopped, or `killed` when its supervisor is gone unasked."""

    home: str
    state: str
    error: str
    rss_mb: float
    components: tuple[Row, ...]

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)


def is_running(folder: Path) -> bool:
    """Whether a supervisor holds the home."""
    if not folder.exists():
        return False
    lock = take_lock(folder)
    if lock is None:
        return True
    lock.close()
    return False


def look(folder: Path) -> Report:
    """The home's report; `stopped` and empty where nothing was started."""
    state = read_state(folder)
    running = is_running(folder)
    said = state.get("state", "stopped")
    if not running and said not in ("stopped", "failed"):
        said = "killed"
    rows = tuple(_row(row) for row in state.get("processes", []))
    return Report(str(folder), said, state.get("error", ""), round(sum(row.rss_mb for row in rows), 1), rows)


def _row(row: dict[str, Any]) -> Row:
    process = Identity(row["pid"], row["created"]).process() if row["pid"] else None
    state = row["state"]
    if process is None and state in ("running", "starting"):
        state = "gone"
    elif process is not None and process.status() == psutil.STATUS_STOPPED:
        state = "frozen"
    return Row(
        component=row["component"],
        worker=row["worker"],
        kind=row["kind"],
        state=state,
        address=row["address"],
        version=row["version"],
        pid=process.pid if process else None,
        rss_mb=round(_memory(process) / MEBIBYTE, 1) if process else 0.0,
        restarts=row["restarts"],
    )


def _memory(process: psutil.Process) -> int:
    """Bytes, with its children's."""
    total = 0
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            total += _proportional(one)
    return total


def _proportional(process: psutil.Process) -> int:
    try:
        found = process.memory_full_info()
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
    return int(getattr(found, "pss", found.rss))
