"""A development chain of a test's own: the real contracts on an anvil, thrown away afterwards.

Use: `from tests.chain_fixtures import devchain` (one a module, deployed), or `with running_devchain(twin=True) as chain`.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from connectors.chain.accounts.reading import AccountContracts, AccountReader
from connectors.chain.node.rpc import Rpc
from connectors.chain.settings import ChainSettings
from infra import devchain as packages
from infra.devchain.anvil import anvil_command
from infra.devchain.chain import DevChain
from infra.devchain.values import AccountInfo, Deployment
from infra.stack.npm import npm_ci
from infra.stack.ports import free_port
from infra.stack.process import Command, Spawner


@contextmanager
def running_devchain(*, twin: bool = False, deployment: Deployment | None = None, **anvil: Any) -> Iterator[DevChain]:
    """An anvil with everything deployed, now or by an earlier run. `anvil`: further arguments of `anvil_command`."""
    node_modules = npm_ci(Path(packages.__file__).parent)
    with tempfile.TemporaryDirectory(prefix="payriver-chain-") as folder:
        place, port = Path(folder), free_port(set())
        argv = anvil_command(node_modules, port=port, cache=place / "states", **anvil)
        process = Spawner().spawn(Command(argv=tuple(argv), log=place / "anvil.log", cwd=place))
        try:
            chain = DevChain(f"http://127.0.0.1:{port}", node_modules, deployment)
            _wait_until_it_answers(chain)
            if deployment is None:
                chain.deploy(twin=twin)
            yield chain
        finally:
            process.terminate()
            process.wait(20)


def _wait_until_it_answers(chain: DevChain) -> None:
    deadline = time.monotonic() + 20
    while not chain.w3.is_connected():
        assert time.monotonic() < deadline, f"anvil does not answer at {chain.rpc_url}"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def devchain() -> Iterator[DevChain]:
    """One chain for the tests of a module; each makes accounts of its own."""
    with running_devchain() as chain:
        yield chain


def silent_chain(**more: Any) -> dict[str, Any]:
    """The chain file of a chain whose node never answers; `more`: what else it says, or says otherwise."""
    return {
        "chain_id": 100, "rpc_urls": ["http://127.0.0.1:1"], "finality": {"tag": "finalized"},
        "tokens": [{"address": "0x" + "11" * 20, "symbol": "EURe", "currency": "EUR", "decimals": 18}],
        "settlement_address": "0x" + "22" * 20, "spender_module": "0x" + "33" * 20,
    } | more  # fmt: skip


def settings_of(chain: DevChain, *, urls: list[str] | None = None) -> ChainSettings:
    """The chain file of a running development chain, as the product reads it."""
    return ChainSettings.model_validate(
        chain.deployment.chain_file(urls or [chain.rpc_url], finality={"tag": "finalized"})
    )


def reader_of(chain: DevChain) -> AccountReader:
    """The product's own reader of accounts, on this chain."""
    return AccountReader(Rpc([chain.rpc_url]), settings_of(chain))


def contracts_of(chain: DevChain, account: AccountInfo, *, bouncer: bool = True) -> AccountContracts:
    """An account's contracts as the product is told of them."""
    told = account.bouncer if bouncer else None
    return AccountContracts(account.safe, account.roles, account.delay, chain.deployment.token, told)
