"""Given events, when an order comes, then these events: one payment, one account, decided by the product's own table.

Nothing here decides; what a test gives is folded, and what is decided is folded on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from schemas.definition import Message, Raw
from schemas.messages import account_commands, payment_commands
from streams.domain import ids
from streams.domain.chain import facts
from streams.domain.circumstances import Circumstances, Policy
from streams.domain.decisions import DECISIONS
from streams.domain.states import account, payment

M = TypeVar("M", bound=Message)

CENT = 10**16
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOON_UNIX = int(NOON.timestamp())
CUSTOMER = ids.account_id(100, "0xsafe", "0xtoken")
SETTLEMENT = ids.account_id(100, "0xsettlement", "0xtoken")
CARD = "card-anna"
PAYMENT = ids.network_payment_id("coffee-1")
SPEND, REFUND = ids.leg_id(PAYMENT, "spend"), ids.leg_id(PAYMENT, "refund")


def registration(**changes: Any) -> account_commands.RegisterAccount:
    """A customer with 100 euros, of which the contract lets 80 go a day."""
    told: dict[str, Any] = {
        "account_id": CUSTOMER,
        "kind": "customer",
        "chain_id": 100,
        "wallet": "0xSafe",
        "token": "0xToken",
        "currency": "EUR",
        "decimals": 18,
        "settlement_address": "0xSettlement",
        "spender_module": "0xSpender",
        "roles_module": "0xRoles",
        "delay_module": "0xDelay",
        "card_token": CARD,
        "opening_balance_raw": Raw(10_000 * CENT),
        "allowance_balance_raw": Raw(8_000 * CENT),
        "allowance_max_refill_raw": Raw(8_000 * CENT),
        "allowance_refill_raw": Raw(8_000 * CENT),
        "allowance_period_seconds": 86_400,
        "allowance_timestamp": NOON_UNIX,
        "queue_empty": True,
        "integrity": "Ok",
        "block_number": 10,
        "block_hash": "0xblock10",
        "block_time": NOON_UNIX,
    }
    return account_commands.RegisterAccount(**told | changes)


def request(cents: int = 1_000, **changes: Any) -> payment_commands.RequestPayment:
    """The network asks for ten euros."""
    told: dict[str, Any] = {
        "payment_id": PAYMENT,
        "account_id": CUSTOMER,
        "card_token": CARD,
        "amount_minor": cents,
        "currency": "EUR",
        "deadline": NOON + timedelta(seconds=2),
    }
    return payment_commands.RequestPayment(**told | changes)


def block(number: int, fork: str = "") -> facts.Block:
    """A block, five seconds after the one before."""
    return facts.Block(number, f"0xblock{number}{fork}", NOON_UNIX + 5 * (number - 10))


def transfer(cents: int = 1_000, number: int = 11, **changes: Any) -> facts.Transfer:
    """A spend of the customer's as its account sees it; for a leg of PAYMENT unless told otherwise."""
    told: dict[str, Any] = {
        "account_id": CUSTOMER,
        "transfer_id": ids.transfer_id(100, "0xspend", "0xtoken", 0),
        "direction": "out",
        "kind": "spend",
        "counterparty": "0xSettlement",
        "amount_raw": cents * CENT,
        "tx_hash": "0xspend",
        "log_index": 1,
        "block": block(number),
        "payment_id": PAYMENT,
        "leg_id": SPEND,
        "leg_kind": "spend",
    }
    return facts.Transfer(**told | changes)


def refund(cents: int = 1_000, number: int = 20, **changes: Any) -> facts.Transfer:
    """The settlement wallet's payment back, as the customer's account sees it."""
    told: dict[str, Any] = {
        "transfer_id": ids.transfer_id(100, "0xrefund", "0xtoken", 0),
        "direction": "in",
        "kind": "refund",
        "tx_hash": "0xrefund",
        "leg_id": REFUND,
        "leg_kind": "refund",
    }
    return transfer(cents, number, **told | changes)


def deposit(cents: int = 1_000, number: int = 20, **changes: Any) -> facts.Transfer:
    """Money that comes from outside, and belongs to no payment."""
    told: dict[str, Any] = {
        "transfer_id": ids.transfer_id(100, "0xdeposit", "0xtoken", 0),
        "direction": "in",
        "kind": "deposit",
        "tx_hash": "0xdeposit",
        "payment_id": None,
        "leg_id": None,
        "leg_kind": None,
    }
    return transfer(cents, number, **told | changes)


