"""The card network's door for its questions: authorizations and single messages, answered from the payment's stream.

The deadline runs from the request's arrival here, so that waiting for a thread counts.
"""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Header

from api.answers.models import problem_answers
from api.door.strict import Strict
from api.requests.orders import Authorization, AuthorizationResult, Key
from api.routes.context import Network, Parts
from connectors.gateway.requests import AuthorizationAnswer, AuthorizationRequest

router = APIRouter(route_class=Strict, prefix="/v1/authorizations", tags=["Card network"])

ANSWERS = problem_answers(400, 401, 403, 409, 413, 415, 422, 503)


IdempotencyKey = Annotated[
    Key,
    Header(
        description="The network's own id of the request. The same key of the same caller again is told the first answer.",
        examples=["visa-2026-03-01-0000017"],
    ),
]
Traceparent = Annotated[
    str | None,
    Header(
        pattern=r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
        description="W3C Trace Context: the story this is part of.",
    ),
]


@router.post("", responses=ANSWERS)
async def authorize(
    parts: Parts,
    caller: Network,
    idempotency_key: IdempotencyKey,
    asked: Authorization,
    traceparent: Traceparent = None,
) -> AuthorizationResult:
    """Approve or decline, within the deadline. A decline is an answer, not an error: see `approved` and `response_code`."""
    arrived = time.monotonic()
    allowed_ms = asked.deadline_ms or parts.settings.authorization_deadline_ms

    def work() -> AuthorizationAnswer:
        left_ms = max(1, allowed_ms - int((time.monotonic() - arrived) * 1000))
        return parts.gateway.authorize(_request(idempotency_key, asked, caller.name, left_ms, traceparent))

    answer = await parts.order(work)
    parts.times.took(time.monotonic() - arrived, answer.response_code)
    return _result(answer)


def _request(
    key: str, asked: Authorization, actor: str, deadline_ms: int, traceparent: str | None
) -> AuthorizationRequest:
    return AuthorizationRequest(
        idempotency_key=key,
        card_token=asked.card_token,
        amount_minor=asked.amount_minor,
        currency=asked.currency,
        merchant_name=asked.merchant.name,
        merchant_country=asked.merchant.country,
        mcc=asked.merchant.mcc,
        merchant_amount_minor=asked.merchant.amount_minor,
        merchant_currency=asked.merchant.currency,
        trace_number=asked.trace_number,
        network_reference=asked.network_reference,
        message="financial" if asked.single_message else "authorization",
        transaction_type=asked.transaction_type,
        partial_approval=asked.partial_approval,
        deadline_ms=deadline_ms,
        traceparent=traceparent,
        actor=actor,
    )


def _result(answer: AuthorizationAnswer) -> AuthorizationResult:
    return AuthorizationResult(
        payment_id=str(answer.payment_id),
        approved=answer.approved,
        response_code=answer.response_code,
        reason=answer.reason,
        authorization_code=answer.authorization_code,
        state=answer.state,
        approved_minor=answer.approved_minor,
        spendable_minor=answer.spendable_minor,
    )
