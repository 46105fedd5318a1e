"""The past, as the API tells it: a payment, an account, a balance as of a point, and what changed between two; folded from W's events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import Query
from pydantic import Field
from sqlalchemy import Engine

from api.answers.balance import balance
from api.answers.chain_view import Seen
from api.answers.models import Account, Answer, Balance, Instant
from api.answers.payment_models import Payment
from infra.database import Cursor, transaction
from infra.errors import NotFound
from streams import history
from streams.event_store.points import AtBlock, point_of

T = TypeVar("T")
NOT_STALE = 0
MOST_EVENTS = 1000
"""Between two points: they become one answer, in the process that answers the card network."""
POINT = "A version (`7`), a time with its zone (`2026-03-01T12:00:00Z`), or a block (`block:41022`)."
AsOf = Annotated[str | None, Query(max_length=60, description=f"As it was then. {POINT}", examples=["block:41022"])]
From = Annotated[str, Query(alias="from", max_length=60, description=f"What came after this point. {POINT}")]
To = Annotated[str, Query(alias="to", max_length=60, description=f"Up to this one. {POINT}")]


class Changed(Answer):
    """One value of the state that is another than before; null: it was not there, or is no more."""

    path: str = Field(
        description="The field, and its key where it is one of several.", examples=["allowances.final.balance"]
    )
    before: Any = Field(description="As JSON; integers as base-10 strings.", examples=["5000"])
    after: Any = Field(examples=["4200"])


class Happened(Answer):
    """An event between the two points."""

    event_id: UUID
    version: int
    type: str = Field(examples=["PaymentAuthorized"])
    recorded_at: Instant
    payload: dict[str, Any] = Field(description="What it says, as it was stored.")


class Diff(Answer):
    """What happened between two points of a stream, and what it changed in the aggregate's state."""

    stream_id: UUID
    from_version: int = Field(description="The stream's version at the first point.", examples=[4])
    to_version: int = Field(description="And at the second.", examples=[9])
    events: list[Happened]
    changes: list[Changed]


class Past:
    """Asks W as role gateway. Raises NotFound for what was not there yet, BadInput for what is no point or is still to come."""

    def __init__(self, write: Engine) -> None:
        self._write = write

    def payment(self, payment_id: UUID, as_of: str) -> Payment:
        """A payment as it was."""
        row = self._ask(lambda cursor: history.payment_as_of(cursor, payment_id, point_of(as_of)))
        return Payment.model_validate(vars(row))

    def account(self, account_id: UUID, as_of: str) -> Account:
        """An account as it was."""
        row, _ = self._ask(lambda cursor: history.balance_as_of(cursor, account_id, point_of(as_of)))
        return Account.model_validate(vars(row))

    def balance(self, account_id: UUID, as_of: str) -> Balance:
        """A balance as it was; as of a block, with what the wallet held at its end."""
        point = point_of(as_of)

        def ask(cursor: Cursor) -> Balance:
            row, block = history.balance_as_of(cursor, account_id, point)
            told = balance(row, Seen(*block, age_seconds=0.0) if block else None, NOT_STALE)
            if not isinstance(point, AtBlock):
                return told
            held = history.chain_balance_raw(cursor, account_id, point.number)
            return told.model_copy(update={"chain_balance_raw": str(held)})

        return self._ask(ask)

    def diff(self, stream_id: UUID, category: str, start: str, end: str) -> Diff:
        """From one point to another."""
        found = self._ask(lambda cursor: history.diff(cursor, stream_id, point_of(start), point_of(end), MOST_EVENTS))
        if found.category != category:
            raise NotFound(f"there is no {category} {stream_id}")
        return Diff(
            stream_id=stream_id,
            from_version=found.before.event.version,
            to_version=found.after.event.version,
            events=[Happened.model_validate(each, from_attributes=True) for each in found.events],
            changes=[Changed(path=each.path, before=each.before, after=each.after) for each in found.changes],
        )

    def _ask(self, question: Callable[[Cursor], T]) -> T:
        with transaction(self._write) as cursor:
            return question(cursor)
