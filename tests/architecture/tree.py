"""The project's own files, as the version control knows them: what the tests of the house look at."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@cache
def tracked() -> tuple[Path, ...]:
    """Every file of the project that is there, committed or about to be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(path for line in told.splitlines() if (path := ROOT / line).is_file())


@cache
def text_of(path: Path) -> str:
    """A file's text; empty for one that is not text."""
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return ""


def named(path: Path) -> str:
    """As the tests speak of it."""
    return path.relative_to(ROOT).as_posix()
