"""When Python looks for values that only point at each other: seldom, where very many are made and next to none of them are such."""

from __future__ import annotations

import gc

YOUNG, OLDER = 50_000, 20


def look_seldom() -> None:
    """For a process that turns logs into events by the ten thousand: what it holds by now is never looked at again, the rest seldom.

    Left to itself, Python goes through everything alive each time some hundreds were made: a quarter of a backfill.
    """
    gc.freeze()
    gc.set_threshold(YOUNG, OLDER, OLDER)
