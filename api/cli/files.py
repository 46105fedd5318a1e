"""Files that a command writes in the end, tried before it begins what takes long or cannot be undone."""

from __future__ import annotations

from pathlib import Path


def must_take(path: Path | None) -> None:
    """Whether the file can be written to; one that is not there is not there afterwards. Raises OSError, which `main` names."""
    if path is None:
        return
    there = path.exists() or path.is_symlink()
    path.open("ab").close()
    if not there:
        path.unlink()
