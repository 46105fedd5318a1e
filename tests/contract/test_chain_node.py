"""What we assume of an EVM node, on a real one: headers, logs, blooms, tags, and above all what a reorg looks like."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from connectors.chain.contracts import events as on_chain
from connectors.chain.contracts.decode import decode
from connectors.chain.contracts.events import TOPICS
from connectors.chain.node.bloom import may_hold
from connectors.chain.node.errors import CallReverted, NonceTooLow, RpcRefused, Underpriced, UnknownBlock
from connectors.chain.node.heads import Heads
from connectors.chain.node.logs import LogFilter
from connectors.chain.node.rpc import Rpc
from connectors.chain.sending.signing import Signer, TransactionOrder
from infra.devchain.chain import DevChain
from infra.devchain.node import ChainScriptError
from infra.devchain.values import AccountInfo
from tests.chain_fixtures import contracts_of, devchain, reader_of

EURO = 10**18
TRANSFER = TOPICS[on_chain.Transfer]

__all__ = ["devchain"]


@pytest.fixture
def rpc(devchain: DevChain) -> Iterator[Rpc]:
    """The product's client; afterwards the node mines again, whatever the test did."""
    yield Rpc([devchain.rpc_url])
    devchain.automine()


@pytest.fixture
def accounts(devchain: DevChain) -> list[AccountInfo]:
    made = devchain.create_accounts(2)
    devchain.wait_receipts([devchain.mint(one.safe, 100 * EURO) for one in made])
    return made


def test_each_block_names_its_parent_and_its_time_does_not_go_back(devchain: DevChain, rpc: Rpc) -> None:
    headers = rpc.blocks(range(devchain.head + 1))
    for before, after in pairwise(headers):
        assert before is not None and after is not None
        assert (after.parent_hash, after.number) == (before.hash, before.number + 1)
        assert after.time >= before.time
    assert rpc.block(devchain.head + 1) is None
    assert rpc.block("0x" + "ab" * 32) is None


def test_the_node_tells_of_each_new_head_over_a_websocket_and_of_those_that_a_reorg_brings(devchain: DevChain) -> None:
    rpc = Rpc([devchain.socket_url], chain_id=100)
    heads = Heads(rpc.pool)
    assert heads.told()
    devchain.stop_mining()
    for bring in (devchain.mine, lambda: devchain.reorg(1)):
        while heads.wait(0.2):
            """Those of before."""
        bring()
        assert heads.wait(5)
        head = rpc.block("latest")
        assert head is not None and head.number == devchain.head
    rpc.close()
    devchain.automine()


def test_logs_by_range_and_by_block_hash_are_the_same(
    devchain: DevChain, rpc: Rpc, accounts: list[AccountInfo]
) -> None:
    devchain.wait_receipts([devchain.spend(one, EURO) for one in accounts])
    topics = list(TOPICS.values())
    by_range = rpc.logs(0, devchain.head, topics)
    by_hash = []
    for header in rpc.blocks(range(devchain.head + 1)):
        assert header is not None
        found = rpc.logs_of_blocks([header.hash], [LogFilter((), (tuple(topics),))])
        assert {log.block_hash for log in found} <= {header.hash}
        by_hash += found
    assert by_hash == by_range and len(by_range) > 50
    assert [(log.block_number, log.index) for log in by_range] == sorted(
        (log.block_number, log.index) for log in by_range
    )


def test_only_the_asked_topics_and_addresses_come(devchain: DevChain, rpc: Rpc, accounts: list[AccountInfo]) -> None:
    devchain.wait_receipts([devchain.spend(accounts[0], EURO)])
    only = rpc.logs(0, devchain.head, [TRANSFER], [devchain.deployment.token])
    assert {type(decode(log)) for log in only} == {on_chain.Transfer}
    assert {log.address for log in only} == {devchain.deployment.token.lower()}


def test_a_block_with_our_logs_says_so_in_its_bloom_and_one_without_mostly_not(
    devchain: DevChain, rpc: Rpc, accounts: list[AccountInfo]
) -> None:
    (receipt,) = rpc.receipts(
        [devchain.wait_receipts([devchain.spend(accounts[0], EURO)])[0]["transactionHash"].to_0x_hex()]
    )
    assert receipt is not None
    full, token = rpc.block(receipt.block_hash), devchain.deployment.token.lower()
    devchain.mine()
    empty = rpc.block("latest")
    assert full is not None and empty is not None
    for item in (token, TRANSFER, accounts[0].roles.lower()):
        assert may_hold(full.logs_bloom, [item]) and not may_hold(empty.logs_bloom, [item])
    strangers = [f"0x{i:040x}" for i in range(1, 300)]
    assert sum(may_hold(full.logs_bloom, [one]) for one in strangers) < 5


def test_a_block_is_safe_one_epoch_and_final_two_epochs_behind_the_head(devchain: DevChain, rpc: Rpc) -> None:
    devchain.mine(20)
    head, safe, final = (block.number for block in rpc.blocks(["latest", "safe", "finalized"]) if block)
    assert (head - safe, head - final) == (4, 8)


def test_a_reverted_transaction_is_seen_only_by_its_receipt(
    devchain: DevChain, rpc: Rpc, accounts: list[AccountInfo]
) -> None:
    sent = devchain.spend(accounts[0], 101 * EURO)
    devchain.wait_receipts([sent], good=False)
    receipt = rpc.receipt(sent.hash)
    assert receipt is not None
    assert not receipt.succeeded and receipt.logs == () and receipt.gas_used > 21_000
    with pytest.raises(CallReverted) as refusal:
        rpc.eth_call(devchain.deployment.spender_module, devchain.signed_spend(accounts[0], 101 * EURO))
    assert refusal.value.said == "Spend Transaction Failed"


