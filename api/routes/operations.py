"""For those who run us: is this process alive, can it work, what does it count; and what each problem's address says."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from api.answers.health_models import Liveness, Readiness
from api.answers.metrics import exposition
from api.answers.models import problem_answers
from api.door.problems import KINDS
from api.door.strict import Strict
from api.routes.context import Parts, Reader
from infra.errors import NotFound

router = APIRouter(route_class=Strict, tags=["Operations"])


@router.get("/health/live")
async def live() -> Liveness:
    """This process answers. No key needed."""
    return Liveness()


@router.get("/health/ready", responses={503: {"model": Readiness, "description": "A server does not answer."}})
async def ready(parts: Parts, answer: Response) -> Readiness:
    """Both databases answer; how far the read side is behind the write side, and the chain's newest block. No key needed."""
    found = await parts.health.readiness()
    answer.status_code = 200 if found.status == "ready" else 503
    return found


@router.get("/metrics", response_class=PlainTextResponse, responses=problem_answers(401, 403))
async def metrics(parts: Parts, caller: Reader) -> PlainTextResponse:
    """What this process counts, in Prometheus' text format."""
    told = exposition(parts.times, parts.feed.viewers, await parts.health.readiness())
    return PlainTextResponse(told, media_type="text/plain; version=0.0.4")


@router.get("/problems/{reason}", response_class=PlainTextResponse, include_in_schema=False)
async def problem(reason: str) -> PlainTextResponse:
    """What a problem's `type` stands for."""
    kind = KINDS.get(reason)
    if kind is None:
        raise NotFound(f"there is no problem {reason!r}; there are {', '.join(KINDS)}")
    return PlainTextResponse(f"{reason} (HTTP {kind.status})\n\n{kind.title}.\n{kind.remedy}\n")
