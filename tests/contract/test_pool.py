"""Several nodes as one: who is asked, who rests, who is outvoted; what a node gives at once; and heads over a WebSocket."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from uuid import uuid4

import pytest

from connectors.chain.accounts.directory import Directory, Wallet
from connectors.chain.listening.quorum import Quorum
from connectors.chain.node import pool
from connectors.chain.node.errors import RangeTooWide, range_hint, range_limit
from connectors.chain.node.logs import LogFilter
from connectors.chain.node.rpc import Rpc
from connectors.chain.settings import ChainSettings
from infra.errors import Misconfigured
from streams.domain.chain.facts import Block, Transfer
from tests.chain_fixtures import silent_chain
from tests.contract.test_rpc import BadNode, good, http, hurried, refusing, serving, told

TRANSFER = LogFilter(("0x" + "11" * 20,), (("0x" + "dd" * 32,),))
WORDS = [
    ("block range too large, range: 5000, max: 3000", 3000, 3000),
    ("Max range: 800", 800, 800),
    ("range too large, max: 1k blocks", 1000, 1000),
    ("query exceeds max block range 100000", 100_000, 100_000),
    ("eth_getLogs is limited to a 10,000 range", 10_000, 10_000),
    ("eth_getLogs is limited to 0 - 50000 blocks range", 50_000, 50_000),
    ("ranges over 10000 blocks are not supported on freetier", 10_000, 10_000),
    ("exceed maximum block range: 50000", 50_000, 50_000),
    ("Maximum allowed number of requested blocks is 3500", 3500, 3500),
    ("block range exceeds limit of 500", 500, 500),
    ("Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range and no limit on the response "
     "size. Based on your parameters, this block range should work: [0x0, 0x4d2]", 2000, 1235),
    ("query returned more than 10000 results. Try with this block range [0x100, 0x1ff].", None, 256),
    ("query exceeds max results 20000, retry with the range 1234-5678", None, 4445),
    ("Too many logs requested. Max logs per response is 20000.", None, None),
    ("logs matched by query exceeds limit of 10000", None, None),
    ("Response is too big", None, None),
    ("block range is too wide", None, None),
]  # fmt: skip


@pytest.mark.parametrize(("message", "limit", "hint"), WORDS)
def test_how_much_a_provider_gives_at_once_is_read_from_its_words(
    message: str, limit: int | None, hint: int | None
) -> None:
    with serving(refusing(-32000, message)) as node, pytest.raises(RangeTooWide):
        hurried(node).logs(0, 10)
    assert range_limit(message) == limit
    assert (range_hint(message) or range_limit(message)) == hint


def test_another_than_the_best_is_asked_now_and_then_so_that_its_latency_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(good("0x7")) as best, serving(good("0x7")) as other:
        rpc = hurried(best, other)
        rpc.chain_id()
        rpc.pool.endpoints[1].latency, rpc.pool.endpoints[1].asked = 60.0, 1  # no answer of the best takes so long
        for _ in range(5):
            rpc.chain_id()
        assert other.asked == []
        monkeypatch.setattr(pool, "EXPLORE", 1.0)
        rpc.chain_id()
        assert len(other.asked) == 1


def log_at(number: int, index: int = 0) -> dict[str, Any]:
    return {
        "address": "0x" + "11" * 20, "topics": ["0x" + "dd" * 32], "data": "0x", "blockNumber": hex(number),
        "blockHash": f"0x{number:064x}", "transactionHash": f"0x{number:064x}", "transactionIndex": "0x0", "logIndex": hex(index),
    }  # fmt: skip


def giving(limit: int | None = None, results: int | None = None) -> Callable[[Any], Any]:
    """A node with one log a block, that gives so many blocks, or so many logs, at once."""

    def one(q: Any) -> Any:
        first, last = (int(q["params"][0][name], 16) for name in ("fromBlock", "toBlock"))
        if limit is not None and last - first + 1 > limit:
            return {"id": q["id"], "error": {"code": -32000, "message": f"exceed maximum block range: {limit}"}}
        if results is not None and last - first + 1 > results:
            return {"id": q["id"], "error": {"code": -32005, "message": f"query returned more than {results} results"}}
        return {"id": q["id"], "result": [log_at(number) for number in range(first, last + 1)]}

    return told(one)


def test_a_range_limit_is_learnt_once_and_kept_to_and_nothing_is_missed() -> None:
    with serving(giving(limit=7)) as node:
        rpc = hurried(node)
        assert [each.block_number for each in rpc.find_logs(0, 99, [TRANSFER])] == list(range(100))
        assert rpc.pool.current.range_limit == 7
        before = len(node.asked)
        rpc.find_logs(100, 169, [TRANSFER])
        assert len(node.asked) - before == 10, "no question is wasted"


def test_a_limit_of_results_halves_the_question_and_is_no_limit_of_blocks() -> None:
    with serving(giving(results=10)) as node:
        rpc = hurried(node)
        assert [each.block_number for each in rpc.find_logs(0, 63, [TRANSFER])] == list(range(64))
        assert rpc.pool.current.range_limit is None


def test_a_block_with_more_logs_than_a_node_gives_is_read_by_its_receipts() -> None:
    """Anybody may fill a block with logs like ours, for less than a cent: the listener stood before it for ever."""
    block_hash = f"0x{5:064x}"
    block = {
        "number": "0x5", "hash": block_hash, "parentHash": f"0x{4:064x}", "timestamp": "0x1", "logsBloom": "0x0",
        "transactions": ["0xaa", "0xbb"],
    }  # fmt: skip
    other = log_at(5, 7) | {"address": "0x" + "22" * 20}

    def one(q: Any) -> Any:
        if q["method"] == "eth_getLogs":
            return {"id": q["id"], "error": {"code": -32005, "message": "query returned more than 10000 results"}}
        if q["method"] == "eth_getTransactionReceipt":
            logs = [log_at(5, 3), other] if q["params"] == ["0xaa"] else [log_at(5, 9)]
            told = {"transactionHash": q["params"][0], "status": "0x1", "blockNumber": "0x5", "blockHash": block_hash}
            return {"id": q["id"], "result": told | {"gasUsed": "0x1", "effectiveGasPrice": "0x1", "logs": logs}}
        return {"id": q["id"], "result": block}

    with serving(told(one)) as node:
        for found in (
            hurried(node).find_logs(5, 5, [TRANSFER]),
            hurried(node).logs_of_blocks([block_hash], [TRANSFER]),
        ):
            assert [each.index for each in found] == [3, 9]


def test_a_log_that_a_node_says_was_taken_back_is_none() -> None:
    with serving(good([log_at(1), log_at(2) | {"removed": True}])) as node:
        assert [each.block_number for each in hurried(node).find_logs(0, 5, [TRANSFER])] == [1]


def test_a_node_that_was_away_is_asked_again_which_chain_it_is_of() -> None:
    """What answers at its address now may be another."""
    with serving(good("0x64"), good("0x1"), http(502), good("0x64"), good("0x1")) as node:
        rpc = hurried(node, chain_id=100)
        assert rpc.nonce("0x") == 1
        assert rpc.nonce("0x") == 1
        assert [each["method"] for each in node.asked].count("eth_chainId") == 2
    with serving(good("0x64"), good("0x1"), http(502), good("0xd")) as another:
        rpc = hurried(another, chain_id=100)
        assert rpc.nonce("0x") == 1
        with pytest.raises(Misconfigured, match="is of chain 13"):
            rpc.nonce("0x")


def test_a_log_that_is_told_twice_or_out_of_order_is_one_log_in_its_place() -> None:
    with serving(good([log_at(2), log_at(1, 1), log_at(1), log_at(2)])) as node:
        found = hurried(node).find_logs(0, 5, [TRANSFER, TRANSFER])
    assert [(each.block_number, each.index) for each in found] == [(1, 0), (1, 1), (2, 0)]


def test_a_node_that_fails_again_and_again_rests_and_is_asked_again_later() -> None:
    with serving(http(500), http(500), http(500), good("0x64")) as node:
        rpc = hurried(node)
        assert rpc.chain_id() == 100
        assert len(node.asked) == 4
        assert rpc.pool.current.failures == 0


def test_a_node_that_is_busy_is_left_alone_for_as_long_as_it_asked() -> None:
    with serving(http(429, retry_after="30"), good("0x64")) as busy, serving(good("0x64")) as well:
        rpc = hurried(busy, well)
        for _ in range(20):
            assert rpc.chain_id() == 100
        assert len(busy.asked) == 1
        assert rpc.pool.endpoints[0].state == "resting"


def test_too_many_requests_in_words_is_no_refusal() -> None:
    with serving(refusing(-32005, "daily request count exceeded, request rate limited"), good("0x64")) as node:
        assert hurried(node).chain_id() == 100


def test_a_node_is_asked_no_more_often_than_it_takes() -> None:
    with serving(good("0x64")) as node:
        rpc, began = hurried(node, a_second=10), time.monotonic()
        for _ in range(25):
            rpc.chain_id()
        assert time.monotonic() - began >= 1.5


def test_a_node_of_another_chain_is_never_asked_and_named_when_there_is_no_other() -> None:
    with serving(good("0x1")) as other, serving(good("0x64")) as well:
        assert hurried(other, well, chain_id=100).call("eth_anything") == "0x64"
        with pytest.raises(Misconfigured, match="is of chain 1, not of chain 100; mend rpc_urls"):
            hurried(other, chain_id=100).call("eth_anything")
    assert all(each["method"] == "eth_chainId" for each in other.asked)


def test_a_node_that_does_not_tell_its_chain_now_is_asked_again_and_not_banned() -> None:
    with serving(refusing(-32000, "not now"), good("0x64"), good("0x1")) as node:
        assert hurried(node, chain_id=100).nonce("0x") == 1


def at_height(number: int, block_hash: str = "0xaa") -> Callable[[Any], Any]:
    return told(
        lambda q: {
            "id": q["id"],
            "result": "0x64" if q["method"] == "eth_chainId" else {"number": hex(number), "hash": block_hash},
        }
    )


def test_a_node_whose_head_lags_is_asked_last() -> None:
    with serving(at_height(90)) as lagging, serving(at_height(100)) as ahead:
        rpc = hurried(lagging, ahead)
        rpc.pool.everywhere(("eth_getBlockByNumber", ["latest", False]))
        before = len(lagging.asked)
        for _ in range(50):
            rpc.call("eth_getBlockByNumber", "latest", False)
        assert len(lagging.asked) - before < 10


@contextmanager
def nodes(*hashes: str) -> Iterator[list[BadNode]]:
    with ExitStack() as opened:
        yield [opened.enter_context(serving(at_height(7, each))) for each in hashes]


def quorum_of(rpc: Rpc, wanted: int = 2) -> Quorum:
    return Quorum(rpc, ChainSettings.model_validate(silent_chain(quorum={"nodes": wanted})))


def test_a_node_that_lies_about_a_final_block_is_outvoted_and_named(capsys: pytest.CaptureFixture[str]) -> None:
    with nodes("0xbb", "0xaa", "0xaa") as asked:
        rpc = hurried(*asked)
        assert quorum_of(rpc).stands(7, "0xaa")
        assert [each.state for each in rpc.pool.endpoints] == ["resting", "well", "well"]
        assert not quorum_of(rpc, 3).stands(7, "0xbb")
    assert rpc.pool.endpoints[0].name in capsys.readouterr().out


def test_where_two_nodes_disagree_nothing_is_final() -> None:
    with nodes("0xbb", "0xaa") as asked:
        assert not quorum_of(hurried(*asked)).stands(7, "0xaa")


def test_the_word_of_the_only_node_is_all_there_is() -> None:
    with nodes("0xbb") as asked:
        assert quorum_of(hurried(*asked)).stands(7, "0xaa")
        assert asked[0].asked == []


TOKENS: list[dict[str, Any]] = [
    {"address": "0x" + "11" * 20, "symbol": "EURe", "currency": "EUR", "decimals": 18},
    {"address": "0x" + "44" * 20, "symbol": "USDC.e", "currency": "USD", "decimals": 6},
]
WALLETS = [
    Wallet(uuid4(), "customer", "0x" + "55" * 20, each["address"], None, None, 1) for each in TOKENS
]  # of the one holder, in each token


def a_receipt(block_hash: str | None) -> Callable[[Any], Any]:
    receipt = {"blockHash": block_hash, "status": "0x1", "logs": []} if block_hash else None
    return told(lambda q: {"id": q["id"], "result": "0x64" if q["method"] == "eth_chainId" else receipt})


@pytest.mark.parametrize(("wallet", "raw"), [(WALLETS[0], 10**18), (WALLETS[1], 10**6)], ids=["EURe", "USDC.e"])
def test_a_large_sum_is_final_when_two_nodes_have_its_receipt_whatever_its_tokens_decimals(
    wallet: Wallet, raw: int
) -> None:
    def moved(units: int) -> list[Transfer]:
        block = Block(7, "0xaa", 1)
        return [Transfer(wallet.account_id, uuid4(), "in", "deposit", "0x", units * raw, "0xtx", 0, block)]

    for second, attested in (("0xaa", True), ("0xbb", False), (None, False)):
        with serving(a_receipt("0xaa")) as one, serving(a_receipt(second)) as other:
            chain = silent_chain(tokens=TOKENS, quorum={"nodes": 2, "above": 1_000})
            quorum = Quorum(hurried(one, other), ChainSettings.model_validate(chain))
            assert quorum.attests(moved(999), Directory.of(WALLETS)), "a small sum is taken on one node's word"
            assert quorum.attests(moved(1_000), Directory.of(WALLETS)) is attested
