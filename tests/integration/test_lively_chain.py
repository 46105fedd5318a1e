"""The chain of a river of one's own, on a real node: it has blocks though nobody pays, so that its view never grows stale."""

from __future__ import annotations

import time

import pytest

from api.roots import development_chain as chain_setup
from infra.stack.supervisor import Stack


def test_blocks_come_though_nobody_pays(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_setup, "prepare", lambda _: None)  # the contracts are none of this
    monkeypatch.setattr(chain_setup, "BLOCK_SECONDS", 1)
    chain = chain_setup.devchain(stack)
    before, until = chain.head, time.monotonic() + 15
    chain_setup.prepare_lively(stack)
    try:
        while chain.head < before + 2:
            assert time.monotonic() < until, "two blocks, in fifteen seconds"
            time.sleep(0.1)
    finally:
        chain.automine()
