"""When Python looks for values that only point at each other: seldom, where very many are made and next to none of them are such."""

from __future__ import annotations

import gc

YOUNG, OLDER = 50_000, 20


def look_seldom() -> None:
    """For a process that turns logs into events by the ten thousand: it may make so many values before Python looks through them.

    Left to itself, Python looks each time some hundreds were made, in a backfill at everything of a stretch again and again.
    """
    gc.set_threshold(YOUNG, OLDER, OLDER)
