"""What a contract holds, it holds each time: nobody is asked only for the sake of trying."""

from __future__ import annotations

import pytest

from connectors.chain.node import pool


@pytest.fixture(autouse=True)
def nobody_explores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that wants another than the best node to be tried says so."""
    monkeypatch.setattr(pool, "EXPLORE", 0.0)
