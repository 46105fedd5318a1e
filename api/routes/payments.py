"""Payments as the read side has them: lists, one payment, its events with the place of each in Kafka."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query

from api.answers.models import EventPage, problem_answers
from api.answers.past import AsOf, Diff, From, To
from api.answers.payment_models import Payment, PaymentPage
from api.answers.queries import PaymentFilter
from api.door.strict import Strict
from api.requests.parameters import After, Limit, Moment, PageCursor
from api.routes.context import Parts, Reader

router = APIRouter(route_class=Strict, prefix="/v1/payments", tags=["Payments"])

Outcome = Literal["open", "settled", "declined", "refunded", "unseen", "verified", "unpaid"]
CardState = Literal[
    "requested", "verified", "declined", "authorized", "partly_captured", "captured", "reversed", "expired", "corrected",
    "disputed", "refunded",
]  # fmt: skip


@router.get("", responses=problem_answers(401, 403, 422, 503))
async def list_payments(
    parts: Parts,
    caller: Reader,
    account_id: UUID | None = None,
    outcome: Outcome | None = None,
    state: Annotated[CardState | None, Query(description="State of the card leg.")] = None,
    origin: Literal["network", "chain"] | None = None,
    since: Annotated[Moment | None, Query(description="Requested at or after, RFC 3339.")] = None,
    until: Annotated[Moment | None, Query(description="Requested before, RFC 3339.")] = None,
    cursor: PageCursor = None,
    limit: Limit = 50,
) -> PaymentPage:
    """Payments, the newest first."""
    wanted = PaymentFilter(account_id, outcome, state, origin, since, until)
    return await parts.ask(lambda: parts.queries.payments(wanted, cursor, limit))


@router.get("/{payment_id}", responses=problem_answers(401, 403, 404, 422, 503))
async def get_payment(parts: Parts, caller: Reader, payment_id: UUID, as_of: AsOf = None) -> Payment:
    """One payment, as it is or as it was."""
    if as_of is not None:
        return await parts.look_back(lambda: parts.past.payment(payment_id, as_of))
    return await parts.ask(lambda: parts.queries.payment(payment_id))


@router.get("/{payment_id}/diff", responses=problem_answers(401, 403, 404, 422, 503))
async def diff_payment(parts: Parts, caller: Reader, payment_id: UUID, start: From, end: To) -> Diff:
    """What happened to the payment between two points, and what it changed."""
    return await parts.look_back(lambda: parts.past.diff(payment_id, "payment", start, end))


@router.get("/{payment_id}/events", responses=problem_answers(401, 403, 404, 422, 503))
async def list_payment_events(
    parts: Parts, caller: Reader, payment_id: UUID, after: After = 0, limit: Limit = 100
) -> EventPage:
    """Everything that happened to the payment, in order, with when and where each event was delivered."""
    return await parts.ask(lambda: parts.queries.events(payment_id, "payment", after, limit))
