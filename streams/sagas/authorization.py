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
    give_up,
    hold,
    invalidate_spend,
    plan_refund,
    screen,
    submit_refund,
    submit_spend,
)

Guard = Callable[[Saga, Any], bool]
Step = Callable[[Saga, Any], Message]

DEADLINE, PATIENCE, EXPIRY = "deadline", "patience", "expiry"
ENDS = frozenset({"settled", "captured", "declined", "verified", "refunded", "unmoved"})
"""States in which nothing is owed. A late event may still open a new chapter: a reversal after settlement, say."""
PARKED = "parked"
"""A person must look. What the saga waited for may yet come: then it goes on from where it was parked, by the same rows."""
STAY = ""


@dataclass(frozen=True)
class Row:
    """In one of `states`, on `input` (an event's type or a timeout's name), if `when` holds: go to `to`, or stay."""

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


def _stands(saga: Saga, event: Any) -> bool:
    """What moved may stay where it is."""
    return saga.outcome in ("authorized", "captured")


def _owed_back(saga: Saga, event: Any) -> bool:
    """What moved must be paid back."""
    return saga.outcome in ("declined", "reversed", "expired")


def _captured(saga: Saga, event: Any) -> bool:
    return saga.outcome == "captured"


def _authorized(saga: Saga, event: Any) -> bool:
    return saga.outcome == "authorized"


def _never_mined(saga: Saga, event: Any) -> bool:
    """A spend of ours that stands in no block, and was not given up before."""
    return saga.origin == "network" and saga.spend in ("planned", "submitted", "unseen") and not saga.given_up


def _spend_is(*states: str) -> Guard:
    def holds(saga: Saga, event: Any) -> bool:
        return saga.spend in states

    holds.__name__ = f"spend {' or '.join(states)}"
    return holds


def _all(*guards: Guard) -> Guard:
    def holds(saga: Saga, event: Any) -> bool:
        return all(guard(saga, event) for guard in guards)

    holds.__name__ = " and ".join(guard.__name__.strip("_") for guard in guards)
    return holds


OPEN = ("holding", "screening", "authorizing")
UNDERWAY = ("spending", "settling")
MOVING = _spend_is("planned", "submitted", "seen", "unseen")