@dataclass
class Streams:
    """Streams in memory: what was appended, and its fold. Orders are decided as the command handler decides them."""

    now: datetime = NOON
    chain_time: int = NOON_UNIX
    chain_age_seconds: int = 0
    policy: Policy = field(default_factory=lambda: Policy(blocked_mccs=frozenset({"7995"})))
    states: dict[UUID, Any] = field(default_factory=dict)
    log: list[Message] = field(default_factory=list)

    def given(self, *orders: Any) -> Streams:
        """Everything that these orders and facts lead to has happened."""
        for order in orders:
            self.when(order)
        return self

    def when(self, order: Any) -> list[Message]:
        """Decide, append, and give what was appended."""
        decision = DECISIONS[type(order)]
        states = [self.states.get(each) if each else None for each in decision.streams(order)]
        circumstances = Circumstances(self.now, self.chain_time, self.chain_age_seconds, self.policy)
        events = decision.decide(order, *states, circumstances)
        for event in events:
            evolve = payment.evolve if event.topic.startswith("payments") else account.evolve
            self.states[event.key] = evolve(self.states.get(event.key), event)
        self.log += events
        return events

    @property
    def customer(self) -> account.Account:
        """The customer's account."""
        found: account.Account = self.states[CUSTOMER]
        return found

    @property
    def payment(self) -> payment.Payment:
        """PAYMENT."""
        found: payment.Payment = self.states[PAYMENT]
        return found

    def spendable_cents(self) -> int:
        """What the customer may spend now."""
        return self.customer.spendable_raw(self.chain_time) // CENT


def opened() -> Streams:
    """The customer is under watch."""
    return Streams().given(registration())


HOLD = payment_commands.HoldFunds(payment_id=PAYMENT, account_id=CUSTOMER)
SCREEN = payment_commands.ScreenPayment(payment_id=PAYMENT, account_id=CUSTOMER)
AUTHORIZE = payment_commands.AuthorizePayment(payment_id=PAYMENT, account_id=CUSTOMER)
DECLINE = payment_commands.DeclinePayment(payment_id=PAYMENT, account_id=CUSTOMER, reason="deadline")
REVERSE = payment_commands.ReversePayment(payment_id=PAYMENT, account_id=CUSTOMER, reversal_id="r1")
EXPIRE = payment_commands.ExpirePayment(payment_id=PAYMENT)
PLAN_REFUND = payment_commands.PlanRefund(payment_id=PAYMENT, account_id=CUSTOMER, reason="declined")
GIVE_UP = payment_commands.GiveUpSpend(payment_id=PAYMENT, reason="patience")
REFUND_AGAIN = payment_commands.RefundAgain(payment_id=PAYMENT, reason="the settlement key has gas again")
CLOSE_SPEND = payment_commands.CloseSpend(
    payment_id=PAYMENT, account_id=CUSTOMER, because="the holder sent another in its place", closed_by="ada"
)
APPROVED = (registration(), request(), HOLD, SCREEN, AUTHORIZE)


def approved(cents: int = 1_000) -> Streams:
    """Ten euros are approved: held, and the spend planned."""
    return Streams().given(registration(), request(cents), HOLD, SCREEN, AUTHORIZE)


def end_refund(cents: int = 1_000) -> payment_commands.EndLegUnpaid:
    """The refund can never happen any more."""
    return payment_commands.EndLegUnpaid(
        payment_id=PAYMENT, account_id=CUSTOMER, leg_id=REFUND, amount_raw=Raw(cents * CENT), reason="nonce_used"
    )


def invalidated(number: int = 30) -> facts.FinalizeInvalidation:
    """The contract will refuse the spend for ever, finally."""
    transfer_id = transfer().transfer_id
    return facts.FinalizeInvalidation(PAYMENT, CUSTOMER, SPEND, transfer_id, "0xinvalidate", block(number))


def end_leg(leg_id: UUID, cents: int) -> Any:
    """A leg of PAYMENT can never happen any more: a further spend is invalidated, a refund's nonce is used."""
    if leg_id == REFUND:
        return end_refund(cents)
    return facts.FinalizeInvalidation(
        PAYMENT, CUSTOMER, leg_id, ids.leg_transfer_id(100, leg_id), "0xinvalidate", block(30)
    )


def seen(moved: facts.Transfer, again: bool = False) -> facts.SeeTransfer:
    """It stands in a block."""
    return facts.SeeTransfer(moved, again)


def elsewhere(moved: facts.Transfer, number: int) -> facts.Transfer:
    """The same transfer in a block of another fork."""
    return replace(moved, block=block(number, "b"))


def only(kind: type[M], events: Sequence[Message]) -> M:
    """The one event that there is, which is of this type."""
    (event,) = events
    assert isinstance(event, kind), event
    return event


def names(events: list[Message]) -> list[str]:
    """Their types, in order."""
    return [type(event).__name__ for event in events]
