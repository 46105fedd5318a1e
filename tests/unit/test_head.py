"""A request's head is bounded before anybody knows who sends it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from api.head import MOST_HEAD_BYTES, HeadProtocol

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"


async def counts(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with how many bytes of body came."""
    if scope["type"] != "http":
        return
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(str(size)))]})
    await send({"type": "http.response.body", "body": str(size).encode()})


@pytest.fixture
def connection() -> Iterator[socket.socket]:
    """To a server whose requests are counted."""
    server = uvicorn.Server(uvicorn.Config(counts, http=HeadProtocol, lifespan="off", log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as door:
        thread = threading.Thread(target=server.run, args=([door],), daemon=True)
        thread.start()
        with socket.create_connection(door.getsockname(), timeout=10) as made:
            yield made
        server.should_exit = True
        thread.join(10)


def answer(connection: socket.socket) -> bytes:
    """What comes until the other side closes, or an answer is whole."""
    told = b""
    while piece := connection.recv(65_536):
        told += piece
        if told.startswith(b"HTTP/1.1 200") and not told.endswith(b"\r\n\r\n"):
            break
    return told


@pytest.mark.parametrize(
    "line", [b"X-A: " + b"y" * 20_000 + b"\r\n", b"y" * 20_000], ids=["many headers", "one header"]
)
def test_a_head_without_an_end_is_refused_and_not_kept(connection: socket.socket, line: bytes) -> None:
    sent = 0
    connection.sendall(HEAD + (b"" if line.endswith(b"\n") else b"X-A: "))
    with pytest.raises(ConnectionError):
        while sent < 50_000_000:
            connection.sendall(line)
            sent += len(line)
    assert sent < 20_000_000  # what the kernel's buffers hold


def test_it_is_told_why(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"X-A: " + b"y" * (MOST_HEAD_BYTES + 1))
    assert answer(connection).startswith(b"HTTP/1.1 431 ")


def test_a_large_body_and_many_requests_on_one_connection_are_none_of_its_affair(connection: socket.socket) -> None:
    for size in (0, 1_000_000, 10, 1_000_000):
        connection.sendall(HEAD + b"X-A: " + b"y" * 30_000 + b"\r\nContent-Length: %d\r\n\r\n" % size + b"b" * size)
        assert answer(connection).endswith(b"\r\n\r\n%d" % size)
