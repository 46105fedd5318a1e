"""A node that we made up: an endless chain of transfers to a few wallets, told by rule, which can be reorganised at will.

For what needs many blocks and no contracts. It answers what the listener asks of wallets without modifiers, and nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

from connectors.chain.contracts.events import TOPICS, Transfer
from connectors.chain.node.bloom import bloom_bits

TRANSFER = TOPICS[Transfer]
TOKEN = "0x" + "11" * 20
PAYER = "ab" * 20
FINAL = 8
BLOOM = bloom_bits(TOKEN) | bloom_bits(TRANSFER)
UNKNOWN = {"code": -32000, "message": "unknown block"}


@dataclass
class SyntheticNode:
    """`transfers(height, fork)`: how many a block holds. A block's fork is part of its hash, and of its transactions'."""

    wallets: Sequence[str]
    transfers: Callable[[int, int], int]
    head: int = 3
    forks: dict[int, int] = field(default_factory=dict)
    url: str = ""
    _fork: int = 0

    def reorganise(self, depth: int) -> None:
        """The last blocks are others now."""
        self._fork += 1
        self.forks |= dict.fromkeys(range(max(1, self.head - depth + 1), self.head + 1), self._fork)

    def count(self, number: int) -> int:
        """Transfers of a block."""
        return self.transfers(number, self.forks.get(number, 0)) if number else 0

    def received(self, up_to: int) -> dict[str, int]:
        """What each wallet got in the blocks up to this one."""
        got = dict.fromkeys(self.wallets, 0)
        for number in range(1, up_to + 1):
            for place in range(self.count(number)):
                got[self._wallet(number, place)] += 10**16 + place
        return got

    # -- what it answers

    def answer(self, question: Any) -> Any:
        """One JSON-RPC answer."""
        told = {"jsonrpc": "2.0", "id": question["id"]}
        try:
            return told | {"result": ANSWERS[question["method"]](self, question["params"])}
        except LookupError:
            return told | {"error": UNKNOWN}

    def by_number(self, params: Any) -> Any:
        return self._header(self._height(params[0]))

    def by_hash(self, params: Any) -> Any:
        found = self._header(int(params[0][10:], 16))
        return found if found and found["hash"] == params[0] else None

    def receipt(self, params: Any) -> Any:
        number, place = int(params[0][18:], 16), int(params[0][10:18], 16)
        return {
            "transactionHash": params[0], "status": "0x1", "blockNumber": hex(number), "blockHash": self._hash(number),
            "gasUsed": "0x1", "effectiveGasPrice": "0x1", "logs": [self._log(number, place)],
        }  # fmt: skip

    def logs(self, params: Any) -> Any:
        (wanted,) = params
        if TRANSFER not in wanted["topics"][0]:
            return []
        if "blockHash" in wanted:
            number = int(wanted["blockHash"][10:], 16)
            if number > self.head or self._hash(number) != wanted["blockHash"]:
                raise LookupError(wanted["blockHash"])
            numbers = range(number, number + 1)
        else:
            numbers = range(self._height(wanted["fromBlock"]), min(self.head, self._height(wanted["toBlock"])) + 1)
        return [self._log(number, place) for number in numbers for place in range(self.count(number))]

    # -- inner parts

    def _height(self, tag: str) -> int:
        if tag[:2] == "0x":
            return int(tag, 16)
        return {"latest": self.head, "finalized": max(0, self.head - FINAL)}[tag]

    def _hash(self, number: int) -> str:
        return f"0x{self.forks.get(number, 0):08x}{number:056x}"

    def _transaction(self, number: int, place: int) -> str:
        return f"0x{self.forks.get(number, 0):08x}{place:08x}{number:048x}"

    def _wallet(self, number: int, place: int) -> str:
        return self.wallets[(number * 7 + place) % len(self.wallets)]

    def _header(self, number: int) -> dict[str, Any] | None:
        if not 0 <= number <= self.head:
            return None
        count = self.count(number)
        return {
            "number": hex(number), "hash": self._hash(number), "parentHash": self._hash(number - 1) if number else "0x" + "00" * 32,
            "timestamp": hex(1_700_000_000 + 5 * number), "logsBloom": f"0x{BLOOM if count else 0:0512x}",
            "transactions": [self._transaction(number, place) for place in range(count)],
        }  # fmt: skip

    def _log(self, number: int, place: int) -> dict[str, Any]:
        return {
            "address": TOKEN, "topics": [TRANSFER, f"0x{PAYER:0>64}", f"0x{self._wallet(number, place)[2:]:0>64}"],
            "data": f"0x{10**16 + place:064x}", "blockNumber": hex(number), "blockHash": self._hash(number),
            "transactionHash": self._transaction(number, place), "transactionIndex": hex(place), "logIndex": hex(place),
        }  # fmt: skip


ANSWERS: dict[str, Callable[[SyntheticNode, Any], Any]] = {
    "eth_chainId": lambda _node, _params: "0x64",
    "eth_getBlockByNumber": SyntheticNode.by_number,
    "eth_getBlockByHash": SyntheticNode.by_hash,
    "eth_getTransactionReceipt": SyntheticNode.receipt,
    "eth_getLogs": SyntheticNode.logs,
}


@contextmanager
def running(node: SyntheticNode) -> Iterator[SyntheticNode]:
    """The node on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = (
            True  # an answer goes in two pieces, and the second would wait 40 ms for word of the first
        )

        def do_POST(self) -> None:
            asked = orjson.loads(self.rfile.read(int(self.headers["content-length"])))
            body = orjson.dumps(
                [node.answer(each) for each in asked] if isinstance(asked, list) else node.answer(asked)
            )
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    node.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield node
    finally:
        server.shutdown()
        server.server_close()
