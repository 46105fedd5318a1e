"""Files that a command writes in the end: whole or not at all, and tried before it begins what takes long or cannot be undone."""

from __future__ import annotations

import os
from pathlib import Path


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
    fresh = there.with_name(f".{there.name}.{os.getpid()}")
    try:
        fresh.write_bytes(data)
        fresh.replace(there)
    except OSError as error:
        error.filename = str(path)  # what was named, and not what only this function knows of
        raise
    finally:
        fresh.unlink(missing_ok=True)
