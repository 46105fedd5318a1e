"""A node over a WebSocket: answers, news of heads, and a connection that broke or on which nobody answers."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.sync.server import Server, serve

from connectors.chain.node.heads import Heads
from connectors.chain.node.rpc import Rpc
from connectors.chain.node.transport import WebSocket
from infra.errors import Unreachable
from tests.contract.test_rpc import good, hurried, serving
from tests.waiting import until


@contextmanager
def speaking(port: int = 0) -> Iterator[tuple[Server, list[Any]]]:
    """A node over a WebSocket: chain 100; `open` are the connections to which heads may be sent."""
    opened: list[Any] = []

    def handle(connection: Any) -> None:
        for message in connection:
            asked = json.loads(message)
            if isinstance(asked, dict) and asked["method"] == "eth_subscribe":
                opened.append(connection)
                connection.send(json.dumps({"id": asked["id"], "result": "0x1"}))
            else:
                listed = asked if isinstance(asked, list) else [asked]
                answers = [{"id": each["id"], "result": "0x64"} for each in reversed(listed)]
                connection.send(json.dumps(answers if isinstance(asked, list) else answers[0]))

    with serve(handle, "127.0.0.1", port) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server, opened
        for connection in opened:
            connection.close()
        server.shutdown()


def url_of(server: Server) -> str:
    return f"ws://127.0.0.1:{server.socket.getsockname()[1]}"


def test_a_node_over_a_websocket_answers_and_tells_of_heads_also_after_it_was_gone() -> None:
    with speaking() as (server, opened):
        url = url_of(server)
        rpc = Rpc([url], pause_seconds=0.01, timeout_seconds=2)
        assert rpc.batch([("a", []), ("b", [])]) == ["0x64", "0x64"]
        heads = Heads(rpc.pool)
        assert heads.told()
        until(lambda: opened, "an open connection")
        assert not heads.wait(0.05)
        opened[0].send(json.dumps({"method": "eth_subscription", "params": {"result": {"number": "0x1"}}}))
        assert heads.wait(2)
    transport = rpc.pool.current.transport
    assert isinstance(transport, WebSocket)
    until(lambda: not transport.connected, "the end of the connection")
    with speaking(int(url.rpartition(":")[2])) as (_, again):
        until(heads.told, "a node that tells of heads")
        until(lambda: again, "a second connection")
        again[0].send(json.dumps({"method": "eth_subscription", "params": {"result": {"number": "0x2"}}}))
        assert heads.wait(2)
        assert rpc.chain_id() == 100
    rpc.close()


def test_nobody_tells_of_heads_where_no_node_speaks_over_a_websocket() -> None:
    with serving(good("0x64")) as node:
        assert not Heads(hurried(node).pool).told()


@contextmanager
def rambling(*said: str) -> Iterator[tuple[str, list[Any]]]:
    """A node over a WebSocket that says these things on its first connection, and answers nothing there; on later ones it answers well."""
    opened: list[Any] = []

    def handle(connection: Any) -> None:
        opened.append(connection)
        first = len(opened) == 1
        for message in connection:
            if not first:
                connection.send(json.dumps({"id": json.loads(message)["id"], "result": "0x64"}))
            for each in said if first else ():
                connection.send(each)

    with serve(handle, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield url_of(server), opened
        server.shutdown()


NONSENSE = {
    "nothing": (),
    "a list of heads": ('{"method": "eth_subscription", "params": [1]}',),
    "an id that is none": ('{"id": {"a": 1}, "result": "0x64"}', '[{"id": []}]'),
    "no JSON": ("<html>",),
    "brackets": ("[" * 100_000,),
}


@pytest.mark.parametrize("said", NONSENSE.values(), ids=NONSENSE)
def test_a_websocket_on_which_no_answer_comes_is_opened_again(said: tuple[str, ...]) -> None:
    """The connection lives, pings are answered, and what is asked on it is answered by nobody."""
    with rambling(*said) as (url, opened):
        rpc = Rpc([url], pause_seconds=0.01, timeout_seconds=0.5)
        assert rpc.chain_id() == 100
        assert len(opened) == 2
        rpc.close()


def test_a_node_that_takes_a_connection_and_says_nothing_is_passed_over_for_another() -> None:
    """Frozen, or behind a network that swallows everything: it does not even answer the handshake."""
    with socket.create_server(("127.0.0.1", 0)) as mute, serving(good("0x64")) as node:
        silent = f"ws://127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(Unreachable, match=r"no answer within 0\.2 s"):
            Rpc([silent], pause_seconds=0.01, timeout_seconds=0.2).call("eth_chainId")
        assert Rpc([silent, node.url], pause_seconds=0.01, timeout_seconds=0.2).call("eth_chainId") == "0x64"
