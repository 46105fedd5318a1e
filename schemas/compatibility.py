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
