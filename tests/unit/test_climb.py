"""A transfer's climb, folded from events: what it has reached, what pushed it back, and that old ones make room."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from api.cli.chain_climb import Climbs, climb
from streams.event_store.recorded import RecordedEvent

TOLD = {
    "account_id": "a", "transfer_id": "t", "direction": "out", "kind": "spend", "amount_raw": "5", "currency": "EUR", "decimals": 2,
    "tx_hash": "0xtx", "block_number": 10,
}  # fmt: skip


def event(kind: str, **changes: Any) -> RecordedEvent:
    payload = TOLD | changes
    if kind == "TransferEnded":  # it stands in no block
        payload = {name: value for name, value in payload.items() if name not in ("block_number", "tx_hash")}
    return RecordedEvent(
        1, str(uuid4()), uuid4(), 1, "account", kind, 1, payload, "{}", "2026-03-01 00:00:00+00", "\\x00"
    )


def said(*events: RecordedEvent, safe: int = 0) -> str:
    climbs = Climbs(3)
    climbs.take(events)
    return climb(next(iter(climbs.rows.values())), safe).plain


def test_a_block_is_safe_when_the_node_says_so_and_a_transfer_final_when_the_books_do() -> None:
    assert said(event("TransferSeen"), safe=9) == "● seen ━━ ○ safe ━━ ○ finalized"
    assert said(event("TransferSeen"), safe=10) == "● seen ━━ ● safe ━━ ○ finalized"
    assert said(event("TransferSeen"), event("TransferFinalized")) == "● seen ━━ ● safe ━━ ● finalized"


def test_a_reorg_pushes_it_back_and_it_may_come_again() -> None:
    fallen = (event("TransferSeen"), event("TransferUnseen"))
    assert said(*fallen, safe=10) == "pushed back by a reorg: on no block now"
    again = said(*fallen, event("TransferSeen", block_number=12), safe=10)
    assert again == "● seen ━━ ○ safe ━━ ○ finalized  back after 1 reorg"
    assert said(*fallen, event("TransferEnded")) == "given back: it can never be mined any more"


def test_the_longest_unmoved_makes_room() -> None:
    climbs = Climbs(2)
    climbs.take([event("TransferSeen", transfer_id=each) for each in ("1", "2", "3", "2")])
    assert [transfer for _, transfer in climbs.rows] == ["2", "3"]
