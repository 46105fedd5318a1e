"""A bound on a request's head. uvicorn's quick protocol has none, and a head is kept whole before any key in it is looked at."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 65_536
REFUSED = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n"
    b"The head of a request has at most %d bytes; send a smaller one.\n" % MOST_HEAD_BYTES
)


class HeadProtocol(HttpToolsProtocol):
    """uvicorn's, which ends a connection that goes on and on without beginning, or ending, a body. A status line alone is told: RFC 6585, 5."""

    _unread = 0
    """Bytes since the last head was whole, the last piece of a body came, or a request ended."""

    def data_received(self, data: bytes) -> None:
        """The next bytes of the connection."""
        self._unread += len(data)
        super().data_received(data)
        if self._unread > MOST_HEAD_BYTES and not self.transport.is_closing():
            if self.cycle is None or self.cycle.response_complete:
                self.transport.write(REFUSED)
            self.transport.close()

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
        super().on_message_complete()
