"""A payment's streams and its saga together, in memory: what is said is decided and heard at once, what moves waits for the chain."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from schemas.definition import Message
from schemas.messages import chain_commands
from streams.domain import ids
from streams.domain.chain import facts
from streams.sagas.authorization import ENDS, PATIENCE, react
from streams.sagas.saga import Saga
from tests.given import CENT, CUSTOMER, PAYMENT, Streams, block, opened


@dataclass
class Story:
    """Streams and saga together: the saga hears what is appended, what it orders of payments is decided, its legs wait for the chain."""

    streams: Streams = field(default_factory=opened)
    saga: Saga = field(default_factory=lambda: Saga(PAYMENT))
    sent: dict[Any, Message] = field(default_factory=dict)
    timeouts: set[str] = field(default_factory=set)
    height: int = 20

    def say(self, *orders: Any) -> Story:
        for order in orders:
            waiting: deque[Any] = deque([order])
            while waiting:
                self._decide(waiting.popleft(), waiting)
        return self

    def heard(self, streams: Streams) -> Story:
        """The saga hears at last what happened meanwhile."""
        self.streams = streams
        for event in [each for each in streams.log if each.key == PAYMENT]:
            self._hear(event, deque())
        return self

    def _decide(self, order: Any, waiting: deque[Any]) -> None:
        if isinstance(order, chain_commands.SubmitSpend | chain_commands.SubmitRefund):
            return
        for event in self.streams.when(order):
            if event.key == PAYMENT:
                self._hear(event, waiting)

    def _hear(self, event: Message, waiting: deque[Any]) -> None:
        reaction = react(self.saga, type(event).__name__, event)
        self.saga = reaction.saga
        self.timeouts = (self.timeouts - set(reaction.cancel)) | set(reaction.start)
        waiting.extend(reaction.orders)
        self.sent |= {each.leg_id: each for each in reaction.orders if hasattr(each, "leg_id")}

    def the_chain_moves(self) -> Story:
        """Every leg that is on its way is mined and becomes final, until no more goes out."""
        while moving := [leg for leg in self.streams.payment.legs.values() if leg.state in ("planned", "submitted")]:
            for leg in moving:
                assert leg.leg_id in self.sent, f"{leg} was planned and never sent"
                moved = self.transfer(leg)
                self.say(facts.SeeTransfer(moved), facts.FinalizeTransfer(moved))
        return self

    def transfer(self, leg: Any) -> facts.Transfer:
        self.height += 1
        way, tx_hash = ("out" if leg.kind == "spend" else "in"), f"0x{leg.leg_id.hex}"
        return facts.Transfer(
            CUSTOMER, ids.leg_transfer_id(100, leg.leg_id), way, leg.kind, "0xSettlement", leg.amount_raw, tx_hash, 1,
            block(self.height), PAYMENT, leg.leg_id, leg.kind,
        )  # fmt: skip

    @property
    def legs(self) -> list[tuple[str, int]]:
        """(kind, cents) of each leg, in order."""
        return [(leg.kind, leg.amount_raw // CENT) for leg in self.streams.payment.legs.values()]

    @property
    def gone_cents(self) -> int:
        """What the customer has paid, by the chain."""
        return (10_000 * CENT - self.streams.customer.final_raw) // CENT

    def must_stand(self, card: str, saga: str, cents: int) -> None:
        payment = self.streams.payment
        assert (payment.card, self.saga.state, self.gone_cents) == (card, saga, cents)
        assert self.gone_cents * CENT == payment.due_raw or payment.written_off_raw
        assert not self.streams.customer.holds and not payment.held_raw
        assert (self.saga.due_raw, self.saga.net_raw) == (payment.due_raw, cents * CENT)
        assert saga in ENDS and PATIENCE not in self.timeouts
