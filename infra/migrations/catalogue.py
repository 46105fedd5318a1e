"""What the migrations make of a database, object by object: asked of the server (`catalogue.sql`), and shipped beside them.

`write/catalogue.jsonl` and so on hold one object a line, written by `python -m infra.migrations.dump`; `payriver verify` holds the live
databases against them. Slices are opened at any time and are alike, so the file has one of each shape, with `#` for its number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from infra.database import Cursor
from infra.migrations.runner import ROOM, Server
from infra.stack.roles import READ_ROLES, WRITE_ROLES

OBJECTS = (ROOM / "catalogue.sql").read_text()
ROLES: Mapping[Server, tuple[str, ...]] = {"write": WRITE_ROLES, "read": READ_ROLES, "keys": ()}
"""Whose attributes are looked at; the database of keys lies on R."""
SLICE = re.compile(r"\b(events|outbox)_(\d+)(?=_|\b)")
SLICE_ROWS = 20_000_000
"""Positions or numbers that a slice holds, as 0001_event_store.sql opens it."""


class Name(NamedTuple):
    """An object: what it is, the table that it belongs to (empty: none), and what it is called there."""

    kind: str
    table: str
    name: str

    def __str__(self) -> str:
        return " ".join(filter(None, (self.kind, self.name or self.table)))

    @property
    def slice(self) -> str:
        """`events_3` for what belongs to that slice or one of its partitions; empty for all else."""
        found = SLICE.match(self.table)
        return found[0] if found else ""

    @property
    def shape(self) -> Name:
        """The name by which the file has it: a slice without its number."""
        return Name(*(unnumbered(part, self.slice) for part in self)) if self.slice else self


Catalogue = dict[Name, dict[str, Any]]
"""Each object with what is told of it, by the words of catalogue.sql."""


def ask(cursor: Cursor | Any, server: Server) -> Catalogue:
    """The database as it is; what is false, empty or null is not told. `search_path` stays at pg_catalog until the transaction's end."""
    cursor.execute("SET LOCAL search_path TO pg_catalog")
    cursor.execute(OBJECTS, (list(ROLES[server]),))
    return {
        Name(kind, table, name): {word: value for word, value in told.items() if value not in (None, False, "", [])}
        for kind, table, name, told in cursor.fetchall()
    }


def path_of(server: Server) -> Path:
    """`write/catalogue.jsonl` and so on."""
    return ROOM / server / "catalogue.jsonl"


def shipped(server: Server) -> Catalogue:
    """As the migrations make it; slices by their shape."""
    lines = path_of(server).read_text().splitlines()
    return {Name(kind, table, name): told for kind, table, name, told in map(json.loads, lines)}


def text_of(found: Catalogue) -> str:
    """The file's text. Raises ValueError where two slices are not alike: then no file could say what a slice is."""
    shapes: Catalogue = {}
    for name, told in found.items():
        plain = shape_of(name, told)
        if shapes.setdefault(name.shape, plain) != plain:
            raise ValueError(f"{name} of {name.table} is {plain}, and in another slice {shapes[name.shape]}")
    lines = (json.dumps([*name, told], sort_keys=True, ensure_ascii=False) for name, told in sorted(shapes.items()))
    return "".join(f"{line}\n" for line in lines)


def shape_of(name: Name, told: Mapping[str, Any]) -> dict[str, Any]:
    """What is told of it as the file has it: a slice without its number, and bounds that are its own as `#`."""
    if not name.slice:
        return dict(told)
    number = int(name.slice.rpartition("_")[2])
    own = f"FROM ('{number * SLICE_ROWS}') TO ('{(number + 1) * SLICE_ROWS}')"
    return {word: _unnumbered(value, name.slice, own) for word, value in told.items()}


def unnumbered(text: str, slice_: str) -> str:
    """Text in which this slice goes by `#`; another slice's number stays, for there it does not belong."""
    return SLICE.sub(lambda found: f"{found[1]}_#" if found[0] == slice_ else found[0], text)


def _unnumbered(value: Any, slice_: str, own: str) -> Any:
    if isinstance(value, list):
        return [_unnumbered(each, slice_, own) for each in value]
    return unnumbered(value, slice_).replace(own, "#") if isinstance(value, str) else value
