"""The card network's door for what follows an authorization, or comes without one. Each message is answered from the payment's stream.

A message that does not fit is answered with `accepted: false` and its response code: that is an answer, not an error.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path

from api.answers.models import problem_answers
from api.door.strict import Strict
from api.requests.card_orders import (
    Advice,
    CaptureReversal,
    Dispute,
    DisputeResolution,
    EarlyReversal,
    Increment,
    MessageResult,
    Presentment,
    Refund,
    RefundAgain,
    RefundReversal,
    SpendClosing,
    Told,
    UnlinkedRefund,
)
from api.requests.orders import Capture, Reference, Reversal
from api.routes.context import Context, Network, Operator, Parts
from connectors.gateway.requests import MessageAnswer, Opening

router = APIRouter(route_class=Strict, tags=["Card network"])

OPENING = problem_answers(400, 401, 403, 409, 413, 415, 422, 503)
FOLLOWING = problem_answers(400, 401, 403, 404, 409, 413, 415, 422, 503)
OF_PAYMENT = "/v1/authorizations/{payment_id}"
DisputeId = Annotated[Reference, Path(description="The network's id of the dispute.")]


async def _told(parts: Context, work: Callable[[], MessageAnswer]) -> MessageResult:
    answer = await parts.order(work)
    return MessageResult(**{**asdict(answer), "payment_id": str(answer.payment_id)})


@router.post(f"{OF_PAYMENT}/increments", responses=FOLLOWING)
async def increment(parts: Parts, caller: Network, payment_id: UUID, asked: Increment) -> MessageResult:
    """More is asked for: approved or declined within the deadline. What was approved before stands in any case."""
    arrived = time.monotonic()
    allowed_ms = asked.deadline_ms or parts.settings.authorization_deadline_ms

    def work() -> MessageAnswer:
        left_ms = max(1, allowed_ms - int((time.monotonic() - arrived) * 1000))
        return parts.gateway.messages.increment(
            payment_id, asked.increment_id, asked.amount_minor, asked.currency, caller.name, left_ms
        )

    result = await _told(parts, work)
    parts.times.took(time.monotonic() - arrived, result.response_code)
    return result


@router.post(f"{OF_PAYMENT}/captures", responses=FOLLOWING)
async def capture(parts: Parts, caller: Network, payment_id: UUID, posted: Capture) -> MessageResult:
    """The network posts the payment, or a part of it (`final: false`). What was posted is booked, whatever was approved."""
    return await _told(
        parts,
        lambda: parts.gateway.messages.capture(
            payment_id, posted.presentment_id, posted.amount_minor, posted.currency, caller.name, final=posted.final
        ),
    )


@router.post(f"{OF_PAYMENT}/capture-reversals", responses=FOLLOWING)
async def reverse_capture(parts: Parts, caller: Network, payment_id: UUID, gone: CaptureReversal) -> MessageResult:
    """The network takes a presentment back; what had moved for it is paid back on chain."""
    return await _told(
        parts,
        lambda: parts.gateway.messages.reverse_capture(payment_id, gone.presentment_id, gone.reversal_id, caller.name),
    )


@router.post(f"{OF_PAYMENT}/reversals", responses=FOLLOWING)
async def reverse(parts: Parts, caller: Network, payment_id: UUID, taken_back: Reversal) -> MessageResult:
    """The network takes its authorization back, or a part of it; what had moved for that is paid back on chain."""
    return await _told(
        parts,
        lambda: parts.gateway.messages.reverse(
            payment_id, taken_back.reversal_id, caller.name, taken_back.amount_minor
        ),
    )


@router.post(f"{OF_PAYMENT}/refunds", responses=FOLLOWING)
async def refund(parts: Parts, caller: Network, payment_id: UUID, given: Refund) -> MessageResult:
    """The merchant gives back: paid back on chain."""
    return await _told(
        parts,
        lambda: parts.gateway.messages.refund(
            payment_id, given.refund_id, given.amount_minor, given.currency, caller.name
        ),
    )


@router.post(f"{OF_PAYMENT}/refund-reversals", responses=FOLLOWING)
async def reverse_refund(parts: Parts, caller: Network, payment_id: UUID, gone: RefundReversal) -> MessageResult:
    """The network takes a refund back: it is spent again."""
    return await _told(
        parts,
        lambda: parts.gateway.messages.reverse_refund(payment_id, gone.refund_id, gone.reversal_id, caller.name),
    )


@router.post(f"{OF_PAYMENT}/disputes", responses=FOLLOWING)
async def open_dispute(parts: Parts, caller: Network, payment_id: UUID, opened: Dispute) -> MessageResult:
    """The holder disputes what was captured: credited provisionally, on chain."""
    return await _told(
        parts,
        lambda: parts.gateway.messages.open_dispute(
            payment_id, opened.dispute_id, opened.amount_minor, opened.currency, opened.reason, caller.name
        ),
    )


@router.post(OF_PAYMENT + "/disputes/{dispute_id}/resolution", responses=FOLLOWING)
async def resolve_dispute(
    parts: Parts, caller: Network, payment_id: UUID, dispute_id: DisputeId, decided: DisputeResolution
) -> MessageResult:
    """The dispute was decided."""
    return await _told(
        parts,
        lambda: parts.gateway.messages.resolve_dispute(payment_id, dispute_id, decided.outcome, caller.name),
    )


@router.post("/v1/advices", responses=OPENING)
async def advise(parts: Parts, caller: Network, told: Advice) -> MessageResult:
    """The network approved in our stead: it stands, whatever could be spent."""
    return await _told(
        parts, lambda: parts.gateway.messages.advise(told.authorization, told.advice_id, _opening(told), caller.name)
    )


@router.post("/v1/presentments", responses=OPENING)
async def present(parts: Parts, caller: Network, told: Presentment) -> MessageResult:
    """The network posts what nobody was asked about."""
    return await _told(parts, lambda: parts.gateway.messages.present(told.presentment_id, _opening(told), caller.name))


@router.post("/v1/refunds", responses=OPENING)
async def refund_unlinked(parts: Parts, caller: Network, told: UnlinkedRefund) -> MessageResult:
    """A refund that names no payment of ours: paid to the card's account, by way of suspense."""
    return await _told(
        parts, lambda: parts.gateway.messages.refund_unlinked(told.refund_id, _opening(told), caller.name)
    )


