"""Subject: what the databases are made of. Each table, column, constraint, index, trigger, policy, function, grant and role, held against
what the migrations make: whoever owns the tables can make them hide a row, take another, or let somebody write who may not.

Slices that were opened, archived to or dropped are as they should be, and passwords are looked at by nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Engine

from connectors.verify.report import Findings
from connectors.verify.snapshot import snapshot
from infra.migrations import catalogue
from infra.migrations.catalogue import Catalogue, Name
from infra.migrations.runner import Server

SERVERS: Mapping[Server, str] = {"write": "W", "read": "R", "keys": "the database of keys"}
VERSION = Name("server", "", "version")
NOTHING = "nothing"
UNREAD = "what the tables hold: they are not those that the migrations make, so nothing in them was read"
READING: Mapping[str, tuple[str, ...]] = {"table": ("kind",), "column": ("type",), "function": ()}
"""What must be there to be asked, and what of it must be as it was made."""


def check(findings: Findings, engines: Mapping[Server, Engine]) -> bool:
    """Name each difference. Gives whether the tables are still such that what they hold can be asked for."""
    asked = [_check(findings, server, source) for server, source in engines.items()]
    return all(asked)


def _check(findings: Findings, server: Server, source: Engine) -> bool:
    with snapshot(source) as opened, opened.connection.cursor() as cursor:
        found = catalogue.ask(cursor, server)
    made = catalogue.shipped(server)
    if found[VERSION] != made[VERSION]:
        here, there = (told[VERSION]["major"] for told in (found, made))
        findings.skipped.append(f"what {SERVERS[server]} is made of: it is PostgreSQL {here}, and known for {there}")
        return True
    findings.checked["objects that databases are made of"] += len(found)
    return compare(findings, SERVERS[server], found, made)


def compare(findings: Findings, place: str, found: Catalogue, shapes: Catalogue) -> bool:
    """One database. `place`: its name, for what belongs to no table. `shapes`: slices by `#`, as the catalogue's file has them."""
    made = _expected(found, shapes)
    asked = True
    for name in sorted(found.keys() | made.keys()):
        if _belongs_to_one_that_differs(name, found, made):
            continue
        is_, should = found.get(name), made.get(name)
        told = catalogue.shape_of(name, is_) if is_ is not None else None
        if told == should:
            continue
        _tell(findings, place, name, told, should)
        asked &= name.kind not in READING or should is None or _can_be_asked(READING[name.kind], told, should)
    return asked


def _can_be_asked(words: Iterable[str], told: Mapping[str, Any] | None, should: Mapping[str, Any]) -> bool:
    return told is not None and all(told.get(word) == should.get(word) for word in words)


def _expected(found: Catalogue, shapes: Catalogue) -> Catalogue:
    """What should stand: all that the file has, and each slice that there is, or must be, with all of its shape."""
    of_slices: dict[str, list[tuple[Name, dict[str, Any]]]] = {}
    made: Catalogue = {}
    for name, told in shapes.items():
        if "#" in name.table:
            of_slices.setdefault(name.table, []).append((name, told))
        else:
            made[name] = told
    for shape, numbers in _numbers(found, of_slices).items():
        for number in numbers:
            for name, told in of_slices[shape]:
                made[Name(*(part.replace("#", str(number)) for part in name))] = told
    return made


def _numbers(found: Catalogue, shapes: Iterable[str]) -> dict[str, set[int]]:
    """Which numbers each shape should have. The outbox's slices are dropped and cold partitions may be wanting; events have all up to the newest."""
    numbers: dict[str, set[int]] = {shape: set() for shape in shapes}
    for name in found:
        if name.kind == "table" and name.shape.table in numbers:
            numbers[name.shape.table].add(int(name.slice.rpartition("_")[2]))
    newest = max(numbers.get("events_#", ()), default=-1)
    for shape in ("events_#", "events_#_hot"):
        if shape in numbers:
            numbers[shape] = set(range(newest + 1))
    return numbers


def _belongs_to_one_that_differs(name: Name, found: Catalogue, made: Catalogue) -> bool:
    """Of a table that is not there, or should not be, or is a view, the table itself is enough to name."""
    table = Name("table", name.table, "")
    if not name.table or name == table:
        return False
    return found.get(table, {}).get("kind") != made.get(table, {}).get("kind")


def _tell(
    findings: Findings, place: str, name: Name, told: Mapping[str, Any] | None, should: Mapping[str, Any] | None
) -> None:
    table, key = name.table or place, f"{name} ({place})"
    if should is None:
        findings.differ(table, key, _one(told), NOTHING, "no migration makes it")
    elif told is None:
        findings.differ(table, key, NOTHING, _one(should), "it is not there")
    else:
        for word in sorted(told.keys() | should.keys()):
            here, there = _apart(told.get(word), should.get(word))
            if here != there:
                findings.differ(table, key, here, there, f"{word}: not as the migrations make it")


def _one(told: Mapping[str, Any] | None) -> str:
    return ", ".join(f"{word}: {value}" for word, value in (told or {}).items()) or "there"


def _apart(found: Any, made: Any) -> tuple[Any, Any]:
    """What two values do not have in common: of lists the items, of long texts the first line that differs."""
    if isinstance(found or made, list):
        here, there = found or [], made or []
        return [each for each in here if each not in there] or NOTHING, [
            each for each in there if each not in here
        ] or NOTHING
    if isinstance(found, str) and isinstance(made, str):
        lines = zip([*found.splitlines(), NOTHING], [*made.splitlines(), NOTHING], strict=False)
        return next(((here, there) for here, there in lines if here != there), (found, made))
    return (NOTHING if value is None else value for value in (found, made))  # type: ignore[return-value]
