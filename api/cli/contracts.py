"""Puts the real contracts on an empty development node that somebody else started, and writes what our processes are told of it.

Run by docker-compose.yml: `python -m api.cli.contracts URL`, with PAYRIVER_CHAIN_FILE, PAYRIVER_KEYSTORE, its password and
PAYRIVER_ANCHOR_PASSWORD. A chain that has them is left as it is.
"""

from __future__ import annotations

import time
from pathlib import Path

import typer

from api.roots.development_chain import DEPLOYMENT, write_anchor_keys, write_chain_file, write_keys
from infra import devchain
from infra.devchain.chain import DevChain
from infra.devchain.values import Deployment
from infra.errors import Misconfigured, Unreachable
from infra.settings import MachineSettings, Settings
from infra.stack.npm import npm_ci

PATIENCE_SECONDS = 60


def contracts(url: str) -> None:
    """Deploy, once; then the chain file and the keystore."""
    settings = Settings()
    if settings.chain_file is None or settings.keystore is None:
        raise Misconfigured(
            "PAYRIVER_CHAIN_FILE and PAYRIVER_KEYSTORE say where the chain file and the keys are to be written"
        )
    chain = DevChain(url, npm_ci(Path(devchain.__file__).parent, cache=MachineSettings().cache))
    _wait_for(chain)
    path = settings.chain_file.with_name(DEPLOYMENT)
    if not (path.exists() and chain.w3.eth.get_code(Deployment.load(path).token)):
        deployment = chain.deploy()
        write_keys(settings.keystore, settings.keystore_password, deployment)
        write_anchor_keys(settings.keystore, settings.anchor_password, deployment)
        deployment.save(path)
    write_chain_file(settings.chain_file, chain.socket_url, Deployment.load(path))


def _wait_for(chain: DevChain) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not chain.w3.is_connected():
        if time.monotonic() > until:
            raise Unreachable(f"the node at {chain.rpc_url} does not answer")
        time.sleep(0.2)


if __name__ == "__main__":
    typer.run(contracts)
