"""What one node of several does not know, or tells with nonsense inside: another is asked, and later it is asked again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from connectors.chain.node import endpoint as at
from connectors.chain.node.errors import RpcRefused, RpcUnreachable
from tests.contract.test_pool import log_at
from tests.contract.test_rpc import Answer, BadNode, good, hurried, refusing, serving, told

HASH = "0x" + "ab" * 32
HEADER: dict[str, Any] = {
    "number": "0x7", "hash": HASH, "parentHash": HASH, "timestamp": "0x65", "logsBloom": "0x00", "baseFeePerGas": "0x9",
}  # fmt: skip
RECEIPT: dict[str, Any] = {
    "transactionHash": HASH, "status": "0x1", "blockNumber": "0x7", "blockHash": HASH, "gasUsed": "0x1", "logs": [log_at(7)],
}  # fmt: skip
UNKNOWN = refusing(-32601, "the method eth_maxPriorityFeePerGas does not exist/is not available")
ANSWERS = {"eth_getBlockByNumber": HEADER, "eth_maxPriorityFeePerGas": "0x5", "eth_blockNumber": "0x7"}


def knowing(**answers: Any) -> Callable[[Any], Answer]:
    """By the method; what it does not have it does not know."""

    def one(q: Any) -> Any:
        found = {**ANSWERS, **answers}.get(q["method"])
        error = {"code": -32601, "message": f"the method {q['method']} does not exist/is not available"}
        return {"jsonrpc": "2.0", "id": q["id"]} | ({"error": error} if found is None else {"result": found})

    return told(one)


def asked_for(node: BadNode, method: str) -> int:
    questions = [q for each in node.asked for q in (each if isinstance(each, list) else [each])]
    return sum(q["method"] == method for q in questions)


@pytest.mark.parametrize(
    ("method", "wrong", "read"),
    [
        ("eth_getBlockByNumber", HEADER | {"timestamp": "soon"}, lambda rpc: rpc.block(7).time),
        ("eth_getBlockByNumber", HEADER | {"logsBloom": None}, lambda rpc: rpc.block(7).time),
        ("eth_getBlockByNumber", HEADER | {"parentHash": 7}, lambda rpc: rpc.fees().base_wei),
        ("eth_getTransactionReceipt", RECEIPT | {"gasUsed": {}}, lambda rpc: rpc.receipt(HASH).gas_used),
        ("eth_getTransactionReceipt", RECEIPT | {"logs": [{}]}, lambda rpc: rpc.receipt(HASH).gas_used),
        ("eth_getLogs", [log_at(7) | {"logIndex": "first"}], lambda rpc: len(rpc.logs(7, 7))),
        ("eth_getLogs", [log_at(7) | {"topics": ["0x12"]}], lambda rpc: len(rpc.logs(7, 7))),
        ("eth_getLogs", ["a log"], lambda rpc: len(rpc.logs(7, 7))),
    ],
    ids=lambda value: str(value)[:60] if not callable(value) else "",
)  # fmt: skip
def test_where_one_node_talks_nonsense_inside_a_good_answer_another_is_asked(
    method: str, wrong: Any, read: Callable[[Any], Any]
) -> None:
    right: dict[str, Any] = {
        "eth_getBlockByNumber": HEADER,
        "eth_getTransactionReceipt": RECEIPT,
        "eth_getLogs": [log_at(7)],
    }
    with serving(knowing(**right | {method: wrong})) as odd, serving(knowing(**right)) as well:
        rpc = hurried(odd, well)
        assert read(rpc) in (1, 9, 101)
        first = rpc.pool.endpoints[0]
        assert (first.failed, "nonsense" in first.last_error) == (1, True)
        with pytest.raises(RpcUnreachable, match="nonsense"):
            read(hurried(odd))


def test_a_method_that_one_node_does_not_know_is_asked_of_another_and_the_node_stays_well() -> None:
    with serving(knowing(eth_maxPriorityFeePerGas=None)) as ignorant, serving(knowing()) as knows:
        rpc = hurried(ignorant, knows)
        for _ in range(5):
            assert rpc.fees().tip_wei == 5
        assert asked_for(ignorant, "eth_maxPriorityFeePerGas") == 1
        first = rpc.pool.endpoints[0]
        assert (first.state, first.failures, list(first.lacks)) == ("well", 0, ["eth_maxPriorityFeePerGas"])
        first.lacks = dict.fromkeys(first.lacks, 0.0)  # a while later
        first.head = 7
        rpc.fees()
        assert asked_for(ignorant, "eth_maxPriorityFeePerGas") == 2


def test_a_method_that_nobody_knows_is_refused_at_once_and_spoils_nothing_beside_it() -> None:
    for count in (1, 2):
        nodes = [knowing(eth_maxPriorityFeePerGas=None) for _ in range(count)]
        with serving(nodes[0]) as one, serving(nodes[-1]) as other:
            rpc = hurried(*[one, other][:count])
            for _ in range(3):
                fees = rpc.fees()
                assert (fees.base_wei, fees.tip_wei) == (9, 10**9)
            with pytest.raises(RpcRefused):
                rpc.call("eth_maxPriorityFeePerGas")


def test_what_only_a_dead_node_might_know_is_refused_by_the_living_one() -> None:
    with serving(knowing()) as dead, serving(knowing(eth_maxPriorityFeePerGas=None)) as ignorant:
        rpc = hurried(dead, ignorant)
        rpc.pool.endpoints[0].rests_until = float("inf")
        assert rpc.fees().tip_wei == 10**9


def test_a_node_that_learns_a_method_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at, "LACKS_SECONDS", 600.0)
    with serving(UNKNOWN, good("0x5")) as node:
        rpc = hurried(node)
        with pytest.raises(RpcRefused):
            rpc.call("eth_maxPriorityFeePerGas")
        assert rpc.call("eth_maxPriorityFeePerGas") == "0x5"
        assert rpc.pool.endpoints[0].lacks == {}
