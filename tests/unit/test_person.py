"""A person is known, held by the law or free, forgotten; and details open under their own key and place alone."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import Undecodable
from schemas.definition import MESSAGES
from schemas.messages import person_events as on_person
from schemas.topics import PERSON_EVENTS
from streams.domain import person as persons
from streams.domain.circumstances import Circumstances
from streams.domain.decisions import DECISIONS
from streams.domain.person import (
    CorrectPerson,
    ForgetPerson,
    LiftLegalHold,
    Person,
    PlaceLegalHold,
    RegisterPerson,
    Sealed,
)
from streams.persons.sealing import PADDED_TO, Details, seal, unseal

ANA, KEY, SECRET = UUID(int=1), UUID(int=2), bytes(range(32))
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DETAILS = Details("Ana Überall", "ana@example.org", None)
SEALED = seal(SECRET, KEY, ANA, 1, DETAILS)
REGISTER = RegisterPerson(**vars(SEALED))
LAW = "retention of the money laundering act"


def after(*orders: Any, now: datetime = NOON) -> tuple[Person | None, list[str]]:
    """The person after these orders, and what the last of them led to."""
    person: Person | None = None
    events: list[Any] = []
    for order in orders:
        events = DECISIONS[type(order)].decide(order, None, person, Circumstances(now, 0, 0))
        for event in events:
            person = persons.evolve(person, event)
    return person, [type(each).__name__ for each in events]


def test_every_event_of_a_person_is_folded() -> None:
    assert set(persons.EVOLVE) == {cls for cls in MESSAGES.values() if cls.topic == PERSON_EVENTS}


def test_a_person_is_registered_once() -> None:
    assert after(REGISTER)[1] == ["PersonRegistered"]
    assert after(REGISTER, REGISTER)[1] == []


def test_details_are_corrected_only_on_the_revision_that_was_seen() -> None:
    second, fourth = (CorrectPerson(**vars(seal(SECRET, KEY, ANA, n, DETAILS))) for n in (2, 4))
    assert after(REGISTER, second)[1] == ["PersonCorrected"]
    assert after(REGISTER, second, second)[1] == []
    assert after(REGISTER, fourth)[1] == []


def test_a_person_is_forgotten_once_and_does_not_come_back() -> None:
    person, said = after(REGISTER, ForgetPerson(ANA, "asked"))
    assert said == ["PersonForgotten"] and person is not None and person.forgotten
    again = (ForgetPerson(ANA, "asked"), REGISTER, CorrectPerson(**vars(seal(SECRET, KEY, ANA, 2, DETAILS))))
    hold = PlaceLegalHold(ANA, NOON + timedelta(days=1), LAW)
    for order in (*again, hold):
        assert after(REGISTER, ForgetPerson(ANA, "asked"), order)[1] == []


def test_a_legal_hold_refuses_the_forgetting_until_its_date_with_its_reason() -> None:
    hold = PlaceLegalHold(ANA, NOON + timedelta(days=1), LAW)
    person, said = after(REGISTER, hold, ForgetPerson(ANA, "asked"))
    assert said == ["ForgettingRefused"] and person is not None and not person.forgotten
    [refused] = persons.forget(ForgetPerson(ANA, "asked"), None, person, Circumstances(NOON, 0, 0))
    assert refused == on_person.ForgettingRefused(person_id=ANA, held_until=hold.until, reason=LAW)
    then = Circumstances(hold.until, 0, 0)
    assert isinstance(persons.forget(ForgetPerson(ANA, "asked"), None, person, then)[0], on_person.PersonForgotten)


def test_a_hold_whose_time_is_over_is_none_and_ends_no_other() -> None:
    hold = PlaceLegalHold(ANA, NOON + timedelta(days=1), LAW)
    person, said = after(REGISTER, hold, PlaceLegalHold(ANA, NOON, "a slip"))
    assert person is not None and (person.held_until, person.hold_reason) == (hold.until, LAW)
    assert said == []


def test_a_lifted_hold_refuses_nothing() -> None:
    hold = PlaceLegalHold(ANA, NOON + timedelta(days=1), LAW)
    orders = (REGISTER, hold, LiftLegalHold(ANA, "the case is closed"))
    assert after(*orders)[1] == ["LegalHoldLifted"]
    assert after(*orders, ForgetPerson(ANA, "asked"))[1] == ["PersonForgotten"]


def test_what_nobody_knows_is_neither_held_nor_forgotten() -> None:
    for order in (PlaceLegalHold(ANA, NOON, LAW), LiftLegalHold(ANA, "x"), ForgetPerson(ANA, "x")):
        assert after(order) == (None, [])


texts = st.text(min_size=1, max_size=200)


@given(texts, st.none() | texts, st.none() | texts, st.integers(1, 9))
def test_details_come_back_as_they_were_and_the_same_again_makes_the_same_bytes(
    name: str, email: str | None, phone: str | None, revision: int
) -> None:
    details = Details(name, email, phone)
    sealed = seal(SECRET, KEY, ANA, revision, details)
    assert unseal(SECRET, sealed) == details
    assert sealed == seal(SECRET, KEY, ANA, revision, details)


@given(st.integers(0, PADDED_TO + 15), st.integers(0, 7))
def test_a_changed_bit_does_not_open(byte: int, bit: int) -> None:
    data = bytearray(b64decode(SEALED.sealed))
    data[byte % len(data)] ^= 1 << bit
    with pytest.raises(Undecodable):
        unseal(SECRET, replace(SEALED, sealed=b64encode(bytes(data)).decode()))


@pytest.mark.parametrize(
    "moved",
    [
        {"person_id": UUID(int=9)},
        {"revision": 2},
        {"key_id": UUID(int=9)},
        {"algorithm": "rot13"},
        {"nonce": b64encode(bytes(12)).decode()},
        {"sealed": "not base64"},
    ],
)
def test_what_is_moved_elsewhere_does_not_open(moved: dict[str, Any]) -> None:
    with pytest.raises(Undecodable):
        unseal(SECRET, replace(SEALED, **moved))


def test_another_key_does_not_open() -> None:
    with pytest.raises(Undecodable, match="does not open under key"):
        unseal(bytes(32), SEALED)


def test_nonces_differ_where_anything_differs() -> None:
    kinds: list[Sealed] = [seal(SECRET, KEY, ANA, n, Details(f"name {m}")) for n in range(1, 9) for m in range(8)]
    assert len({each.nonce for each in kinds}) == len(kinds)


def test_a_length_tells_nothing_of_a_name() -> None:
    lengths = {len(seal(SECRET, KEY, ANA, 1, Details("x" * n)).sealed) for n in range(1, 150)}
    assert len(lengths) == 1


def test_details_are_not_shown_by_accident() -> None:
    assert "Ana" not in repr(DETAILS) + str(DETAILS) + repr(SEALED)
