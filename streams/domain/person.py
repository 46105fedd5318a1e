"""A person behind accounts: known or forgotten, under a legal hold or free. What is personal is here only as it was sealed. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from schemas.definition import Message
from schemas.messages import person_events as on_person
from streams.domain.circumstances import Circumstances
from streams.domain.values import replace


@dataclass(frozen=True)
class Sealed:
    """Details under a person's key; the words of the message fields say what each is."""

    person_id: UUID
    revision: int
    key_id: UUID
    algorithm: str
    nonce: str
    sealed: str


@dataclass(frozen=True)
class RegisterPerson(Sealed):
    """Take a person into the register."""


@dataclass(frozen=True)
class CorrectPerson(Sealed):
    """Other details for a known person."""


@dataclass(frozen=True)
class PlaceLegalHold:
    """Nobody may forget the person before then."""

    person_id: UUID
    until: datetime
    reason: str


@dataclass(frozen=True)
class LiftLegalHold:
    """The hold ends before its time."""

    person_id: UUID
    reason: str


@dataclass(frozen=True)
class ForgetPerson:
    """Forget the person, unless the law stands against it."""

    person_id: UUID
    reason: str


@dataclass(frozen=True)
class Person:
    """A fold of a person's events. `details` is None once the person is forgotten."""

    person_id: UUID
    key_id: UUID
    revision: int
    details: Sealed | None
    held_until: datetime | None = None
    hold_reason: str | None = None

    @property
    def forgotten(self) -> bool:
        """Whether the key is, or is about to be, destroyed."""
        return self.details is None

    def held_at(self, now: datetime) -> bool:
        """Whether a legal hold stands."""
        return self.held_until is not None and now < self.held_until


Decided = list[Message]


def register(order: RegisterPerson, payment: Any, person: Person | None, circumstances: Circumstances) -> Decided:
    """Once; a forgotten person does not come back under the old id."""
    return [] if person is not None else [on_person.PersonRegistered(**vars(order))]


def correct(order: CorrectPerson, payment: Any, person: Person | None, circumstances: Circumstances) -> Decided:
    """Only on the revision that the caller had seen."""
    if person is None or person.forgotten or order.revision != person.revision + 1:
        return []
    return [on_person.PersonCorrected(**vars(order))]


def place_hold(order: PlaceLegalHold, payment: Any, person: Person | None, circumstances: Circumstances) -> Decided:
    """The newest hold counts; one whose time is over is none, and ends no other."""
    if person is None or person.forgotten or (person.held_until, person.hold_reason) == (order.until, order.reason):
        return []
    if order.until <= circumstances.now:
        return []
    return [on_person.LegalHoldPlaced(person_id=order.person_id, until=order.until, reason=order.reason)]


def lift_hold(order: LiftLegalHold, payment: Any, person: Person | None, circumstances: Circumstances) -> Decided:
    """A hold that stands ends; one whose time is over needs nobody."""
    if person is None or not person.held_at(circumstances.now):
        return []
    return [on_person.LegalHoldLifted(person_id=order.person_id, reason=order.reason)]


def forget(order: ForgetPerson, payment: Any, person: Person | None, circumstances: Circumstances) -> Decided:
    """Forgotten for good, or refused with the hold's date and reason, by W's clock."""
    if person is None or person.forgotten:
        return []
    if person.held_at(circumstances.now) and person.held_until is not None:
        why = person.hold_reason or ""
        return [on_person.ForgettingRefused(person_id=person.person_id, held_until=person.held_until, reason=why)]
    return [on_person.PersonForgotten(person_id=person.person_id, key_id=person.key_id, reason=order.reason)]


def _details(said: Any) -> Sealed:
    return Sealed(said.person_id, said.revision, said.key_id, said.algorithm, said.nonce, said.sealed)


def _registered(_: Person | None, said: on_person.PersonRegistered) -> Person:
    return Person(said.person_id, said.key_id, said.revision, _details(said))


def _corrected(person: Person, said: on_person.PersonCorrected) -> Person:
    return replace(person, key_id=said.key_id, revision=said.revision, details=_details(said))


def _held(person: Person, said: on_person.LegalHoldPlaced) -> Person:
    return replace(person, held_until=said.until, hold_reason=said.reason)


def _lifted(person: Person, _: on_person.LegalHoldLifted) -> Person:
    return replace(person, held_until=None, hold_reason=None)


def _forgotten(person: Person, _: on_person.PersonForgotten) -> Person:
    return replace(person, details=None, held_until=None, hold_reason=None)


def _refused(person: Person, _: on_person.ForgettingRefused) -> Person:
    return person


EVOLVE: Mapping[type[Message], Callable[[Any, Any], Person]] = {
    on_person.PersonRegistered: _registered,
    on_person.PersonCorrected: _corrected,
    on_person.LegalHoldPlaced: _held,
    on_person.LegalHoldLifted: _lifted,
    on_person.PersonForgotten: _forgotten,
    on_person.ForgettingRefused: _refused,
}


def evolve(person: Person | None, event: Message) -> Person:
    """The person after one more event."""
    return EVOLVE[type(event)](person, event)
