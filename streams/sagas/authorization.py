"""The authorization saga, as a table: state x input -> next state, orders, timeouts. Pure; the engine stores and sends.

Read it as a story: the happy path, then what is declined, then what must be paid back, then reorgs, then time.
The docs' diagram is drawn from this table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from schemas.definition import Message
from schemas.messages import payment_events as events
from streams.sagas.saga import Reaction, Saga
from streams.sagas.steps import (
    authorize,
    decline,
    expire,
    hold,
    plan_refund,
    screen,
    submit_refund,
    submit_spend,
)

Guard = Callable[[Saga, Any], bool]
Step = Callable[[Saga, Any], Message]

DEADLINE, PATIENCE, EXPIRY = "deadline", "patience", "expiry"
ENDS = frozenset({"settled", "captured", "declined", "verified", "refunded", "reversed"})
"""States in which nothing is owed. A late event may still open a new chapter: a reversal after settlement, say."""


@dataclass(frozen=True)
class Row:
    """In one of `states`, on `input` (an event's type or a timeout's name), if `when` holds: go to `to`."""

    states: tuple[str, ...]
    input: str
    to: str
    orders: tuple[Step, ...] = ()
    when: Guard | None = None
    start: tuple[str, ...] = ()
    cancel: tuple[str, ...] = ()
    park: str | None = None


def _network(saga: Saga, event: Any) -> bool:
    return saga.origin == "network"


def _chain(saga: Saga, event: Any) -> bool:
    return saga.origin == "chain"


def _passed(saga: Saga, event: Any) -> bool:
    return bool(event.verdict == "passed")


def _refused(saga: Saga, event: Any) -> bool:
    return bool(event.verdict == "refused")


def _spend(saga: Saga, event: Any) -> bool:
    return bool(event.kind == "spend")


def _refund(saga: Saga, event: Any) -> bool:
    return bool(event.kind == "refund")


def _spend_is(*states: str) -> Guard:
    def holds(saga: Saga, event: Any) -> bool:
        return saga.spend in states

    holds.__name__ = f"spend {' or '.join(states)}"
    return holds


def _network_spend(saga: Saga, event: Any) -> bool:
    return saga.origin == "network" and bool(event.kind == "spend")


def _chain_spend(saga: Saga, event: Any) -> bool:
    return saga.origin == "chain" and bool(event.kind == "spend")


def _standing_spend(saga: Saga, event: Any) -> bool:
    return bool(event.kind == "spend") and saga.outcome != "declined"


def _declined_spend(saga: Saga, event: Any) -> bool:
    return bool(event.kind == "spend") and saga.outcome == "declined"


OPEN = ("holding", "screening", "authorizing")
UNDERWAY = ("spending", "settling")

ROWS = (
    # The happy path: the network asks, we hold, screen, approve; the spend goes out, is seen, is final.
    Row(("new",), "PaymentRequested", "holding", (hold,), _network, start=(DEADLINE,)),
    Row(("holding",), "PaymentHeld", "screening", (screen,)),
    Row(("screening",), "PaymentScreened", "authorizing", (authorize,), _passed),
    Row(("authorizing",), "PaymentAuthorized", "spending", when=_network, start=(EXPIRY,), cancel=(DEADLINE,)),
    Row(("spending",), "LegPlanned", "spending", (submit_spend,), _spend, start=(PATIENCE,)),
    Row(("spending", "parked"), "LegSeen", "settling", when=_network_spend),
    Row(("spending", "settling", "parked"), "LegSettled", "settled", when=_spend, cancel=(PATIENCE,)),
    Row(("settled",), "PaymentCaptured", "captured", cancel=(EXPIRY,)),
    Row(("holding",), "PaymentVerified", "verified", cancel=(DEADLINE,)),
    # The chain tells us of a spend: screen it, book it, wait until it is final.
    Row(("new",), "PaymentRequested", "screening", (screen,), _chain),
    Row(("authorizing",), "PaymentAuthorized", "settled", when=_spend_is("settled")),
    Row(("authorizing",), "PaymentAuthorized", "settling", when=_spend_is("seen")),
    Row(("authorizing",), "PaymentAuthorized", "unseen", when=_spend_is("unseen"), start=(PATIENCE,)),
    # Declined.
    Row(("holding",), "HoldRefused", "declining", (decline,)),
    Row(("screening",), "PaymentScreened", "declining", (decline,), _refused),
    Row((*OPEN, "declining"), "PaymentDeclined", "declined", when=_network, cancel=(DEADLINE,)),
    Row(("declining",), "PaymentAuthorized", "spending", when=_network, start=(EXPIRY,), cancel=(DEADLINE,)),
    # Paid back: what moved and must not stand, once it is final.
    Row(("declining",), "PaymentDeclined", "refunding", (plan_refund,), _spend_is("settled")),
    Row(("declining",), "PaymentDeclined", "refund_due", when=_spend_is("seen")),
    Row(("declining",), "PaymentDeclined", "unseen", when=_spend_is("unseen"), start=(PATIENCE,)),
    Row((*UNDERWAY, "unseen"), "PaymentReversed", "refund_due"),
    Row((*UNDERWAY, "unseen"), "PaymentExpired", "refund_due"),
    Row(("settled",), "PaymentReversed", "refunding", (plan_refund,), cancel=(EXPIRY,)),
    Row(("settled",), "PaymentExpired", "refunding", (plan_refund,)),
    Row(("refund_due",), "LegPlanned", "refund_due", (submit_spend,), _spend, start=(PATIENCE,)),
    Row(("refund_due",), "LegSettled", "refunding", (plan_refund,), _spend, cancel=(PATIENCE,)),
    Row(("refund_due",), "LegEndedUnpaid", "reversed", when=_spend, cancel=(PATIENCE, EXPIRY)),
    Row(("refunding",), "LegPlanned", "refunding", (submit_refund,), _refund, start=(PATIENCE,)),
    Row(("refunding", "parked"), "LegSettled", "refunded", when=_refund, cancel=(PATIENCE, EXPIRY)),
    Row(("refunding",), "LegEndedUnpaid", "parked", when=_refund, park="refund_ended_unpaid"),
    # Reorgs: our own spend is sent again by the submitter; a foreign one may be mined again, or never.
    Row(("settling",), "LegUnseen", "spending", when=_network_spend, start=(PATIENCE,)),
    Row(("settling", "refund_due"), "LegUnseen", "unseen", when=_chain_spend, start=(PATIENCE,)),
    Row(("unseen",), "LegSeen", "settling", when=_standing_spend, cancel=(PATIENCE,)),
    Row(("unseen",), "LegSeen", "refund_due", when=_declined_spend, cancel=(PATIENCE,)),
    # Time, and what only a person can end.
    Row(OPEN, DEADLINE, "declining", (decline,)),
    Row((*UNDERWAY, "settled"), EXPIRY, "settled", (expire,), _spend_is("settled")),
    Row(UNDERWAY, EXPIRY, "spending", (expire,), _spend_is("planned", "submitted", "seen", "unseen")),
    Row(("spending", "settling", "refunding", "refund_due"), PATIENCE, "parked", park="not_final_in_time"),
    Row(("unseen",), PATIENCE, "parked", park="unseen_too_long"),
    Row((*UNDERWAY, "parked"), "LegEndedUnpaid", "parked", when=_spend, park="approved_but_unpaid"),
)

INPUTS = (*(cls.__name__ for cls in vars(events).values() if isinstance(cls, type) and hasattr(cls, "topic") and cls is not Message),
          DEADLINE, PATIENCE, EXPIRY)  # fmt: skip
STATES = tuple(dict.fromkeys(["new", *(state for row in ROWS for state in (*row.states, row.to))]))


def react(saga: Saga, name: str, event: Any) -> Reaction:
    """What follows from an input. An input without a row is noted and changes nothing: see `why_nothing`."""
    noted = note(saga, name, event)
    for row in ROWS:
        if row.input == name and saga.state in row.states and (row.when is None or row.when(noted, event)):
            orders = tuple(step(noted, event) for step in row.orders)
            reason = row.park or noted.reason
            moved = replace(noted, state=row.to, reason=reason)
            return Reaction(moved, orders, row.start, row.cancel, ended=row.to in ENDS)
    return Reaction(noted, (), (), (), ended=saga.state in ENDS)


def note(saga: Saga, name: str, event: Any) -> Saga:
    """What the saga remembers of an input, whatever its state."""
    return NOTES.get(name, _nothing)(saga, event)


def _nothing(saga: Saga, event: Any) -> Saga:
    return saga


def _requested(saga: Saga, event: events.PaymentRequested) -> Saga:
    return replace(saga, account_id=event.account_id, origin=event.origin, deadline=event.deadline)


def _reason(saga: Saga, event: Any) -> Saga:
    return replace(saga, reason=event.reason)


def _outcome(word: str) -> Callable[[Saga, Any], Saga]:
    def remember(saga: Saga, event: Any) -> Saga:
        return replace(saga, outcome=word)

    return remember


def _leg(word: str) -> Callable[[Saga, Any], Saga]:
    def remember(saga: Saga, event: Any) -> Saga:
        return replace(saga, spend=word) if event.kind == "spend" else replace(saga, refund=word)

    return remember


def _deadline(saga: Saga, event: Any) -> Saga:
    return replace(saga, reason="deadline")


NOTES: Mapping[str, Callable[[Saga, Any], Saga]] = {
    "PaymentRequested": _requested,
    "HoldRefused": _reason,
    "PaymentScreened": _reason,
    "PaymentAuthorized": _outcome("authorized"),
    "PaymentDeclined": _outcome("declined"),
    "PaymentReversed": _outcome("reversed"),
    "PaymentExpired": _outcome("expired"),
    "LegPlanned": _leg("planned"),
    "LegSubmitted": _leg("submitted"),
    "LegSeen": _leg("seen"),
    "LegUnseen": _leg("unseen"),
    "LegSettled": _leg("settled"),
    "LegEndedUnpaid": _leg("ended_unpaid"),
    DEADLINE: _deadline,
}
