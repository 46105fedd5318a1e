"""The client of EVM nodes against nodes that misbehave: real HTTP servers that fail as providers do."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from connectors.chain.node.errors import (
    AlreadyKnown,
    CallReverted,
    NoFunds,
    NonceTooLow,
    RangeTooWide,
    RpcRefused,
    RpcUnreachable,
    Underpriced,
    UnknownBlock,
)
from connectors.chain.node.rpc import Rpc
from connectors.chain.node.values import Header
from infra.errors import Undecodable

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class BadNode:
    """Gives one answer after another, the last one for ever; remembers what it was asked."""

    answers: list[Callable[[Any], Answer]]
    asked: list[Any] = field(default_factory=list)
    url: str = ""

    def answer(self, question: Any) -> Answer:
        self.asked.append(question)
        return self.answers[min(len(self.asked), len(self.answers)) - 1](question)


@contextmanager
def serving(*answers: Callable[[Any], Answer]) -> Iterator[BadNode]:
    node = BadNode(list(answers))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, headers, body = node.answer(question)
            self.send_response(status)
            for name, value in ({"content-length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    node.url = f"http://127.0.0.1:{server.server_address[1]}"
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield node
    finally:
        server.shutdown()
        server.server_close()


def good(result: Any) -> Callable[[Any], Answer]:
    return told(lambda q: {"jsonrpc": "2.0", "id": q["id"], "result": result})


def refusing(code: int, message: str, data: Any = None) -> Callable[[Any], Answer]:
    return told(lambda q: {"jsonrpc": "2.0", "id": q["id"], "error": {"code": code, "message": message, "data": data}})


def told(one: Callable[[Any], Any], order: int = 1) -> Callable[[Any], Answer]:
    def answer(question: Any) -> Answer:
        body = [one(q) for q in question][::order] if isinstance(question, list) else one(question)
        return 200, {"content-type": "application/json"}, json.dumps(body).encode()

    return answer


def http(status: int, body: bytes = b"", **headers: str) -> Callable[[Any], Answer]:
    return lambda _: (status, {k.replace("_", "-"): v for k, v in headers.items()}, body)


def hurried(*nodes: BadNode, **other: Any) -> Rpc:
    return Rpc([node.url for node in nodes], pause_seconds=0.01, timeout_seconds=1.0, **other)


PASSING = {
    "500": http(500),
    "502 with a page": http(502, b"<html>bad gateway</html>"),
    "429": http(429, retry_after="0"),
    "truncated JSON": http(200, b'{"jsonrpc": "2.0", "resu'),
    "an empty body": http(200),
    "another's answer": lambda _: (200, {}, b'{"jsonrpc": "2.0", "id": 999999, "result": "0x1"}'),
    "no answer in it": http(200, b"[]"),
    "an internal error": refusing(-32603, "Internal error"),
    "an error that is text": told(lambda q: {"id": q["id"], "error": "something went wrong", "result": None}),
    "neither result nor error": told(lambda q: {"id": q["id"]}),
    "a number that is none": good("0xzz"),
    "a number that is no text": good(100),
    "a record": good({"chainId": "0x64"}),
    "a connection closed in the middle": http(200, b"0", content_length="5000", connection="close"),
}


@pytest.mark.parametrize("first", PASSING.values(), ids=PASSING)
def test_what_may_pass_is_asked_again(first: Callable[[Any], Answer]) -> None:
    with serving(first, good("0x64")) as node:
        assert hurried(node).chain_id() == 100
        assert len(node.asked) == 2


@pytest.mark.parametrize("first", PASSING.values(), ids=PASSING)
def test_another_node_is_asked_when_one_fails_and_kept(first: Callable[[Any], Answer]) -> None:
    with serving(first) as bad, serving(good("0x64")) as well:
        rpc = hurried(bad, well)
        assert [rpc.chain_id() for _ in range(3)] == [100] * 3
        assert len(bad.asked) == 1, "no question is wasted on a node that failed"
        assert rpc.node in well.url


def test_a_node_that_is_gone_or_silent_is_passed_over() -> None:
    def silent(_: Any) -> Answer:
        time.sleep(2)
        return 200, {}, b""

    with serving(good("0x1")) as gone:
        pass
    with serving(silent) as slow, serving(good("0x64")) as well:
        assert hurried(gone, slow, well).chain_id() == 100


def test_when_all_fail_the_error_says_how_and_shows_no_key_of_the_url() -> None:
    with serving(http(503)) as node:
        url = node.url.replace("127", "user:secret@127") + "/key/abc"
        with pytest.raises(RpcUnreachable, match=r"eth_chainId after 3 tries; last: 127.*HTTP 503") as error:
            Rpc([url], pause_seconds=0.01, tries=3).chain_id()
        assert "secret" not in str(error.value) and "abc" not in str(error.value)
        assert len(node.asked) == 3


def test_retry_after_is_kept_to() -> None:
    with serving(http(429, retry_after="1"), good("0x64")) as node:
        began = time.monotonic()
        assert hurried(node).chain_id() == 100
        assert time.monotonic() - began >= 1


def test_a_refusal_is_an_answer_and_is_not_asked_again() -> None:
    with serving(refusing(-32601, "the method eth_foo does not exist")) as node:
        with pytest.raises(RpcRefused, match="eth_foo does not exist"):
            hurried(node).call("eth_foo")
        assert len(node.asked) == 1


def test_an_internal_error_is_told_as_it_was_said_once_every_node_was_asked() -> None:
    with serving(refusing(-32603, "Internal error")) as one, serving(refusing(-32603, "Internal error")) as other:
        with pytest.raises(RpcRefused, match="Internal error") as error:
            hurried(one, other).call("eth_foo")
        assert type(error.value) is RpcRefused
        assert one.asked and other.asked


@pytest.mark.parametrize("code", [None, "E_NONE", 1.5])
def test_a_refusal_whose_code_is_none_is_a_refusal(code: Any) -> None:
    with serving(refusing(code, "nonce too low")) as node, pytest.raises(NonceTooLow):
        hurried(node).send_raw(b"")


def test_answers_out_of_order_come_back_in_order() -> None:
    with serving(told(lambda q: {"id": q["id"], "result": hex(int(q["params"][0], 16) + 1)}, order=-1)) as node:
        assert hurried(node).batch([("plus_one", [hex(i)]) for i in range(5)]) == [hex(i + 1) for i in range(5)]


def test_one_refusal_in_a_batch_spoils_no_other() -> None:
    def one(q: Any) -> Any:
        if q["params"][0]["to"] == "bad":
            return {"id": q["id"], "error": {"code": 3, "message": "execution reverted: no", "data": "0x"}}
        return {"id": q["id"], "result": "0x2a"}

    with serving(told(one)) as node:
        first, second, third = hurried(node).eth_calls([("good", b""), ("bad", b""), ("good", b"")])
    assert (first, third) == (b"\x2a", b"\x2a")
    assert isinstance(second, CallReverted) and second.said == "execution reverted: no"


WORDINGS = {
    RangeTooWide: (
        "block range is too wide",
        "query returned more than 10000 results",
        "exceed maximum block range: 5000",
        "eth_getLogs is limited to a 10,000 range",
        "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range",
    ),
    UnknownBlock: (
        "unknown block",
        "header not found",
        "missing trie node 12ab",
        "BlockOutOfRangeError: block height is 4",
    ),
    CallReverted: (
        "execution reverted",
        "VM execution error.",
        "execution reverted: header not found",
        "execution reverted: insufficient balance",
        "EVM error OutOfGas",
        "out of gas",
    ),
    AlreadyKnown: ("already known", "AlreadyKnown", "Known transaction", "INTERNAL_ERROR: existing tx with same hash"),
    NonceTooLow: ("nonce too low: next nonce 5, tx nonce 4", "OldNonce, Current nonce: 5, nonce of rejected tx: 4."),
    Underpriced: (
        "replacement transaction underpriced",
        "transaction underpriced",
        "ReplacementNotAllowed",
        "FeeTooLowToCompete",
        "INTERNAL_ERROR: could not replace existing tx",
    ),
    NoFunds: (
        "insufficient funds for gas * price + value: balance 0, tx cost 1, overshot 1",
        "InsufficientFunds, Account balance: 0, cumulative cost: 1",
        "Upfront cost exceeds account balance",
    ),
}


@pytest.mark.parametrize(("kind", "message"), [(kind, text) for kind, texts in WORDINGS.items() for text in texts])
def test_providers_wordings_are_told_apart(kind: type[RpcRefused], message: str) -> None:
    with serving(refusing(-32000, message)) as node, pytest.raises(kind) as error:
        hurried(node).logs(0, 10)
    assert type(error.value) is kind


def test_a_block_or_a_log_that_is_none_is_named() -> None:
    with (
        serving(good({"number": "0x1", "hash": "0x12"})) as node,
        pytest.raises(RpcUnreachable, match="no mined block"),
    ):
        hurried(node).block(1)
    with serving(good([{"address": "0x"}])) as node, pytest.raises(RpcUnreachable, match="no log"):
        hurried(node).logs(0, 1)
    with serving(good({"status": "0x1"})) as node, pytest.raises(RpcUnreachable, match="no receipt"):
        hurried(node).receipt("0x12")
    with pytest.raises(Undecodable):
        Header.from_json({})
