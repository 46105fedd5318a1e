"""The tables of streams/domain/README.md, drawn from the card leg's own table: what one reads there is what decides."""

from __future__ import annotations

from infra.drawn import table
from streams.domain.card.table import CELLS, MESSAGES, NONE, STATES, TABLE, Cell


def picture() -> str:
    """A Mermaid state diagram of the card leg: an arrow for every way from one state to another, named by the messages."""
    ways: dict[tuple[str, str], list[str]] = {}
    for cell in CELLS:
        for state in cell.states:
            for to in cell.then:
                if to != state:
                    ways.setdefault((state, to), []).extend(cell.messages)
    arrows = [
        f"    {'[*]' if a == NONE else a} --> {b} : {', '.join(dict.fromkeys(messages))}"
        for (a, b), messages in ways.items()
    ]
    return "\n".join(["```mermaid", "stateDiagram-v2", *arrows, "```"])


def matrix() -> str:
    """Messages down, states across: the states that may follow, the refusal, `again`, or a dash where nothing happens."""
    rows = [(f"`{message}`", *(_short(TABLE[state, message], state) for state in STATES)) for message in MESSAGES]
    return table(("message", *STATES), rows)


def reasons() -> str:
    """Why a message is refused, or passed over."""
    quiet = [cell for cell in CELLS if cell.act is None]
    rows = [
        (
            ", ".join(cell.states),
            ", ".join(cell.messages),
            str(cell.refuse or ("again" if cell.early else "nothing")),
            cell.because,
        )
        for cell in quiet
    ]
    return table(("in", "message", "answer", "because"), rows)


def _short(cell: Cell, state: str) -> str:
    if cell.refuse is not None:
        return f"*{cell.refuse}*"
    if cell.early:
        return "again"
    return ", ".join("stays" if each == state else each for each in cell.then) or "-"
