"""Group commit thousands of times over, by threads that change places as often as Python lets them: no call is lost, and nobody is told another's."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import psycopg2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.errors import BadInput
from streams import group_commit
from streams.group_commit import GroupCommit
from tests.office import Books, Item


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads change places as often as Python lets them."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("most", [1, 3, 32])
def test_no_call_is_ever_lost(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """With a patience that nobody has: whoever is not called hangs, and is found by the clock."""
    monkeypatch.setattr(group_commit, "PATIENCE_SECONDS", 3600)
    books, callers, each_calls = Books(), 16, 400
    door: GroupCommit[Item, str] = GroupCommit(books.transact, books.work, most)

    def call(caller: int) -> int:
        return sum(door(Item((caller, number))) == f"of {(caller, number)}" for number in range(each_calls))

    with ThreadPoolExecutor(callers) as threads:
        coming = [threads.submit(call, caller) for caller in range(callers)]
        assert [each.result(60) for each in coming] == [each_calls] * callers
    assert Counter(books.names()) == Counter((c, n) for c in range(callers) for n in range(each_calls))
    assert not door._waiting and not door._at_work
    assert max(map(len, books.commits)) <= most
    assert books.most_sharing == (most > 1), "one shared transaction at a time"
    if most > 1:
        assert len(books.commits) < callers * each_calls, "some were shared"


FATES = st.sampled_from(["good"] * 4 + ["bad", "locked", "late"])


@pytest.mark.usefixtures("hasty")
@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.lists(FATES, min_size=1, max_size=6), min_size=1, max_size=10),
    st.sampled_from([1, 2, 5, 32]),
    st.integers(0, 3),
)
def test_whatever_the_others_bring_everybody_is_told_its_own(callers: list[list[Any]], most: int, lost: int) -> None:
    books = Books(lost=lost)
    door: GroupCommit[Item, str] = GroupCommit(books.transact, books.work, most)
    together = threading.Barrier(len(callers))
    unknown: list[Any] = []

    def call(caller: int) -> None:
        together.wait(10)
        for number, fate in enumerate(callers[caller]):
            name = (caller, number)
            error = BadInput(str(name)) if fate == "bad" else None
            limit = time.monotonic() if fate == "late" else math.inf
            try:
                assert door(Item(name, error, fate == "locked"), limit) == f"of {name}" and error is None
            except psycopg2.OperationalError:
                unknown.append(name)
            except BadInput as met:
                assert met is error, f"{name} is told {met}"

    with ThreadPoolExecutor(len(callers)) as threads:
        for each in [threads.submit(call, caller) for caller in range(len(callers))]:
            each.result(30)
    good = {(c, n) for c, fates in enumerate(callers) for n, fate in enumerate(fates) if fate != "bad"}
    stored = books.names()
    assert len(stored) == len(set(stored)), "each once"
    assert good - set(unknown) <= set(stored) <= good
    assert len(unknown) <= lost, "of a commit that nobody was told of, its one caller"
    assert not door._waiting and not door._at_work
    with suppress(psycopg2.OperationalError):
        door(Item("last"))
