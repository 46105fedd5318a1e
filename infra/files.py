"""Files that a command writes in the end: whole or not at all, and tried before it begins what takes long or cannot be undone."""

from __future__ import annotations

import glob
import os
import shutil
from contextlib import suppress
from pathlib import Path

import psutil

UNFINISHED = ".part"


def must_take(path: Path | None) -> None:
    """Whether the file can be written to; one that is not there is not there afterwards. Raises OSError, which `main` names."""
    if path is None:
        return
    there = path.exists() or path.is_symlink()
    path.open("ab").close()
    if not there:
        path.unlink()


def put(path: Path, data: bytes) -> None:
    """Write it whole: a full disk leaves what was there before. Raises OSError, which `main` names."""
    if path.exists() and not path.is_file():  # a pipe, a device
        path.write_bytes(data)
        return
    there = path.resolve()
    fresh = unfinished(there)
    try:
        fresh.write_bytes(data)
        fresh.replace(there)
    except OSError as error:
        error.filename = str(path)  # what was named, and not what only this function knows of
        raise
    finally:
        fresh.unlink(missing_ok=True)


def unfinished(path: Path) -> Path:
    """Where a file or folder is written until it is whole: `.NAME.PID.part` beside it. What of that name dead processes left is taken away."""
    mine = os.getpid()
    for each in path.parent.glob(f".{glob.escape(path.name)}.*{UNFINISHED}"):
        pid = each.name[len(path.name) + 2 : -len(UNFINISHED)]
        if pid.isdecimal() and (int(pid) == mine or not psutil.pid_exists(int(pid))):
            _take_away(each)
    return path.with_name(f".{path.name}.{mine}{UNFINISHED}")


def _take_away(path: Path) -> None:
    """Another user's stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):
        path.unlink()
