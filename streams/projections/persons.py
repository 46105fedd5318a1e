"""Read models `persons` and `account_holders`: who is behind which account, with details as they were sealed. R never has a key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from infra.database import Cursor
from schemas.definition import Message
from schemas.messages import person_events as on_person
from schemas.messages.account_events import AccountRegistered
from streams.delivered import Delivered
from streams.domain.values import replace
from streams.projections.rows import Apply, RowModel

HOLD = "INSERT INTO account_holders (account_id, person_id) VALUES %s ON CONFLICT (account_id) DO NOTHING"


@dataclass(frozen=True)
class PersonRow:
    """A row of `persons`; the columns say what each is."""

    person_id: UUID
    state: str
    revision: int
    key_id: UUID
    algorithm: str | None
    nonce: str | None
    sealed: str | None
    held_until: datetime | None
    hold_reason: str | None
    registered_at: datetime
    changed_at: datetime
    version: int


def _registered(_: PersonRow | None, said: on_person.PersonRegistered, event: Delivered) -> PersonRow:
    at = event.recorded_at
    sealed = (said.algorithm, said.nonce, said.sealed)
    return PersonRow(said.person_id, "known", said.revision, said.key_id, *sealed, None, None, at, at, event.version)


def _corrected(row: PersonRow, said: on_person.PersonCorrected, event: Delivered) -> PersonRow:
    return _changed(
        row,
        event,
        revision=said.revision,
        key_id=said.key_id,
        algorithm=said.algorithm,
        nonce=said.nonce,
        sealed=said.sealed,
    )


def _held(row: PersonRow, said: on_person.LegalHoldPlaced, event: Delivered) -> PersonRow:
    return _changed(row, event, held_until=said.until, hold_reason=said.reason)


def _lifted(row: PersonRow, said: on_person.LegalHoldLifted, event: Delivered) -> PersonRow:
    return _changed(row, event, held_until=None, hold_reason=None)


def _forgotten(row: PersonRow, said: on_person.PersonForgotten, event: Delivered) -> PersonRow:
    """What cannot be read any more need not be kept."""
    gone: dict[str, Any] = dict.fromkeys(("algorithm", "nonce", "sealed", "held_until", "hold_reason"))
    return _changed(row, event, state="forgotten", **gone)


def _refused(row: PersonRow, said: on_person.ForgettingRefused, event: Delivered) -> PersonRow:
    return _changed(row, event)


def _changed(row: PersonRow, event: Delivered, **changes: Any) -> PersonRow:
    return replace(row, changed_at=event.recorded_at, version=event.version, **changes)


FOLDS: Mapping[type[Message], Apply[PersonRow]] = {
    on_person.PersonRegistered: _registered,
    on_person.PersonCorrected: _corrected,
    on_person.LegalHoldPlaced: _held,
    on_person.LegalHoldLifted: _lifted,
    on_person.PersonForgotten: _forgotten,
    on_person.ForgettingRefused: _refused,
}
PERSONS: RowModel[PersonRow] = RowModel("persons", PersonRow, on_person.PersonRegistered, FOLDS)


def hold(cursor: Cursor, events: Sequence[Delivered]) -> None:
    """Whose accounts came under watch."""
    said = [event.message for event in events if isinstance(event.message, AccountRegistered)]
    rows = [(each.account_id, each.person_id) for each in said if each.person_id is not None]
    cursor.postpone_values(HOLD, rows)
