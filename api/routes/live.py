"""The page that shows payments moving, the session that lets it look, and the stream that it follows."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import orjson
import structlog
from fastapi import APIRouter, FastAPI, Header, Request, Response
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from api.answers.live import Feed, Viewer
from api.answers.models import problem_answers
from api.door.problems import Unauthenticated
from api.door.security import COOKIE, SESSION_SECONDS, Keys
from api.door.strict import Strict
from api.routes.context import Parts, Reader

log = structlog.get_logger(__name__)

STATIC = Path(__file__).parents[1] / "static"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}
PING_SECONDS, PATIENCE_SECONDS = 15, 60
"""Between two signs of life, and for one to be taken by the other side: a page that takes none makes room for another."""

router = APIRouter(route_class=Strict, tags=["Live page"])


class Session(BaseModel):
    """A key, to be exchanged for a session that may look."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: SecretStr = Field(min_length=1, max_length=500)


@router.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """The page; what it shows it asks for, with its session."""
    return FileResponse(STATIC / "index.html", headers=PAGE_HEADERS)


@router.post("/session", status_code=204, responses=problem_answers(400, 401, 415, 422))
async def open_session(request: Request, given: Session) -> Response:
    """Exchange a key for the page's cookie: HttpOnly, SameSite=Strict, twelve hours, for reading only."""
    keys: Keys = request.app.state.keys
    session = keys.session(given.key.get_secret_value(), time.time())
    if session is None:
        raise Unauthenticated("the key that was sent is not one of ours")
    answer = Response(status_code=204)
    answer.set_cookie(
        COOKIE,
        session,
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


@router.delete("/session", status_code=204)
async def close_session() -> Response:
    """Forget the page's cookie."""
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE)
    return answer


@router.get(
    "/v1/live",
    response_class=EventSourceResponse,
    responses={200: {"content": {"text/event-stream": {}}}, **problem_answers(401, 403, 503)},
)
async def follow(
    parts: Parts,
    caller: Reader,
    last_event_id: Annotated[str | None, Header(description="Resume after this event; the browser sends it.")] = None,
) -> EventSourceResponse:
    """Server-sent events: `snapshot` (the newest payments), `payments` (those that changed), `totals`, `reading` (is R there)."""
    resume_from = (
        int(last_event_id) if last_event_id and last_event_id.isdecimal() and len(last_event_id) < 19 else None
    )
    viewer = parts.feed.join(resume_from)
    return Stream(
        _tell(parts.feed, viewer),
        ping=PING_SECONDS,
        send_timeout=PATIENCE_SECONDS,
        headers={"Cache-Control": "no-store"},
    )


class Stream(EventSourceResponse):
    """A page's stream; it ends where the page takes nothing any more."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell until it is closed."""
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            log.info("live_page_let_go", seconds=self.send_timeout)


async def _tell(feed: Feed, viewer: Viewer) -> AsyncIterator[ServerSentEvent]:
    try:
        while not feed.stopping:
            await viewer.told.wait()
            for event, data in viewer.take():
                yield ServerSentEvent(event=event, id=str(viewer.mark), data=_json(data), retry=1000)
    finally:
        feed.leave(viewer)


def _json(data: Any) -> str:
    return orjson.dumps(data, option=orjson.OPT_UTC_Z).decode()


class Files(StaticFiles):
    """The page's own files, with the page's own headers."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """As the base class answers, and to be asked for anew when the file changed."""
        answer = super().file_response(*args, **kwargs)
        answer.headers.update(PAGE_HEADERS)
        return answer


def mount(app: FastAPI) -> None:
    """Serve the page's files."""
    app.mount("/static", Files(directory=STATIC), name="static")