ROWS = (
    # The happy path: the network asks, we hold, screen, approve; the spend goes out, is seen, is final.
    Row(("new",), "PaymentRequested", "holding", (hold,), _network, start=(DEADLINE,)),
    Row(("holding",), "PaymentHeld", "screening", (screen,)),
    Row(("screening",), "PaymentScreened", "authorizing", (authorize,), _passed),
    Row(("authorizing", "declining"), "PaymentAuthorized", "spending", (), _network, (EXPIRY,), (DEADLINE,)),
    Row(("spending",), "LegPlanned", "spending", (submit_spend,), _spend, start=(PATIENCE,)),
    Row(("spending",), "LegSeen", "settling", when=_spend, start=(PATIENCE,)),
    Row(UNDERWAY, "LegSettled", "settled", (), _all(_spend, _authorized), cancel=(PATIENCE,)),
    Row(UNDERWAY, "LegSettled", "captured", (), _all(_spend, _captured), cancel=(PATIENCE,)),
    Row(("settled",), "PaymentCaptured", "captured", cancel=(EXPIRY,)),
    Row((*UNDERWAY, "unseen"), "PaymentCaptured", STAY, cancel=(EXPIRY,)),
    Row(("holding", "declining"), "PaymentVerified", "verified", cancel=(DEADLINE,)),
    # The chain tells us of a spend: screen it, book it, wait until it is final.
    Row(("new",), "PaymentRequested", "screening", (screen,), _chain, start=(PATIENCE,)),
    Row(("authorizing",), "PaymentAuthorized", "settled", (), _all(_chain, _spend_is("settled")), cancel=(PATIENCE,)),
    Row(("authorizing",), "PaymentAuthorized", "settling", (), _all(_chain, _spend_is("seen")), (PATIENCE,)),
    Row(("authorizing",), "PaymentAuthorized", "unseen", (), _all(_chain, _spend_is("unseen")), (PATIENCE,)),
    Row(("authorizing",), "PaymentAuthorized", "unmoved", (), _all(_chain, _spend_is("ended_unpaid")), (), (PATIENCE,)),
    # Declined.
    Row(("holding",), "HoldRefused", "declining", (decline,)),
    Row(("screening",), "PaymentScreened", "declining", (decline,), _refused),
    Row((*OPEN, "declining"), "PaymentDeclined", "declined", (), _network, cancel=(DEADLINE,)),
    # Paid back: what moved and must not stand, once it is final.
    Row((*OPEN, "declining"), "PaymentDeclined", "refunding", (plan_refund,), _spend_is("settled"), (PATIENCE,)),
    Row((*OPEN, "declining"), "PaymentDeclined", "refund_due", (), _spend_is("seen"), (PATIENCE,)),
    Row((*OPEN, "declining"), "PaymentDeclined", "unseen", (), _spend_is("unseen"), (PATIENCE,)),
    Row((*OPEN, "declining"), "PaymentDeclined", "unmoved", (), _spend_is("ended_unpaid"), (), (PATIENCE,)),
    Row(UNDERWAY, "PaymentReversed", "refund_due", (), MOVING, (PATIENCE,), (EXPIRY,)),
    Row(UNDERWAY, "PaymentExpired", "refund_due", (), MOVING, (PATIENCE,), (EXPIRY,)),
    Row(("settled",), "PaymentReversed", "refunding", (plan_refund,), None, (PATIENCE,), (EXPIRY,)),
    Row(("settled",), "PaymentExpired", "refunding", (plan_refund,), None, (PATIENCE,), (EXPIRY,)),
    Row(("refund_due",), "LegSettled", "refunding", (plan_refund,), _spend, (PATIENCE,)),
    Row(("refund_due",), "LegEndedUnpaid", "unmoved", (), _spend, cancel=(PATIENCE,)),
    Row(("settled", "captured"), "LegPlanned", "refunding", (submit_refund,), _refund, (PATIENCE,), (EXPIRY,)),
    Row(("refunding",), "LegPlanned", "refunding", (submit_refund,), _refund, (PATIENCE,)),
    Row(("refunding",), "LegSettled", "refunded", (), _refund, cancel=(PATIENCE,)),
    # Reorgs: our own spend is sent again by the submitter; a foreign one may be mined again, or never.
    Row(("settling",), "LegUnseen", "spending", (), _all(_network, _spend), (PATIENCE,)),
    Row(("settling", "refund_due"), "LegUnseen", "unseen", (), _all(_chain, _spend), (PATIENCE,)),
    Row(("unseen",), "LegSeen", "settling", (), _all(_spend, _stands), (PATIENCE,)),
    Row(("unseen",), "LegSeen", "refund_due", (), _all(_spend, _owed_back), (PATIENCE,)),
    Row(("unseen",), "LegEndedUnpaid", "unmoved", (), _spend, cancel=(PATIENCE,)),
    # Given up: what no block carries is taken back on chain. Mined before that, it has happened.
    Row(("spending", "refund_due"), "LegGivenUp", STAY, (invalidate_spend,), _spend, (PATIENCE,)),
    Row(("refund_due",), PATIENCE, STAY, (give_up,), _never_mined, (PATIENCE,)),
    # Time.
    Row(OPEN, DEADLINE, "declining", (decline,)),
    Row((*UNDERWAY, "settled"), EXPIRY, STAY, (expire,), _authorized),
    # What only a person can end; and what follows when it comes after all.
    Row(("screening", "authorizing", "declining"), PATIENCE, PARKED, park="not_decided_in_time"),
    Row((*UNDERWAY, "refunding", "refund_due"), PATIENCE, PARKED, park="not_final_in_time"),
    Row(("unseen",), PATIENCE, PARKED, park="unseen_too_long"),
    Row(("spending",), "LegEndedUnpaid", PARKED, (), _spend, cancel=(PATIENCE,), park="approved_but_unpaid"),
    Row(("spending",), "PaymentReversed", "unmoved", (), _spend_is("ended_unpaid"), cancel=(PATIENCE, EXPIRY)),
    Row(("spending",), "PaymentExpired", "unmoved", (), _spend_is("ended_unpaid"), cancel=(PATIENCE, EXPIRY)),
    Row(("refunding",), "LegEndedUnpaid", PARKED, (), _refund, cancel=(PATIENCE,), park="refund_ended_unpaid"),
)

