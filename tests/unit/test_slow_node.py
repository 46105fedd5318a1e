"""A node that takes its time: no more is sent in one transaction than W would let rest, and what went out is told as gone."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import pytest

from connectors.chain.sending import submitter as sending
from connectors.chain.sending.submitter import Submitter
from connectors.chain.sending.transactions import Sent
from schemas.definition import Raw
from tests.slow_node import SlowNode

NOTHING: Any = None


def signed(nonce: int) -> Sent:
    ids = uuid4(), uuid4(), uuid4()
    return Sent(
        f"0x{nonce}", *ids, "spend", Raw(1), "0xs", nonce, bytes([nonce]), max_fee_wei=1, state="signed", correlation_id=None,
        traceparent=None, old=False,
    )  # fmt: skip


def test_what_a_slow_node_has_taken_is_told_before_w_ends_the_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "SENDING_SECONDS", 0.1)
    node: Any = SlowNode(0.04)
    submitter = Submitter(NOTHING, node, NOTHING, NOTHING, NOTHING)
    waiting, told = [signed(nonce) for nonce in range(10)], list[Sent]()
    while waiting:
        began = time.monotonic()
        gone, replaced = submitter._send_all(NOTHING, waiting)
        assert gone and not replaced
        assert time.monotonic() - began < 0.3, "far less than all of them take"
        told, waiting = [*told, *gone], waiting[len(gone) :]
    assert node.got == [each.signed for each in told] == [bytes([nonce]) for nonce in range(10)], "each once, in order"
