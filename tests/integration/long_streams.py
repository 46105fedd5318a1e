"""Streams with a long life, and the ways to ask for their state: by a handler that may use snapshots, and by all events alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from infra.database import transaction
from schemas.definition import Raw
from schemas.messages.account_events import TransferFinalized, TransferSeen
from schemas.upcasters import message_of, message_of_text
from streams.event_store import look, recorded, snapshots, store
from streams.event_store.recorded import NewEvent, new_event
from streams.event_store.states import state_at
from tests.integration.write_side import WriteSide, cause


def transfers(account_id: UUID, first: int, count: int, open_every: int) -> list[Any]:
    """Spends that are seen and settle, one after the other; each `open_every`-th stays on its way."""
    told: list[Any] = []
    for number in range(first, first + count):
        where: dict[str, Any] = {
            "account_id": account_id,
            "transfer_id": UUID(int=number),
            "direction": "out",
            "kind": "spend",
            "counterparty": "0xs",
            "amount_raw": Raw(number),
            "currency": "EUR",
            "decimals": 18,
            "tx_hash": f"0x{number}",
            "block_number": number,
            "block_hash": f"0xb{number}",
            "block_time": 1_700_000_000 + number,
        }
        seen = {each: told for each, told in where.items() if each in TransferSeen.__dataclass_fields__}
        final = {each: told for each, told in where.items() if each in TransferFinalized.__dataclass_fields__}
        told += [TransferSeen(**seen, log_index=0, again=False, hold_used_raw=Raw(0))]
        told += [TransferFinalized(**final)] if number % open_every else []
    return told[:count]


def live(side: WriteSide, account_id: UUID, count: int, first: int = 2, open_every: int = 3) -> None:
    """So many events more."""
    told = transfers(account_id, first, count, open_every)
    for start in range(0, len(told), 500):
        events: list[NewEvent] = [
            new_event(uuid4(), first + start + ordinal, each, cause(account_id).metadata("SeeTransfer"))
            for ordinal, each in enumerate(told[start : start + 500])
        ]
        with transaction(side.door("commands")) as cursor:
            store.append(cursor, side.codec, events)


def keep(side: WriteSide, account_id: UUID, version: int) -> None:
    """A snapshot of this version."""
    with transaction(side.door("commands")) as cursor:
        at = state_at(cursor, account_id, version, use_snapshots=False)
        assert at is not None
        assert snapshots.save(cursor, [at.kept]) == {account_id}


def folded(side: WriteSide, account_id: UUID) -> tuple[Any, int]:
    """The state that a fresh handler loads, and how many events it folded for it."""
    count = 0

    def counted(read: Callable[..., Any]) -> Callable[..., Any]:
        def reading(*event: Any) -> Any:
            nonlocal count
            count += 1
            return read(*event)

        return reading

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(look, "message_of_text", counted(message_of_text))
        patched.setattr(recorded, "message_of", counted(message_of))
        return side.state(account_id), count


def truth(side: WriteSide, account_id: UUID) -> Any:
    """The fold of all events, whatever was kept."""
    with transaction(side.door("commands")) as cursor:
        at = state_at(cursor, account_id, use_snapshots=False)
    assert at is not None
    return at.state


def kept(side: WriteSide) -> list[tuple[Any, ...]]:
    return side.rows("SELECT stream_id, version FROM snapshots ORDER BY stream_id, version")
