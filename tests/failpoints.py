"""The failpoints as they stand in the code, and who dies at which."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAMED = re.compile(r'failpoint\(f?"([^"]+)"\)')
PROCESS = {"gateway": "api", "timeout": "sagas"}
"""Whose names are not their process's."""
DRIVERS = ("sagas", "gateway", "timeout")
"""What runs the saga engine."""
ELSEWHERE = ("rewind", "unseen", "past", "pause", "timeout.", "audit.", "rebuild.")
"""What no ordinary payment passes: a reorg, history in bulk, an overloaded receiver, a timeout, audit, rebuild. They die in tests of their own."""


def every(consumers: Sequence[str]) -> set[str]:
    """All names, those of shared code once for each component that runs it."""
    found = set()
    for room in ("streams", "connectors"):
        for path in (ROOT / room).rglob("*.py"):
            for name in NAMED.findall(path.read_text()):
                found |= {name.replace("{consumer}", each).replace("{self.driver}", driver)
                          for each in consumers for driver in DRIVERS}  # fmt: skip
    return found


def in_the_code(consumers: Sequence[str]) -> dict[str, list[str]]:
    """By process, those that payments pass in any day of a programme."""
    found: dict[str, list[str]] = {}
    for name in sorted(every(consumers)):
        if not any(each in name for each in ELSEWHERE):
            component = name.partition(".")[0]
            found.setdefault(PROCESS.get(component, component), []).append(name)
    return found
