"""Bounds on a connection, for who has not said yet who he is: a head's size, how long a request takes to come and an answer to go, and how many.

uvicorn's quick protocol has none of them, and keeps a head whole before any key in it is looked at.
"""

from __future__ import annotations

from asyncio import TimerHandle, Transport

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 65_536
REQUEST_SECONDS = 10.0
"""For a request to come, head and body, from the connection's opening or from its own first byte."""
KEEP_ALIVE_SECONDS = 5
"""How long a connection may rest after an answer (uvicorn's own bound)."""
READ_SECONDS = 60.0
"""For what was told to be read on the other side."""
MOST_CONNECTIONS = 512

TOLD = b"Connection: close\r\nContent-Type: text/plain\r\n"
TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n%b\r\n"
    b"The head of a request has at most %d bytes; send a smaller one.\n" % (TOLD, MOST_HEAD_BYTES)
)
TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\n%b\r\nA request comes within %d seconds; send it faster.\n" % (
    TOLD,
    REQUEST_SECONDS,
)
TOO_MANY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n%b\r\n"
    b"There are %d connections, and no more are taken; come again.\n" % (TOLD, MOST_CONNECTIONS)
)


class HeadProtocol(HttpToolsProtocol):
    """uvicorn's, which ends a connection that goes on and on without beginning, or ending, a body. A status line alone is told: RFC 6585, 5;
    RFC 9110, 15.5.9 and 15.6.4."""

    _unread = 0
    """Bytes since the last head was whole, the last piece of a body came, or a request ended."""
    _coming: TimerHandle | None = None
    """While a request is waited for or comes."""
    _going: TimerHandle | None = None
    """While more waits for the other side than is kept for it, or only its end."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Somebody is there."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            self._refuse(TOO_MANY)
        else:
            self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is."""
        self._came()
        self._went()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """The next bytes of the connection."""
        if self.transport.is_closing():
            return
        self._unread += len(data)
        super().data_received(data)
        if self._unread > MOST_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(TOO_LARGE)

    def on_message_begin(self) -> None:
        """A request's first line begins."""
        super().on_message_begin()
        if self._coming is None:
            self._await_request()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._unread = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body: the door counts those."""
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request ended."""
        self._unread = 0
        self._came()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """All of an answer was told."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._await_end()

    def timeout_keep_alive_handler(self) -> None:
        """It rested for too long."""
        super().timeout_keep_alive_handler()
        self._await_end()

    def pause_writing(self) -> None:
        """The other side does not keep up."""
        super().pause_writing()
        self._await_end()

    def resume_writing(self) -> None:
        """It does again."""
        if not self.transport.is_closing():
            self._went()
        super().resume_writing()

    def _await_end(self) -> None:
        if self._going is None:
            self._going = self.loop.call_later(READ_SECONDS, self.transport.abort)

    def _went(self) -> None:
        if self._going is not None:
            self._going.cancel()
            self._going = None

    def _await_request(self) -> None:
        self._coming = self.loop.call_later(REQUEST_SECONDS, self._is_late)

    def _came(self) -> None:
        if self._coming is not None:
            self._coming.cancel()
            self._coming = None

    def _is_late(self) -> None:
        """The request did not come. What came before it is answered first, however long that takes: as a page that is open."""
        self._coming = None
        if self._answers_another():
            self._await_request()
        elif not self.transport.is_closing():
            self._refuse(TOO_SLOW)

    def _answers_another(self) -> bool:
        """Whether an earlier request than the one that comes is being answered."""
        return bool(self.pipeline) or (
            self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body
        )

    def _refuse(self, told: bytes) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(told)
        self.transport.close()
        self._await_end()
