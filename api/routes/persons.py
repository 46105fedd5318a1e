"""Persons behind accounts, for those whose key has the scope of persons: details are opened at the moment they are asked for."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from api.answers.models import problem_answers
from api.door.strict import Strict
from api.requests.orders import PersonDetails, Sent, Text
from api.requests.parameters import Moment
from api.routes.context import Parts, PersonKeeper
from streams.persons.register import Shown
from streams.persons.sealing import Details

router = APIRouter(route_class=Strict, prefix="/v1/persons", tags=["Persons"])

ANSWERS = problem_answers(400, 401, 403, 404, 409, 413, 415, 422, 503)


class DetailsShown(BaseModel):
    """What is personal, as it was sealed: nothing is asked of it here, for whatever failed would stand in a log."""

    name: str = Field(repr=False)
    email: str | None = Field(repr=False)
    phone: str | None = Field(repr=False)


class LegalHold(BaseModel):
    """Data that the law wants kept."""

    model_config = Sent

    until: Moment = Field(description="Nobody may forget the person before then, RFC 3339.")
    reason: Text = Field(description="Which law or order, in words that say nothing about the person.")


class Because(BaseModel):
    """Why something is done."""

    model_config = Sent

    reason: Text = Field(description="In words that say nothing about the person.")


class PersonShown(BaseModel):
    """A person. `details` is absent once the person is forgotten."""

    person_id: UUID
    state: str = Field(description="known or forgotten.")
    details: DetailsShown | None
    held_until: datetime | None
    hold_reason: str | None
    accounts: list[UUID]


@router.get("/{person_id}", responses=ANSWERS)
async def get_person(parts: Parts, caller: PersonKeeper, person_id: UUID, response: Response) -> PersonShown:
    """A person with details and accounts. Not to be kept by any cache."""
    response.headers["Cache-Control"] = "no-store"
    shown = await parts.order(lambda: parts.persons.show(person_id))
    accounts = await parts.ask(lambda: parts.queries.accounts_of(person_id))
    return _shown(shown, accounts)


@router.put("/{person_id}", status_code=204, responses=ANSWERS)
async def put_person(parts: Parts, caller: PersonKeeper, person_id: UUID, details: PersonDetails) -> None:
    """Take a person into the register under an id of the caller's, or correct the details. The same again changes nothing."""
    await parts.order(lambda: parts.persons.put(person_id, Details(**details.model_dump()), caller.name))


@router.put("/{person_id}/hold", status_code=204, responses=ANSWERS)
async def place_hold(parts: Parts, caller: PersonKeeper, person_id: UUID, hold: LegalHold) -> None:
    """Place a legal hold: nobody may forget the person before its time. The newest counts."""
    await parts.order(lambda: parts.persons.hold(person_id, hold.until, hold.reason, caller.name))


@router.post("/{person_id}/release", status_code=204, responses=ANSWERS)
async def lift_hold(parts: Parts, caller: PersonKeeper, person_id: UUID, because: Because) -> None:
    """Lift the legal hold before its time."""
    await parts.order(lambda: parts.persons.lift(person_id, because.reason, caller.name))


@router.post("/{person_id}/forget", status_code=204, responses=ANSWERS)
async def forget_person(parts: Parts, caller: PersonKeeper, person_id: UUID, because: Because) -> None:
    """Make the person's data unreadable everywhere, for good. Refused (409) while a legal hold stands; forgotten already is no error."""
    await parts.order(lambda: parts.persons.forget(person_id, because.reason, caller.name))


def _shown(shown: Shown, accounts: list[UUID]) -> PersonShown:
    person, details = shown.person, shown.details
    return PersonShown(
        person_id=person.person_id,
        state="forgotten" if person.forgotten else "known",
        details=DetailsShown(**vars(details)) if details else None,
        held_until=person.held_until,
        hold_reason=person.hold_reason,
        accounts=accounts,
    )