INPUTS = (*(cls.__name__ for cls in vars(events).values() if isinstance(cls, type) and hasattr(cls, "topic") and cls is not Message),
          DEADLINE, PATIENCE, EXPIRY)  # fmt: skip
STATES = tuple(dict.fromkeys(["new", *(state for row in ROWS for state in (*row.states, row.to or row.states[0]))]))


def react(saga: Saga, name: str, event: Any) -> Reaction:
    """What follows from an input. One without a row is noted and changes nothing: `streams/sagas/silence.py` says why."""
    noted = note(saga, name, event)
    at = saga.parked_in or saga.state
    for row in ROWS:
        if row.input == name and at in row.states and (row.when is None or row.when(noted, event)):
            moved = _moved(saga, noted, at, row)
            orders = tuple(step(noted, event) for step in row.orders)
            return Reaction(moved, orders, row.start, row.cancel, ended=moved.state in ENDS)
    return Reaction(noted, (), (), (), ended=saga.state in ENDS)


def _moved(saga: Saga, noted: Saga, at: str, row: Row) -> Saga:
    """The saga after a row. One that is parked stays so until a row leads away from where it was parked."""
    if row.to == PARKED:
        return replace(noted, state=PARKED, parked_in=at, reason=row.park)
    if row.to in (STAY, at):
        return noted
    reason = None if saga.parked_in and noted.reason == saga.reason else noted.reason
    return replace(noted, state=row.to, parked_in=None, reason=reason)


def note(saga: Saga, name: str, event: Any) -> Saga:
    """What the saga remembers of an input, whatever its state."""
    return NOTES.get(name, _nothing)(saga, event)


def _nothing(saga: Saga, event: Any) -> Saga:
    return saga


def _requested(saga: Saga, event: events.PaymentRequested) -> Saga:
    return replace(saga, account_id=event.account_id, origin=event.origin, deadline=event.deadline)


def _reason(saga: Saga, event: Any) -> Saga:
    return replace(saga, reason=event.reason or saga.reason)


def _outcome(word: str) -> Callable[[Saga, Any], Saga]:
    def remember(saga: Saga, event: Any) -> Saga:
        return replace(saga, outcome=word)

    return remember


def _leg(word: str) -> Callable[[Saga, Any], Saga]:
    def remember(saga: Saga, event: Any) -> Saga:
        return replace(saga, spend=word) if event.kind == "spend" else replace(saga, refund=word)

    return remember


def _given_up(saga: Saga, event: Any) -> Saga:
    return replace(saga, given_up=True)


def _deadline(saga: Saga, event: Any) -> Saga:
    return replace(saga, reason="deadline")


NOTES: Mapping[str, Callable[[Saga, Any], Saga]] = {
    "PaymentRequested": _requested,
    "HoldRefused": _reason,
    "PaymentScreened": _reason,
    "PaymentAuthorized": _outcome("authorized"),
    "PaymentDeclined": _outcome("declined"),
    "PaymentCaptured": _outcome("captured"),
    "PaymentReversed": _outcome("reversed"),
    "PaymentExpired": _outcome("expired"),
    "LegPlanned": _leg("planned"),
    "LegSubmitted": _leg("submitted"),
    "LegGivenUp": _given_up,
    "LegSeen": _leg("seen"),
    "LegUnseen": _leg("unseen"),
    "LegSettled": _leg("settled"),
    "LegEndedUnpaid": _leg("ended_unpaid"),
    DEADLINE: _deadline,
}
