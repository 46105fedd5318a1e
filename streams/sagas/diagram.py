"""The picture, the words and the table of streams/sagas/README.md, drawn from the saga's own rows: what one reads there is what runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from infra.drawn import table
from streams.sagas.authorization import CARD, ENDS, LEGS, ROWS, STANDING, UNANSWERED, WAITING, Row

START = "new"
GROUPS: Mapping[str, tuple[str, ...]] = {
    "unanswered": UNANSWERED,
    "answered": STANDING,
    "waiting": WAITING,
    "ended": tuple(state for state in STANDING if state in ENDS),
    "any change": (*CARD, *LEGS),
}
"""What has one word in picture and table, for it is always said together."""


def picture() -> str:
    """A Mermaid state diagram: an arrow for every way from one state to another, named by what may lead there.

    The standing states are two, those that wait and those that ended: between them a payment goes whichever way its amounts and legs say.
    """
    inside: dict[tuple[str, str], list[str]] = {}
    outside: dict[tuple[str, str], list[str]] = {}
    for row in ROWS:
        for state in row.states:
            if row.to in UNANSWERED and state in UNANSWERED:
                inside.setdefault((state, row.to), []).extend(row.inputs)
            elif row.to and _node(state) != _node(row.to):
                outside.setdefault((_place(state), _node(row.to)), []).extend(row.inputs)
    nodes = [f'    state "{name}: {", ".join(GROUPS[name])}" as {name}' for name in ("waiting", "ended")]
    box = ["    state unanswered {", *(f"    {each}" for each in _arrows(inside)), "    }"]
    lines = [f"    [*] --> {START}", *nodes, *box, *_arrows(outside), "    ended --> [*]"]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


def _node(state: str) -> str:
    return next((name for name in ("waiting", "ended") if state in GROUPS[name]), state)


def _place(state: str) -> str:
    """Where an arrow that leaves a box begins."""
    return "unanswered" if state in UNANSWERED else _node(state)


def _arrows(ways: Mapping[tuple[str, str], Iterable[str]]) -> list[str]:
    return [f"    {a} --> {b} : {_said(inputs)}" for (a, b), inputs in ways.items()]


def words() -> str:
    """What the words of picture and table stand for."""
    return table(("word", "stands for"), [(f"*{name}*", ", ".join(of)) for name, of in GROUPS.items()])


def rows() -> str:
    """The table as it stands: in these states, on this input, if this holds: there, with these orders and timeouts."""
    return table(("in", "on", "if", "goes to", "orders", "timeouts"), [_row(row) for row in ROWS])


def _row(row: Row) -> tuple[str, ...]:
    condition = row.when.__name__.replace("_", " ") if row.when else ""
    orders = ", ".join(order.__name__ for order in row.orders)
    times = [f"start {name}" for name in row.start] + [f"cancel {name}" for name in row.cancel]
    to = (row.to or "stays") + (f" ({row.park})" if row.park else "")
    return _said(row.states, "*", ""), _said(row.inputs, "*", "`"), condition, to, orders, ", ".join(times)


def _said(names: Iterable[str], group: str = "", alone: str = "") -> str:
    """Each once, and those that have one word together by that word; both in the marks given."""
    left, found = list(dict.fromkeys(names)), []
    for word, of in GROUPS.items():
        if set(of) <= set(left):
            found.append(f"{group}{word}{group}")
            left = [name for name in left if name not in of]
    return ", ".join([*found, *(f"{alone}{name}{alone}" for name in left)])
