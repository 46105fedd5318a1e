"""The outermost layer, for every request alike: a bound on the body's size, and headers that every answer carries.

Plain ASGI: it costs an authorization microseconds, where a layer of the framework's own costs tasks.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem
from infra.errors import BadInput

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
        left = MOST_BYTES

        async def bounded() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise TooLarge(f"the body has more than {MOST_BYTES} bytes; send a smaller one")
            return message

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Content-Type-Options"] = "nosniff"
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        told = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if told.isdigit() and int(told) > MOST_BYTES:
            detail = f"the body has {int(told)} bytes; send at most {MOST_BYTES}"
            await Problem("too_large", detail, scope["path"]).response()(scope, receive, marked)
            return
        await self._app(scope, bounded, marked)
