"""A proxy before a real node that spoils some of its answers, by a seed, as providers and networks do."""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import orjson

PADDING = "x" * 10_000_000


@dataclass
class BadRpc:
    """Answers as the node at `node_url` does, but spoils every so many-th answer with one of `faults`."""

    node_url: str
    faults: tuple[str, ...]
    seed: int
    often: float = 0.3
    spoilt: Counter[str] = field(default_factory=Counter)
    url: str = ""

    def __post_init__(self) -> None:
        self._draw, self._lock = random.Random(self.seed), threading.Lock()
        self._node = httpx.Client(timeout=30, trust_env=False)

    def answer(self, body: bytes, reply: Any) -> None:
        """Ask the node, and give or spoil its answer."""
        asked = orjson.loads(body)
        with self._lock:
            fault = self._draw.choice(self.faults) if self._draw.random() < self.often else None
        early = EARLY.get(fault or "")
        if early is not None:
            self.spoilt[str(fault)] += 1
            early(reply)
            return
        told = orjson.loads(
            self._node.post(self.node_url, content=body, headers={"content-type": "application/json"}).content
        )
        spoil = SPOILING.get(fault or "")
        if spoil is not None and spoil(asked, told) is True:
            self.spoilt[str(fault)] += 1
        if fault == "reordered batch" and isinstance(told, list) and len(told) > 1:
            self.spoilt[fault] += 1
            told.reverse()
        content = orjson.dumps(told)
        if fault == "truncated JSON":
            self.spoilt[fault] += 1
            content = content[: len(content) // 2]
        reply.give(200, content)


def each_pair(asked: Any, told: Any) -> Iterator[tuple[Any, Any]]:
    """Question and answer, one by one."""
    if isinstance(asked, list):
        answers = {each["id"]: each for each in told}
        yield from ((each, answers[each["id"]]) for each in asked)
    else:
        yield asked, told


def _empty_logs(asked: Any, told: Any) -> bool:
    """A pruned or lagging node knows of no logs, and gives no error."""
    found = False
    for question, answer in each_pair(asked, told):
        if question["method"] == "eth_getLogs" and answer.get("result"):
            answer["result"], found = [], True
    return found


def _twice(asked: Any, told: Any) -> bool:
    found = False
    for question, answer in each_pair(asked, told):
        if question["method"] == "eth_getLogs" and answer.get("result"):
            answer["result"], found = [*answer["result"], *reversed(answer["result"])], True
    return found


def _wrong_chain(asked: Any, told: Any) -> bool:
    found = False
    for question, answer in each_pair(asked, told):
        if question["method"] == "eth_chainId":
            answer["result"], found = "0x1", True
    return found


def _lagging(asked: Any, told: Any) -> bool:
    """The head, and what is above some height, is not there yet."""
    found = False
    for question, answer in each_pair(asked, told):
        if (
            question["method"] == "eth_getBlockByNumber"
            and answer.get("result")
            and question["params"][0] not in ("finalized", "0x0")
        ):
            answer["result"], found = None, True
    return found


def _no_receipts(asked: Any, told: Any) -> bool:
    """As a node that has not come to their blocks yet."""
    found = False
    for question, answer in each_pair(asked, told):
        if question["method"] == "eth_getTransactionReceipt" and answer.get("result"):
            answer["result"], found = None, True
    return found


def _ten_megabytes(asked: Any, told: Any) -> bool:
    for _, answer in each_pair(asked, told):
        answer["padding"] = PADDING
        return True
    return False


SPOILING: dict[str, Callable[[Any, Any], bool]] = {
    "empty logs": _empty_logs,
    "duplicate logs": _twice,
    "wrong chain id": _wrong_chain,
    "lagging head": _lagging,
    "no receipts": _no_receipts,
    "10 MB answers": _ten_megabytes,
}
EARLY: dict[str, Callable[[Any], None]] = {
    "429": lambda reply: reply.give(429, b"", {"retry-after": "0"}),
    "500": lambda reply: reply.give(500, b"oops"),
    "connection reset": lambda reply: reply.reset(),
}
FAULTS = (*SPOILING, *EARLY, "delays", "truncated JSON", "reordered batch")


@contextmanager
def spoiling(node_url: str, *faults: str, seed: int = 1, often: float = 0.3) -> Iterator[BadRpc]:
    """Such a proxy, on a port of its own."""
    bad = BadRpc(node_url, faults, seed, often)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = (
            True  # an answer goes in two pieces, and the second would wait 40 ms for word of the first
        )

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if "delays" in faults and bad._draw.random() < often:
                bad.spoilt["delays"] += 1
                time.sleep(0.15)
            bad.answer(body, self)

        def give(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in ({"content-length": str(len(content))} | (headers or {})).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def reset(self) -> None:
            """A TCP RST in the middle of the conversation."""
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Quiet: a client that went in mid-answer is what some faults are for."""

    server = Server(("127.0.0.1", 0), Handler)
    bad.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield bad
    finally:
        server.shutdown()
        server.server_close()
