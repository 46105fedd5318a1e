"""The outermost layer, for every request alike: a bound on the body's size, headers that every answer carries, HEAD, and an answer where we failed.

Plain ASGI: it costs an authorization microseconds, where a layer of the framework's own costs tasks.
"""

from __future__ import annotations

import asyncio

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.door.problems import Problem
from infra.errors import BadInput

log = structlog.get_logger(__name__)

MOST_BYTES = 65_536


class TooLarge(BadInput):
    """The body is larger than any that we take."""

    reason = "too_large"


class Door:
    """Wraps the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            scope, receive, send = _of_get(scope, send)
        left, started = MOST_BYTES, False

        async def bounded() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise TooLarge(f"the body has more than {MOST_BYTES} bytes; send a smaller one")
            return message

        async def marked(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers["X-Content-Type-Options"] = "nosniff"
                headers.setdefault("Cache-Control", "no-store")
                if "GET" in (allowed := headers.get("Allow", "")).split(", "):
                    headers["Allow"] = f"{allowed}, HEAD"
            await send(message)

        told = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if told.isdigit() and int(told) > MOST_BYTES:
            detail = f"the body has {int(told)} bytes; send at most {MOST_BYTES}"
            await Problem("too_large", detail, scope["path"]).response()(scope, receive, marked)
            return
        try:
            await self._app(scope, bounded, marked)
        except Exception as error:  # a mistake of ours: whoever asked is told so, and we are told which
            if started:
                raise
            log.error("request_failed", path=scope["path"], reason="failed", exc_info=error)
            await Problem("failed", "It is written in our log.", scope["path"]).response()(scope, receive, marked)


def _of_get(scope: Scope, send: Send) -> tuple[Scope, Receive, Send]:
    """HEAD is GET without its content (RFC 9110, 9.3.2): the same status and headers. One that has no end is left once it began."""
    asked, began = False, asyncio.Event()

    async def receive() -> Message:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await began.wait()
        return {"type": "http.disconnect"}

    async def headed(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            began.set()

    return {**scope, "method": "GET"}, receive, headed
