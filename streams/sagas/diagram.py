"""The picture and the table of streams/sagas/README.md, drawn from the saga's own rows: what one reads there is what runs."""

from __future__ import annotations

from infra.drawn import table
from streams.sagas.authorization import ENDS, ROWS, Row

START = "new"


def picture() -> str:
    """A Mermaid state diagram: an arrow for every way from one state to another, named by what may lead there."""
    ways: dict[tuple[str, str], list[str]] = {}
    for row in ROWS:
        for state in row.states:
            if row.to not in ("", state):
                ways.setdefault((state, row.to), []).append(row.input)
    arrows = [f"    {a} --> {b} : {', '.join(dict.fromkeys(inputs))}" for (a, b), inputs in ways.items()]
    ends = [f"    {state} --> [*]" for state in sorted(ENDS)]
    return "\n".join(["```mermaid", "stateDiagram-v2", f"    [*] --> {START}", *arrows, *ends, "```"])


def rows() -> str:
    """The table as it stands: in these states, on this input, if this holds: there, with these orders and timeouts."""
    return table(("in", "on", "if", "goes to", "orders", "timeouts"), [_row(row) for row in ROWS])


def _row(row: Row) -> tuple[str, ...]:
    condition = row.when.__name__.strip("_").replace("_", " ") if row.when else ""
    orders = ", ".join(order.__name__ for order in row.orders)
    times = [f"start {name}" for name in row.start] + [f"cancel {name}" for name in row.cancel]
    to = (row.to or "stays") + (f" ({row.park})" if row.park else "")
    return ", ".join(row.states), f"`{row.input}`", condition, to, orders, ", ".join(times)