# -- reorg


def test_a_dropped_block_is_known_by_the_hash_at_its_height(
    devchain: DevChain, rpc: Rpc, accounts: list[AccountInfo]
) -> None:
    # Asking for the old hash proves nothing: anvil goes on telling it while it keeps all states, and some nodes do always.
    dropped, moved = devchain.spend(accounts[0], EURO), devchain.spend(accounts[1], EURO)
    devchain.wait_receipts([dropped, moved])
    before = [rpc.receipt(one.hash) for one in (dropped, moved)]
    old = rpc.block("latest")
    devchain.stop_mining()
    done = devchain.reorg(2, resend=[moved.hash])
    assert old is not None and {one.hash for one in done.dropped} == {dropped.hash, moved.hash}

    now = rpc.block(old.number)
    assert now is not None and now.hash != old.hash
    assert devchain.head == old.number, "the head keeps its height"
    with pytest.raises(UnknownBlock):
        rpc.logs_of_blocks([old.hash], [LogFilter((), ((TRANSFER,),))])
    with pytest.raises(RpcRefused):
        reader_of(devchain).read([contracts_of(devchain, accounts[0])], old.hash)
    assert rpc.receipt(dropped.hash) is None and rpc.receipt(moved.hash) is None
    assert rpc.transaction(moved.hash) is not None and rpc.transaction(dropped.hash) is None

    devchain.mine()
    after = rpc.receipt(moved.hash)
    assert after is not None and before[1] is not None
    assert after.succeeded and after.block_number == old.number + 1 and after.block_hash != before[1].block_hash
    contents = [[(log.address, log.topics, log.data) for log in receipt.logs] for receipt in (before[1], after)]
    assert contents[0] == contents[1], "a moved transaction's logs say the same"
    assert [devchain.balance(one.safe) for one in accounts] == [100 * EURO, 99 * EURO]
    devchain.automine()


def test_a_dropped_spend_may_come_back_much_later_with_the_same_hash(
    devchain: DevChain, rpc: Rpc, accounts: list[AccountInfo]
) -> None:
    spend = devchain.spend(accounts[0], 3 * EURO)
    devchain.wait_receipts([spend])
    devchain.stop_mining()
    devchain.reorg(1)
    devchain.mine(10)
    assert devchain.balance(accounts[0].safe) == 100 * EURO
    devchain.automine()
    assert devchain.resend(spend.raw).hash == spend.hash
    devchain.wait_receipts([spend])
    assert devchain.balance(accounts[0].safe) == 97 * EURO


def test_the_chain_is_one_chain_after_a_deep_reorg(devchain: DevChain, rpc: Rpc, accounts: list[AccountInfo]) -> None:
    devchain.mine(18)
    for _ in range(12):
        devchain.wait_receipts([devchain.spend(accounts[0], EURO)])
    devchain.stop_mining()
    done = devchain.reorg(30, resend="all")
    devchain.mine()
    devchain.automine()
    devchain.wait_receipts(done.dropped)
    test_each_block_names_its_parent_and_its_time_does_not_go_back(devchain, rpc)
    assert devchain.balance(accounts[0].safe) == 88 * EURO


def test_a_reorg_is_refused_while_blocks_are_being_mined(devchain: DevChain) -> None:
    with pytest.raises(ChainScriptError, match="stop_mining"):
        devchain.reorg(1)


def test_a_waiting_transaction_outlives_a_reorg(devchain: DevChain, rpc: Rpc, accounts: list[AccountInfo]) -> None:
    devchain.mine(3)
    devchain.stop_mining()
    waiting = devchain.spend(accounts[0], EURO)
    devchain.reorg(2)
    assert rpc.receipt(waiting.hash) is None and rpc.transaction(waiting.hash) is not None
    devchain.mine()
    devchain.automine()
    devchain.wait_receipts([waiting])


# -- sending


def test_sending_twice_is_no_error_and_a_used_nonce_is_named(devchain: DevChain, rpc: Rpc) -> None:
    key = Signer(devchain.deployment.relayer_key)
    fees = rpc.fees()

    def signed(nonce: int, fee: int) -> bytes:
        order = TransactionOrder(devchain.chain_id, nonce, key.address, b"", 21_000, fee, min(fee, fees.tip_wei))
        return key.sign_transaction(order).raw

    devchain.stop_mining()
    nonce = rpc.nonce(key.address)
    first = rpc.send_raw(signed(nonce, fees.cap_wei()))
    assert rpc.send_raw(signed(nonce, fees.cap_wei())) == first
    with pytest.raises(Underpriced):
        rpc.send_raw(signed(nonce, fees.cap_wei() - 1))
    assert rpc.nonce(key.address) == nonce + 1 and rpc.nonce(key.address, "latest") == nonce

    replacement = rpc.send_raw(signed(nonce, fees.cap_wei() * 2))
    devchain.mine()
    devchain.automine()

    assert rpc.receipt(first) is None and rpc.receipt(replacement) is not None
    with pytest.raises(NonceTooLow):
        rpc.send_raw(signed(nonce, fees.cap_wei() * 3))
    assert rpc.native_balance(key.address) > 0
