"""A connection is bounded before anybody knows who is at its other end."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from api.door import head
from api.door.head import MOST_HEAD_BYTES, HeadProtocol

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"


async def counts(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with how many bytes of body came; at /large, with more than any buffer holds, and at /slow after a while."""
    if scope["type"] != "http":
        return
    if scope["path"] == "/large":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(64):
            await send({"type": "http.response.body", "body": b"y" * 2**20, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(1)
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


def test_who_says_nothing_or_only_a_little_now_and_then_is_let_go(
    connection: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head, "REQUEST_SECONDS", 0.5)
    silent, slow_head, slow_body = (socket.create_connection(connection.getpeername(), timeout=10) for _ in range(3))
    slow_head.sendall(HEAD)
    slow_body.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
    began = time.monotonic()
    for _ in range(4):
        time.sleep(0.2)
        for each in (slow_head, slow_body):
            with suppress(ConnectionError):
                each.sendall(b"y")
    assert time.monotonic() - began < 5
    with silent, slow_head, slow_body:
        assert answer(silent).startswith(b"HTTP/1.1 408 ")
        for each in (slow_head, slow_body):
            with suppress(ConnectionError):
                assert not answer(each).startswith(b"HTTP/1.1 200")
    assert time.monotonic() - began < 5


def test_a_request_that_waits_behind_another_is_not_late(
    connection: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head, "REQUEST_SECONDS", 0.3)
    with socket.create_connection(connection.getpeername(), timeout=10) as made:
        made.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + HEAD)
        assert answer(made).endswith(b"\r\n\r\n0")
        made.sendall(b"Content-Length: 1\r\n\r\ny")
        assert answer(made).endswith(b"\r\n\r\n1")


def test_who_does_not_read_his_answer_is_let_go(connection: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head, "READ_SECONDS", 0.3)
    connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    time.sleep(1.5)
    got = 0
    with suppress(ConnectionError):
        while piece := connection.recv(2**20):
            got += len(piece)
    assert got < 64 * 2**20


def test_beyond_so_many_connections_one_is_told_to_come_again(
    connection: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.sendall(HEAD + b"Content-Length: 0\r\n\r\n")
    assert answer(connection)
    monkeypatch.setattr(head, "MOST_CONNECTIONS", 1)
    with socket.create_connection(connection.getpeername(), timeout=10) as refused:
        assert answer(refused).startswith(b"HTTP/1.1 503 ")
    connection.sendall(HEAD + b"Content-Length: 0\r\n\r\n")
    assert answer(connection).startswith(b"HTTP/1.1 200 ")
