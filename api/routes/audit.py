"""Tamper evidence for whoever asks over the API: the anchors of the audit log, and the proof file of one event."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response

from api.answers.audit_view import AuditAnchorPage
from api.answers.models import problem_answers
from api.door.strict import Strict
from api.requests.parameters import Limit
from api.routes.context import Parts, Reader

router = APIRouter(route_class=Strict, prefix="/v1/audit", tags=["Audit"])
Skip = Annotated[int, Query(ge=0, le=2**31 - 1, description="Leave out so many of the largest.")]
PROOF_FORM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The proof file (RFC 8785, and a line feed), which infra/audit/check.py checks byte for byte.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}


@router.get("/anchors", responses=problem_answers(401, 403, 422, 503))
async def list_audit_anchors(parts: Parts, caller: Reader, limit: Limit = 50, skip: Skip = 0) -> AuditAnchorPage:
    """Where the audit log was stated on chain, the largest first."""
    return await parts.ask(lambda: parts.audit.anchors(limit, skip))


@router.get(
    "/events/{event_id}/proof",
    responses={**PROOF_FORM, **problem_answers(401, 403, 404, 409, 422, 503)},
    response_class=Response,
)
async def get_event_proof(parts: Parts, caller: Reader, event_id: UUID) -> Response:
    """The proof that an event is in the anchored log, as it is stored. 409 while no final anchor covers it."""
    return Response(await parts.ask(lambda: parts.audit.proof(event_id)), media_type="application/json")
