"""The picture and the table of streams/sagas/README.md, drawn from the saga's own rows: what one reads there is what runs."""

from __future__ import annotations

from infra.drawn import table
from streams.sagas.authorization import CARD, ENDS, ROWS, STANDING, Row

START, BOX = "new", "answered"


def picture() -> str:
    """A Mermaid state diagram: an arrow for every way from one state to another, named by what may lead there.

    The standing states are one box: between them a payment goes whichever way its amounts and legs say.
    """
    ways: dict[tuple[str, str], list[str]] = {}
    for row in ROWS:
        inside = set(STANDING) <= set(row.states)
        for state in [BOX, *(each for each in row.states if each not in STANDING)] if inside else row.states:
            if row.to not in ("", state):
                ways.setdefault((state, row.to), []).extend(row.inputs)
    arrows = [f"    {a} --> {b} : {_few(inputs)}" for (a, b), inputs in ways.items()]
    box = [f"    state {BOX} {{", *(f"        {state}" for state in STANDING), "    }"]
    ends = [f"    {state} --> [*]" for state in sorted(ENDS)]
    return "\n".join(["```mermaid", "stateDiagram-v2", f"    [*] --> {START}", *box, *arrows, *ends, "```"])


def _few(inputs: list[str]) -> str:
    """Named, where they are few; all of a payment's later life is one word."""
    named = list(dict.fromkeys(inputs))
    return "whatever changes what is due or what moves" if set(CARD) <= set(named) else ", ".join(named)


def rows() -> str:
    """The table as it stands: in these states, on this input, if this holds: there, with these orders and timeouts."""
    return table(("in", "on", "if", "goes to", "orders", "timeouts"), [_row(row) for row in ROWS])


def _row(row: Row) -> tuple[str, ...]:
    condition = row.when.__name__.replace("_", " ") if row.when else ""
    orders = ", ".join(order.__name__ for order in row.orders)
    times = [f"start {name}" for name in row.start] + [f"cancel {name}" for name in row.cancel]
    to = (row.to or "stays") + (f" ({row.park})" if row.park else "")
    return ", ".join(row.states), ", ".join(f"`{name}`" for name in row.inputs), condition, to, orders, ", ".join(times)
