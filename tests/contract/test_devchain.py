"""The development chain itself: kept over a restart, mining by the clock, and the mistakes it refuses."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from connectors.chain.node.rpc import Rpc
from infra.devchain.anvil import anvil_command, anvil_program
from infra.devchain.chain import DevChain
from infra.devchain.node import ChainScriptError
from infra.devchain.scripting import ScriptFailed
from infra.devchain.values import AccountInfo, Deployment
from infra.errors import Misconfigured
from tests.chain_fixtures import running_devchain

EURO = 10**18


def test_a_chain_that_was_ended_goes_on_where_it_stood(tmp_path: Path) -> None:
    with running_devchain(state=tmp_path / "state.json") as chain:
        (account,) = chain.create_accounts(1)
        chain.wait_receipts([chain.mint(account.safe, 10 * EURO)])
        chain.advance_time(5_000)
        chain.mine(10)
        chain.deployment.save(tmp_path / "deployment.json")
        before = Rpc([chain.rpc_url]).block("latest")
        logs = Rpc([chain.rpc_url]).logs(0, chain.head)
    assert (tmp_path / "deployment.json").stat().st_mode & 0o077 == 0

    deployment = Deployment.load(tmp_path / "deployment.json")
    account = AccountInfo.from_json(account.as_json())
    with running_devchain(state=tmp_path / "state.json", deployment=deployment) as chain:
        rpc = Rpc([chain.rpc_url])
        assert before is not None and rpc.block("latest") == before and rpc.logs(0, chain.head) == logs
        assert rpc.eth_call(deployment.token, chain.call("balanceOf(address)", account.safe), before.number - 8)
        chain.resume_clock()
        chain.wait_receipts([chain.spend(account, EURO)])
        now = rpc.block("latest")
        assert now is not None and now.time >= before.time and now.parent_hash == before.hash
        assert chain.balance(account.safe) == 9 * EURO
        with pytest.raises(ScriptFailed, match="deploy once"):
            chain.deploy()
        chain.stop_mining()
        with pytest.raises(ChainScriptError, match="older than the node's last start"):
            chain.reorg(5)


def test_blocks_come_by_the_clock_by_transaction_or_by_hand() -> None:
    with running_devchain() as chain:
        chain.interval_mining(1)
        began, deadline = chain.head, time.monotonic() + 20
        while chain.head < began + 2:
            assert time.monotonic() < deadline, "no block comes by the clock"
            time.sleep(0.1)

        chain.stop_mining()
        stopped = chain.head
        waiting = chain.transfer(chain.deployment.outsider_key, chain.deployment.relayer, 0)
        time.sleep(1.2)
        assert chain.head == stopped
        with pytest.raises(ChainScriptError, match="is mining stopped"):
            chain.wait_receipts([waiting], timeout_seconds=0.1)
        chain.mine()
        chain.wait_receipts([waiting])

        chain.automine()
        chain.wait_receipts([chain.transfer(chain.deployment.outsider_key, chain.deployment.relayer, 0)])
        assert chain.head == stopped + 2


def test_a_revert_is_not_taken_for_a_success() -> None:
    with running_devchain() as chain, pytest.raises(ChainScriptError, match="reverted: 0x"):
        chain.wait_receipts([chain.transfer(chain.deployment.outsider_key, chain.deployment.relayer, 1)])


def test_a_machine_without_a_build_of_the_node_is_told(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="no package of anvil"):
        anvil_program(tmp_path)
    with pytest.raises(Misconfigured):
        anvil_command(tmp_path, port=1, cache=tmp_path)


def test_keys_do_not_show(tmp_path: Path) -> None:
    chain = DevChain("http://127.0.0.1:1", tmp_path)
    account = AccountInfo("0x1", "0x2", "0x3", "0x4", "0x5", owner_key="0xdeadbeef")
    assert "deadbeef" not in repr(account) and "0x5" in repr(account)
    with pytest.raises(AssertionError, match="deploy"):
        _ = chain.deployment
