"""Many callers, one transaction: everybody is told its own result or its own error, and nobody waits for ever, whatever becomes of whoever leads."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Any
from uuid import uuid4

import psycopg2
import pytest

from infra.errors import BadInput, CommandIdReused, TooLate, UnknownType, VersionConflict
from streams import group_commit
from tests.office import Item, Office, until


@pytest.fixture
def office() -> Iterator[Office]:
    found = Office()
    yield found
    found.books.gate.set()
    found.threads.shutdown()


def told(coming: Sequence[Future[str]]) -> list[str]:
    return [each.result(20) for each in coming]


# -- together


def test_whoever_finds_nobody_at_work_goes_at_once(office: Office) -> None:
    began = time.monotonic()
    for number in range(50):
        assert office.door(Item(number)) == f"of {number}"
    assert office.books.commits == [[number] for number in range(50)]
    assert time.monotonic() - began < 0.5


def test_whoever_arrives_while_another_is_at_work_shares_the_next_transaction(office: Office) -> None:
    leading = office.hold_up(Item(0))
    coming = office.queue([Item(number) for number in range(1, 9)])
    office.books.gate.set()
    assert told([leading, *coming]) == [f"of {number}" for number in range(9)]
    assert office.books.commits == [[0], list(range(1, 9))], "in the order in which they came"


def test_whoever_leads_takes_along_who_comes_when_it_lets_others_through(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    coming: list[Future[str]] = []

    def three_come_one_by_one() -> None:
        if len(coming) < 3:
            coming.append(office.come(Item(len(coming) + 1)))
            until(lambda: len(office.door._waiting) == len(coming))

    monkeypatch.setattr(group_commit, "_let_others_through", three_come_one_by_one)
    assert office.door(Item(0)) == "of 0"
    assert told(coming) == ["of 1", "of 2", "of 3"]
    assert office.books.commits == [[0, 1, 2, 3]]


def test_a_transaction_carries_no_more_than_it_may(office: Office) -> None:
    office.most = 3
    office.__post_init__()
    leading = office.hold_up(Item(0))
    coming = office.queue([Item(number) for number in range(1, 9)])
    office.books.gate.set()
    assert told([leading, *coming]) == [f"of {number}" for number in range(9)]
    assert [len(each) for each in office.books.commits] == [1, 3, 3, 2]


def test_what_is_shared_is_over_when_the_first_of_its_callers_must_be_told(office: Office) -> None:
    soon = time.monotonic() + 60
    leading = office.hold_up(Item(0))
    coming = office.queue([Item(1)])
    coming += [office.come(Item(2), soon), office.come(Item(3), soon + 1)]
    until(lambda: len(office.door._waiting) == 3)
    office.books.gate.set()
    told([leading, *coming])
    assert [each.until for each in office.books.begun] == [math.inf, soon]


# -- errors


ERRORS = (
    VersionConflict(uuid4(), 1, 2), TooLate("the deadline has passed"), CommandIdReused("other fields"), UnknownType("nobody decides"),
    BadInput("no amount"), psycopg2.OperationalError("the server died"), RuntimeError("a bug"),
)  # fmt: skip


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("place", [1, 3])
def test_nobody_is_told_anothers_error(office: Office, error: Exception, place: int) -> None:
    """`place`: whether the one who leads or one who follows brings it."""
    leading = office.hold_up(Item(0))
    coming = office.queue([Item(number, error if number == place else None) for number in range(1, 5)])
    office.books.gate.set()
    assert leading.result(5) == "of 0"
    for number, each in enumerate(coming, 1):
        if number == place:
            assert each.exception(5) is error
        else:
            assert each.result(5) == f"of {number}"
    assert sorted(office.books.names()) == sorted({0, 1, 2, 3, 4} - {place})


def test_whoever_is_alone_is_told_its_error_at_once(office: Office) -> None:
    with pytest.raises(BadInput, match="no amount"):
        office.door(Item(1, BadInput("no amount")))
    assert len(office.books.begun) == 1
    assert office.door(Item(2)) == "of 2"


@pytest.mark.parametrize("place", [1, 3])
def test_a_leader_that_is_torn_away_leaves_everybody_else_their_result(office: Office, place: int) -> None:
    """SystemExit, say: it is the thread's, and the thread alone is told."""
    leading = office.hold_up(Item(0))
    coming = office.queue([Item(number, SystemExit(3) if number == place else None) for number in range(1, 5)])
    office.books.gate.set()
    assert leading.result(5) == "of 0"
    torn = {number for number, each in enumerate(coming, 1) if each.exception(5) is not None}
    assert torn == {1, place}, "who led, and whoever brought it"
    assert all(isinstance(coming[number - 1].exception(), SystemExit) for number in torn)
    assert sorted(office.books.names()) == sorted({0, 1, 2, 3, 4} - torn)
    assert office.door(Item(9)) == "of 9"


