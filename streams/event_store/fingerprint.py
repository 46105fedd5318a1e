"""Which code folds: a state or a read model that other code has folded is of another version, whatever its fields are called.

No number that a person must remember to raise: the fingerprint is over the sources themselves. A changed comment gives another one
too; that costs a few folds, and a forgotten number would cost the truth.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from streams.aggregates import AGGREGATES

ROOT = Path(__file__).parents[2]
ROOMS = ("streams.domain.", "schemas.")
ALWAYS = ("schemas.upcasters", "streams.event_store.frozen")
"""How a stored payload becomes a message, and a state becomes what is stored."""


@cache
def fingerprint(category: str) -> bytes:
    """sha256 over the sources of the aggregate's `evolve` and of all that it imports from the domain and the vocabulary."""
    return digest(path_of(name) for name in sources(category))


def digest(files: Iterable[Path]) -> bytes:
    """sha256 over these files of ours, whatever order they come in."""
    found = hashlib.sha256()
    for path in sorted(set(files)):
        found.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return found.digest()


def sources(category: str) -> set[str]:
    """The modules that the fingerprint is over."""
    return reached([AGGREGATES[category].evolve.__module__, *ALWAYS], ROOMS)


def reached(begin: Iterable[str], rooms: tuple[str, ...]) -> set[str]:
    """These modules, and all that they import of the rooms."""
    found: set[str] = set()
    waiting = [*begin]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [each for each in _imports(name) if each.startswith(rooms)]
    return found


def _imports(name: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(path_of(name).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [each for each in inner if path_of(each).exists()]
            yield from modules or [node.module]


def path_of(name: str) -> Path:
    """The file of a module of ours."""
    return ROOT.joinpath(*name.split(".")).with_suffix(".py")
