"""FULL_TRANSITIVE, checked before any registry is asked: every released version reads today's bytes, and today reads theirs.

Our records are flat, so the rule is short (Avro 1.12, "Schema Resolution"): a field that only one side has needs a default there,
and a field that both have keeps its type.
"""

from __future__ import annotations

from typing import Any


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What keeps the two versions of one record from reading each other's bytes; empty when nothing does."""
    if old["name"] != new["name"] or old.get("namespace") != new.get("namespace"):
        return [f"{old['name']} became {new['name']}: a record keeps its full name"]
    before, after = ({each["name"]: each for each in schema["fields"]} for schema in (old, new))
    found = []
    for name in before.keys() - after.keys():
        if "default" not in before[name]:
            found.append(
                f"{old['name']}.{name} was removed, but older readers have no default for it: keep it, or release it with a default first"
            )
    for name in after.keys() - before.keys():
        if "default" not in after[name]:
            found.append(
                f"{new['name']}.{name} was added without a default: give it one, so that bytes written before it still read"
            )
    for name in before.keys() & after.keys():
        if before[name]["type"] != after[name]["type"]:
            found.append(
                f"{new['name']}.{name} changed its type from {before[name]['type']} to {after[name]['type']}: add a field beside it instead"
            )
    return sorted(found)


def version_problem(released: dict[str, Any], now: dict[str, Any]) -> str | None:
    """What is wrong with the record's `schema_version` beside that of its newest release, or nothing.

    It is raised by one when the fields are others than before; it may be raised when they only mean something else.
    """
    before, after, name = released.get("schema_version", 1), now.get("schema_version", 1), now["name"]
    if after not in (before, before + 1):
        return f"{name} says schema_version {after}, released was {before}: the next one is {before + 1}"
    if after == before and shape(released) != shape(now):
        return f"{name} has other fields than its release of schema_version {before}: raise it to {before + 1}"
    return None


def shape(schema: dict[str, Any]) -> list[tuple[str, str, str]]:
    """A record's fields without what only people read: name, type, default, by name."""
    return sorted((each["name"], str(each["type"]), repr(each.get("default", "none"))) for each in schema["fields"])
