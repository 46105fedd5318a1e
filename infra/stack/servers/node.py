"""The EVM node of a development stack: anvil. Its chain is written to the home when it ends, and loaded when it starts again."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path

import httpx

from infra import devchain
from infra.devchain.anvil import anvil_command
from infra.stack.access import url
from infra.stack.npm import npm_ci
from infra.stack.process import Command
from infra.stack.servers.base import Site, listens

CHAIN_ID = 100
PACKAGES = Path(devchain.__file__).parent


class Node:
    """anvil with Gnosis Chain's id. Only SIGTERM has it write its state: a killed node loses its chain."""

    name = "node"

    def __init__(self, site: Site) -> None:
        self._site = site
        lock = json.loads((PACKAGES / "package-lock.json").read_text())["packages"]
        self.version = next(row["version"] for name, row in lock.items() if "/anvil-" in name)

    @cached_property
    def node_modules(self) -> Path:
        """The packages of the development chain, installed into the cache."""
        return npm_ci(PACKAGES, cache=self._site.programs.cache, offline=self._site.offline)

    def prepare(self) -> None:
        """A scratch folder: anvil fills it with a file a block and never empties it."""
        self._site.home.path("tmp", "node").mkdir(exist_ok=True)
        self._site.home.path("node").mkdir(exist_ok=True)

    def command(self) -> Command:
        """Quiet, first come first mined."""
        home = self._site.home
        argv = anvil_command(
            self.node_modules,
            port=home.port("node"),
            cache=home.path("tmp", "node"),
            chain_id=CHAIN_ID,
            slots_in_an_epoch=self._site.slots_in_an_epoch,
            state=home.path("node", "state.json"),
        )
        return Command(argv=tuple(argv), log=home.path("logs", "node.log"), cwd=home.path("work"), yields=False)

    def ready(self) -> bool:
        """Whether it answers with our chain id."""
        if not listens(self._site.home.port("node")):
            return False
        question = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}
        try:
            answer = httpx.post(url(self._site.home, "node"), json=question, timeout=2, trust_env=False)
        except httpx.HTTPError:
            return False
        return answer.status_code == 200 and answer.json().get("result") == hex(CHAIN_ID)

    def stopped(self) -> None:
        """Nothing is left to do: its state is written."""