def test_a_commit_that_is_done_though_nobody_was_told_is_told_at_the_second_time(office: Office) -> None:
    leading = office.hold_up(Item(0))
    coming = office.queue([Item(1), Item(2), Item(3)])
    office.books.lost = 2
    office.books.gate.set()
    assert isinstance(leading.exception(5), psycopg2.OperationalError), "alone, it is told what its own commit met"
    assert told(coming) == ["of 1", "of 2", "of 3"]
    assert sorted(office.books.names()) == [0, 1, 2, 3]


# -- nobody waits for ever


def test_behind_a_frozen_leader_everybody_goes_on_alone(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "PATIENCE_SECONDS", 0.1)
    leading = office.hold_up(Item(0))
    assert told([office.come(Item(number)) for number in range(1, 9)]) == [f"of {number}" for number in range(1, 9)]
    assert not leading.done()
    assert office.door(Item(9)) == "of 9"
    office.books.gate.set()
    assert leading.result(5) == "of 0"
    assert not office.door._waiting
    assert sorted(office.books.names()) == list(range(10))


def test_whoever_was_taken_by_a_leader_that_froze_goes_on_alone_too(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    leading = office.hold_up(Item(0))
    coming = [office.come(Item(number)) for number in range(1, 4)]
    until(lambda: len(office.door._waiting) == 3)
    monkeypatch.setattr(office.books, "shut", office.door._waiting[0].item.name)
    first, office.books.gate = office.books.gate, threading.Event()
    monkeypatch.setattr(group_commit, "PATIENCE_SECONDS", 0.1)
    first.set()
    assert leading.result(5) == "of 0"
    until(lambda: sum(each.done() for each in coming) == 2, 5)
    office.books.gate.set()
    assert told(coming) == ["of 1", "of 2", "of 3"]
    assert sorted(office.books.names()) == [0, 1, 2, 3], "each once, though the frozen one carried them, too"


def test_a_caller_keeps_half_its_time_for_itself(office: Office) -> None:
    leading = office.hold_up(Item(0))
    began = time.monotonic()
    assert office.door(Item(1), began + 0.4) == "of 1"
    assert 0.19 < time.monotonic() - began < 0.35
    assert office.door(Item(2), began) == "of 2", "whose time is over waits for nobody"
    assert not leading.done()


def test_a_rivals_lock_holds_up_only_who_needs_it(office: Office) -> None:
    """What is shared gives up soon. Alone, without that bound, it waits for its row, and others go on meanwhile."""
    assert office.door(Item(1, locked=True)) == "of 1"
    assert [each.bounds for each in office.books.begun] == [[group_commit.BOUND], [group_commit.BOUND], []]
    leading = office.hold_up(Item(2))
    coming = office.queue([Item(3), Item(4, locked=True), Item(5)])
    office.books.gate.set()
    assert told([leading, *coming]) == ["of 2", "of 3", "of 4", "of 5"]


def test_few_wait_for_a_rivals_row_at_once_and_nobody_who_needs_none_waits_for_them(office: Office) -> None:
    for _ in range(group_commit.PLACES):
        office.door._places.acquire()
    began = time.monotonic()
    with pytest.raises(TooLate, match="nothing was done"):
        office.door(Item(1, locked=True), began + 0.3)
    assert 0.29 < time.monotonic() - began < 1
    patient = office.come(Item(2, locked=True))
    assert told([office.come(Item(number)) for number in range(3, 9)]) == [f"of {number}" for number in range(3, 9)]
    assert not patient.done()
    office.door._places.release()
    assert patient.result(5) == "of 2"


@pytest.mark.parametrize("called", [False, True])
def test_whoever_is_torn_away_while_it_waits_holds_nobody_up(
    office: Office, monkeypatch: pytest.MonkeyPatch, called: bool
) -> None:
    """`called`: it was just told to lead."""
    leading = office.hold_up(Item(0))
    monkeypatch.setattr(group_commit, "PATIENCE_SECONDS", 60)
    wait, torn = group_commit._Caller.wait, threading.Event()

    def torn_away(caller: Any) -> None:
        if caller.item.name != 1:
            return wait(caller)
        assert torn.wait(5)
        if called:
            wait(caller)
        raise SystemExit

    monkeypatch.setattr(group_commit._Caller, "wait", torn_away)
    first, *others = office.queue([Item(1), Item(2), Item(3)])
    torn.set()
    if not called:
        assert isinstance(first.exception(5), SystemExit)
    office.books.gate.set()
    assert told([leading, *others]) == ["of 0", "of 2", "of 3"]
    assert isinstance(first.exception(5), SystemExit)
    assert office.door(Item(4)) == "of 4"
