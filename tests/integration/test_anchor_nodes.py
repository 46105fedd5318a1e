"""That an anchor is final, or lost, is taken on no one node's word, where there are several."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from connectors.anchoring.anchorer import Anchorer
from connectors.chain.node.rpc import Rpc
from connectors.chain.sending.signing import Signer
from infra.devchain.chain import DevChain, development_key
from tests.chain_fixtures import running_devchain
from tests.contract.test_rpc import serving, told
from tests.integration.conftest import Databases
from tests.integration.test_anchoring import Anchoring


@pytest.fixture(scope="module")
def chain() -> Iterator[DevChain]:
    with running_devchain(slots_in_an_epoch=4) as made:
        yield made


@pytest.fixture
def anchoring(databases: Databases, chain: DevChain) -> Iterator[Anchoring]:
    """With a key of its own: what others have anchored in these databases is no matter of this chain."""
    made = Anchoring(databases, chain)
    made.signer = Signer(development_key(8))
    made.anchorer = Anchorer(made.write, made.read, made.rpc, made.settings, made.signer)
    made.grow()
    yield made
    made.finish()
    made.rpc.close()


@contextmanager
def beside_liar(anchoring: Anchoring, honest: int) -> Iterator[Anchorer]:
    """An anchorer that asks a liar first, and the true node under so many addresses: all is final, and the sender has sent a lot."""

    def lie(question: Any) -> Any:
        method, params = question["method"], question["params"]
        if method == "eth_getTransactionCount":
            return {"id": question["id"], "result": hex(10**6)}
        if method == "eth_getBlockByNumber" and params[0] == "finalized":
            params = ["latest", params[1]]
        return {"id": question["id"], "result": anchoring.chain.ask(method, *params)}

    with serving(told(lie)) as liar:
        urls = [anchoring.chain.rpc_url, anchoring.chain.rpc_url.replace("127.0.0.1", "localhost")][:honest]
        first = anchoring.anchorer
        rpc = Rpc([liar.url, *urls], pause_seconds=0.01)
        try:
            yield Anchorer(first.write, first.read, rpc, first.chain, first.signer)
        finally:
            rpc.close()


@pytest.mark.parametrize("honest", [1, 2])
def test_what_one_node_says_ends_no_anchor(anchoring: Anchoring, honest: int) -> None:
    anchoring.chain.stop_mining()
    anchoring.anchorer.begin()
    with beside_liar(anchoring, honest) as asked:
        asked.carry()
        assert anchoring.newest().state == "broadcast", "neither lost, though one says that its nonce is used"
        anchoring.chain.mine(1)
        for _ in range(3):
            asked.carry()
        assert anchoring.newest().state == "mined", "nor final, though one says that its block is"
        anchoring.chain.mine(10)
        for _ in range(3):
            asked.carry()
        agreed = "final" if honest == 2 else "mined"
        assert anchoring.newest().state == agreed, "of three most are right; of two no one is believed alone"
    assert anchoring.finish().state == "final"
