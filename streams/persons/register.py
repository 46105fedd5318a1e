"""Who is behind an account: register, correct, hold, forget, and look. Events on W, keys in their own database; the event comes first.

No transaction spans both servers, and none is needed: a key that nobody sealed with harms nobody, and a forgetting that died before its
key was destroyed is finished by asking again (`verify` names it until then).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Engine

from infra.database import Cursor, reading, transaction
from infra.errors import BadInput, Forgotten, LegallyHeld, NotFound, Retry
from infra.telemetry import new_traceparent
from streams.command_handler import CommandHandler
from streams.domain import ids
from streams.domain.person import (
    CorrectPerson,
    ForgetPerson,
    LiftLegalHold,
    Person,
    PlaceLegalHold,
    RegisterPerson,
    Sealed,
)
from streams.event_store.recorded import Cause
from streams.orders import Order
from streams.persons.keys import KeyStore
from streams.persons.sealing import Details, seal, unseal

FORGOTTEN = "SELECT stream_id FROM events WHERE type = 'PersonForgotten'"


@dataclass(frozen=True)
class Shown:
    """A person as an operator sees it. `details` is None once the person is forgotten."""

    person: Person
    details: Details | None


@dataclass(frozen=True)
class PersonRegister:
    """The register. `write`: W as a role that appends; `keys`: the database of keys as role keeper."""

    write: Engine
    keys: KeyStore
    handler: CommandHandler

    def register(self, person_id: UUID, details: Details, actor: str) -> UUID:
        """Take a person into the register; the same again changes nothing.

        Raises Forgotten for who was forgotten under this id, CommandIdReused for one who is known with other details.
        """
        with transaction(self.write) as cursor:
            self._must_not_be_forgotten(self._state(cursor, person_id), person_id)
        sealed = self._seal(person_id, 1, details)
        self._order(ids.derived("person", person_id, "register"), RegisterPerson(**vars(sealed)), actor)
        return person_id

    def put(self, person_id: UUID, details: Details, actor: str) -> None:
        """Register, or correct who is known. Raises Forgotten, Retry."""
        with transaction(self.write) as cursor:
            known = self._state(cursor, person_id) is not None
        if known:
            self.correct(person_id, details, actor)
        else:
            self.register(person_id, details, actor)

    def correct(self, person_id: UUID, details: Details, actor: str) -> None:
        """Other details; the same as now changes nothing. Raises NotFound, Forgotten, Retry where somebody corrected meanwhile."""
        shown = self.show(person_id)
        self._must_not_be_forgotten(shown.person, person_id)
        if shown.details == details:
            return
        revision = shown.person.revision + 1
        order = CorrectPerson(**vars(self._seal(person_id, revision, details)))
        self._order(ids.derived("person", person_id, "correct", revision, order.sealed), order, actor)
        now = self.show(person_id)
        if now.details != details:
            raise Retry(f"somebody corrected person {person_id} at the same time; look again")

    def hold(self, person_id: UUID, until: datetime, reason: str, actor: str) -> None:
        """Nobody may forget the person before then, by W's clock. Raises NotFound, BadInput for a time that is over, and Forgotten also where
        that happened meanwhile.
        """
        self._must_not_be_forgotten(self._known(person_id), person_id)
        decided = self._order(uuid4(), PlaceLegalHold(person_id, until, reason), actor)
        person = self._known(person_id)
        self._must_not_be_forgotten(person, person_id)
        if not decided and (person.held_until, person.hold_reason) != (until, reason):
            raise BadInput(
                f"a hold until {until:%Y-%m-%d %H:%M %Z} holds nothing, for that time is over; give one to come, or lift a hold that stands "
                "by `payriver person release`"
            )

    def lift(self, person_id: UUID, reason: str, actor: str) -> None:
        """End the legal hold before its time. Raises NotFound."""
        self._known(person_id)
        self._order(uuid4(), LiftLegalHold(person_id, reason), actor)

    def forget(self, person_id: UUID, reason: str, actor: str) -> None:
        """Record the forgetting, then destroy the key; again does no harm. Raises NotFound, LegallyHeld; Retry while its bytes stay on the disk."""
        self._known(person_id)
        self._order(uuid4(), ForgetPerson(person_id, reason), actor)
        person = self._known(person_id)
        if not person.forgotten:
            raise LegallyHeld(
                f"person {person_id} is under a legal hold until {person.held_until:%Y-%m-%d %H:%M %Z}: {person.hold_reason}; "
                "ask again then, or have the hold lifted by whom it concerns"
            )
        self.keys.destroy([person_id])

    def sweep(self) -> int:
        """Destroy every key of a forgotten person that is there (again): after a crash, or a restore of the keys. Gives how many."""
        with transaction(self.write) as cursor:
            cursor.execute(FORGOTTEN)
            forgotten: Sequence[UUID] = [row[0] for row in cursor.fetchall()]
        return self.keys.destroy(forgotten)

    def show(self, person_id: UUID) -> Shown:
        """The person, opened. Raises NotFound, and Undecodable where the key is not the one that sealed."""
        person = self._known(person_id)
        key = self.keys.find(person_id)
        if person.details is None or key is None or key.secret is None:
            return Shown(person, None)
        return Shown(person, unseal(key.secret, person.details))

    def _seal(self, person_id: UUID, revision: int, details: Details) -> Sealed:
        key = self.keys.make(person_id)
        if key.secret is None:
            raise Forgotten(f"the key of person {person_id} was destroyed; register under a new id")
        return seal(key.secret, key.key_id, person_id, revision, details)

    def _order(self, command_id: UUID, order: Any, actor: str) -> bool:
        """Whether anything was decided."""
        cause = Cause(command_id, order.person_id, new_traceparent(), actor)
        with transaction(self.write) as cursor:
            (outcome,) = self.handler.handle(cursor, [Order(command_id, order, cause)])
        return bool(outcome.events)

    def _known(self, person_id: UUID) -> Person:
        with reading(self.write) as cursor:
            person = self._state(cursor, person_id)
        if person is None:
            raise NotFound(f"no person {person_id} is in the register")
        return person

    def _state(self, cursor: Cursor, person_id: UUID) -> Person | None:
        found = self.handler.state(cursor, person_id)
        return found if isinstance(found, Person) else None

    @staticmethod
    def _must_not_be_forgotten(person: Person | None, person_id: UUID) -> None:
        if person is not None and person.forgotten:
            raise Forgotten(f"person {person_id} was forgotten, for good; register under a new id")
