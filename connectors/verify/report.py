"""What an audit finds: differences, each with table, row, what is and what should be; and how much was looked at."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

LONGEST_TEXT = 300
NO_ROW = "no row"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that does not agree. `key` names the row by its primary key; `about` says in words what is wrong with it."""

    table: str
    key: str
    found: str
    expected: str
    about: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing is wrong, but a person or time must end it: a parked saga, a message on its retry schedule."""

    table: str
    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Covered:
    """How far the audit log's anchors reach. What comes after the last one is promised by nothing yet.

    `anchored`: events under the largest root that a final block states; `last_position`, `transaction`, `block_number`: of that one.
    """

    events: int
    logged: int
    anchored: int
    not_covered: int
    last_position: int | None
    transaction: str | None
    block_number: int | None
    anchors_read: bool


@dataclass(frozen=True)
class Verification:
    """The audit's result. `checked`: how many of each were looked at; `skipped`: what could not be looked at, and why.

    `known`: what is not as it should be and was written down, with its reason: an audit log that was closed, and what it says otherwise.
    """

    differences: tuple[Difference, ...]
    checked: Mapping[str, int]
    waiting: tuple[Waiting, ...] = ()
    skipped: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    seconds: float = 0.0
    covered: Covered | None = None

    @property
    def ok(self) -> bool:
        """Whether everything agrees."""
        return not self.differences

    def to_json(self) -> dict[str, Any]:
        """As `payriver verify --json` prints it."""
        return {
            "ok": self.ok,
            "differences": [asdict(each) for each in self.differences],
            "checked": dict(self.checked),
            "waiting": [asdict(each) for each in self.waiting],
            "skipped": list(self.skipped),
            "known": list(self.known),
            "seconds": round(self.seconds, 3),
            "audit_log": asdict(self.covered) if self.covered else None,
        }


@dataclass
class Findings:
    """Where the subjects of an audit write down what they find."""

    differences: list[Difference] = field(default_factory=list)
    checked: Counter[str] = field(default_factory=Counter)
    waiting: list[Waiting] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    covered: Covered | None = None

    def differ(self, table: str, key: object, found: object, expected: object, about: str) -> None:
        """Write down a difference."""
        self.differences.append(Difference(table, str(key), told(found), told(expected), about))

    def expect(self, table: str, key: object, found: object, expected: object, about: str) -> None:
        """Write down a difference if the two values are not the same."""
        if found != expected and plain(found) != plain(expected):
            self.differ(table, key, found, expected, about)

    def compare(
        self, table: str, key: object, found: Mapping[str, Any], expected: Mapping[str, Any], about: str
    ) -> None:
        """Compare a row's columns with what they should be, column by column."""
        for name, value in expected.items():
            other = found.get(name)
            if other != value and plain(other) != plain(value):
                self.differ(table, key, other, value, f"column {name}: {about}")

    def absent(self, table: str, key: object, expected: object, about: str) -> None:
        """A row that should be there is not."""
        self.differ(table, key, NO_ROW, expected, about)

    def surplus(self, table: str, key: object, found: object, about: str) -> None:
        """A row that should not be there is."""
        self.differ(table, key, found, NO_ROW, about)

    def wait(self, table: str, key: object, reason: str) -> None:
        """Write down what waits for a person or for time."""
        self.waiting.append(Waiting(table, str(key), reason))

    def result(self, seconds: float) -> Verification:
        """The whole."""
        return Verification(
            tuple(self.differences),
            dict(self.checked),
            tuple(self.waiting),
            tuple(self.skipped),
            tuple(self.known),
            seconds,
            self.covered,
        )


def plain(value: Any) -> Any:
    """The value as it is compared: numeric comes as Decimal, bytea as memoryview; an amount of 0 is not false."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else value
    if isinstance(value, memoryview):
        return bytes(value)
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value


def told(value: Any) -> str:
    """The value as it is shown: bytes as hex, times in UTC, long text shortened in its middle."""
    value = plain(value)
    if isinstance(value, bytes):
        text = "0x" + value.hex()
    elif isinstance(value, datetime):
        text = value.astimezone(UTC).isoformat()
    elif isinstance(value, dict | list):
        text = json.dumps(value, default=str, ensure_ascii=False)
    else:
        text = "null" if value is None else str(value)
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 80]} … {text[-70:]} ({len(text)} characters)"
