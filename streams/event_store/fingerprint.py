"""Which code folds a stream: a state that other code has folded is of another version, whatever its fields are called.

No number that a person must remember to raise: the fingerprint is over the sources themselves. A changed comment gives another one
too; that costs a few folds, and a forgotten number would cost the truth.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
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
    digest = hashlib.sha256()
    for name in sorted(sources(category)):
        digest.update(f"{name}\n".encode() + _path(name).read_bytes())
    return digest.digest()


def sources(category: str) -> set[str]:
    """The modules that the fingerprint is over."""
    found: set[str] = set()
    waiting = [AGGREGATES[category].evolve.__module__, *ALWAYS]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [each for each in _imports(name) if each.startswith(ROOMS)]
    return found


def _imports(name: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(_path(name).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [each for each in inner if _path(each).exists()]
            yield from modules or [node.module]


def _path(name: str) -> Path:
    return ROOT.joinpath(*name.split(".")).with_suffix(".py")