@router.post("/v1/reversals", responses=OPENING)
async def reverse_early(parts: Parts, caller: Network, told: EarlyReversal) -> MessageResult:
    """A reversal by its authorization's key. One that is ahead of its authorization is kept, and meets it: nothing moves."""
    opening = Opening(told.card_token, told.amount_minor, told.currency)
    return await _told(
        parts,
        lambda: parts.gateway.messages.reverse_early(told.authorization, told.reversal_id, opening, caller.name),
    )


@router.post("/v1/payments/{payment_id}/receivable/collection", responses=FOLLOWING, tags=["Receivables"])
async def collect_receivable(parts: Parts, caller: Operator, payment_id: UUID) -> MessageResult:
    """Try once more to take on chain what the holder owes."""
    return await _told(parts, lambda: parts.gateway.messages.collect(payment_id, caller.name))


@router.post("/v1/payments/{payment_id}/receivable/write-off", responses=FOLLOWING, tags=["Receivables"])
async def write_off_receivable(parts: Parts, caller: Operator, payment_id: UUID) -> MessageResult:
    """Give up what the holder owes."""
    return await _told(parts, lambda: parts.gateway.messages.write_off(payment_id, caller.name))


@router.post("/v1/payments/{payment_id}/refund/renewal", responses=FOLLOWING, tags=["Receivables"])
async def refund_again(parts: Parts, caller: Operator, payment_id: UUID, asked: RefundAgain) -> MessageResult:
    """Plan a refund anew that ended unpaid. 409 says why none is: nothing ended unpaid, or what is owed back is on its way."""
    return await _told(parts, lambda: parts.gateway.messages.refund_again(payment_id, asked.reason, caller.name))


@router.post("/v1/payments/{payment_id}/spend/closing", responses=FOLLOWING, tags=["Receivables"])
async def close_spend(parts: Parts, caller: Operator, payment_id: UUID, asked: SpendClosing) -> MessageResult:
    """Wait no longer for a spend by the holder's own hand that a reorg dropped: its debit is given back. Mined after all, it counts.

    Closed already is no error; 409 says why none is closed.
    """
    return await _told(parts, lambda: parts.gateway.messages.close_spend(payment_id, asked.reason, caller.name))


def _opening(told: Told) -> Opening:
    return Opening(
        card_token=told.card_token,
        amount_minor=told.amount_minor,
        currency=told.currency,
        merchant_name=told.merchant.name,
        merchant_country=told.merchant.country,
        mcc=told.merchant.mcc,
        network_reference=told.network_reference,
    )
