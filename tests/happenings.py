"""What a small payment world consists of: its streams, what was appended to them in order, and its clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from infra.errors import NotAnswered
from schemas.definition import Message, Raw
from schemas.messages import account_commands
from streams.delivered import Delivered
from streams.domain import ids
from streams.domain.chain import facts
from streams.domain.circumstances import Circumstances, Policy
from streams.domain.decisions import DECISIONS
from streams.domain.states import account, payment

CENT = 10**16
BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVOLVE: dict[str, Callable[[Any, Message], Any]] = {
    "payments.events": payment.evolve,
    "accounts.events": account.evolve,
}


@dataclass
class Happenings:
    """One customer, one settlement wallet, the payments between them, and everything that was appended, in order."""

    name: str = "world"
    events: list[Delivered] = field(default_factory=list)
    states: dict[UUID, Any] = field(default_factory=dict)
    versions: dict[UUID, int] = field(default_factory=dict)
    payments: list[UUID] = field(default_factory=list)
    transfers: dict[tuple[UUID, UUID], tuple[facts.Transfer, str]] = field(default_factory=dict)
    now: datetime = BEGAN

    def __post_init__(self) -> None:
        self.customer = ids.account_id(100, f"0x{self.name}-safe", "0xtoken")
        self.settlement = ids.account_id(100, f"0x{self.name}-settlement", "0xtoken")
        self._register(self.customer, "customer", 20_000 * CENT)
        self._register(self.settlement, "settlement", 50_000 * CENT)

    def of_stream(self, stream_id: UUID) -> list[Delivered]:
        """One stream's events, in order."""
        return [event for event in self.events if event.stream_id == stream_id]

    def do(self, order: Any) -> None:
        """Decide an order or a fact, as the command handler does, and append what follows."""
        decision = DECISIONS[type(order)]
        streams = [self.states.get(each) if each else None for each in decision.streams(order)]
        now = Circumstances(self.now, int(self.now.timestamp()), 0, Policy())
        with suppress(NotAnswered):  # it may be sent again
            for message in decision.decide(order, *streams, now):
                self._append(message)

    def _append(self, message: Message) -> None:
        self.now += timedelta(seconds=1)
        stream_id = message.key
        version = self.versions[stream_id] = self.versions.get(stream_id, 0) + 1
        self.states[stream_id] = EVOLVE[message.topic](self.states.get(stream_id), message)
        event_id = ids.derived(self.name, stream_id, version)
        headers = {"ce_id": str(event_id), "stream_version": str(version)}
        place = (message.topic, 0, len(self.events))
        self.events.append(
            Delivered(event_id, stream_id, version, len(self.events) + 1, message, self.now, headers, place)
        )

    def _register(self, account_id: UUID, kind: str, balance: int) -> None:
        block = self._block()
        self.do(
            account_commands.RegisterAccount(
                account_id=account_id,
                kind=kind,
                chain_id=100,
                wallet=f"0x{self.name}-{kind}",
                token="0xToken",
                currency="EUR",
                decimals=18,
                settlement_address="0xSettlement",
                card_token=f"card-{self.name}" if kind == "customer" else None,
                opening_balance_raw=Raw(balance),
                allowance_balance_raw=Raw(15_000 * CENT),
                allowance_max_refill_raw=Raw(15_000 * CENT),
                allowance_refill_raw=Raw(15_000 * CENT),
                allowance_period_seconds=3600,
                allowance_timestamp=block.time,
                queue_empty=True,
                integrity="Ok",
                block_number=block.number,
                block_hash=block.hash,
                block_time=block.time,
            )
        )

    def _transfer_id(self) -> UUID:
        return ids.derived("transfer", self.name, len(self.events))

    def _block(self) -> facts.Block:
        return facts.Block(len(self.events) + 1, f"0xblock{len(self.events)}", int(self.now.timestamp()))

    @staticmethod
    def _pick(these: Sequence[Any], which: int) -> Any:
        return these[which % len(these)] if these else None
