"""The authorization saga, as a table: state x input -> next state, orders, timeouts. Pure; the engine stores and sends.

Read it as a story: the question and its answer; then, whatever happens to card leg or chain legs, where the payment stands by what is
due and what moves; then time. The docs' diagram is drawn from this table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from schemas.definition import MESSAGES, Message
from schemas.topics import PAYMENT_EVENTS
from streams.domain.values import replace
from streams.sagas import guards as when
from streams.sagas.notes import Note, given_up, note
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
"""States in which nothing is owed. A late event may still open a new chapter: a refund after the capture, say."""
PARKED = "parked"
"""A person must look. What the saga waited for may yet come: then it goes on from where it was parked, by the same rows."""
STAY = ""


@dataclass(frozen=True)
class Row:
    """In one of `states`, on one of `inputs` (an event's type, a timeout's name), if `when` holds: go to `to`, or stay.

    `remember`: what taking the row leaves behind, so that it is not taken for ever. `resumes`: a saga that is parked goes on by it, also
    where it was parked in the state that the row leads to.
    """

    states: tuple[str, ...]
    inputs: tuple[str, ...]
    to: str
    orders: tuple[Step, ...] = ()
    when: Guard | None = None
    start: tuple[str, ...] = ()
    cancel: tuple[str, ...] = ()
    park: str | None = None
    remember: Note | None = None
    resumes: bool = False


OPEN = ("holding", "screening", "authorizing")
UNANSWERED = (*OPEN, "declining")
WAITING = ("spending", "settling", "refund_due", "refunding", "unseen")
STANDING = (*WAITING, "settled", "captured", "declined", "verified", "refunded", "unmoved")
"""Once it is answered, a payment stands in one of these: which one follows from what is due and what moves, not from what came first."""
CARD = (
    "PaymentIncremented", "PaymentPartlyReversed", "PaymentReversed", "PaymentExpired", "PaymentCaptured", "CaptureReversed",
    "PaymentRefunded", "RefundReversed", "DisputeOpened", "DisputeWon", "DisputeLost", "ReceivableReduced",
)  # fmt: skip
LEGS = ("LegSeen", "LegUnseen", "LegSettled", "LegEndedUnpaid", "ReceivableOpened")
WAIT, END = (PATIENCE,), (PATIENCE,)


def _standing(states: tuple[str, ...], inputs: tuple[str, ...], on: Guard | None = None) -> tuple[Row, ...]:
    """Where a payment stands, by the first condition that holds."""

    def row(to: str, guard: Guard | None, **more: Any) -> Row:
        found = when.both(on, guard)
        return Row(states, inputs, to, when=found, **more)

    return (
        row("unseen", when.lost_sight, start=WAIT),
        row("refunding", when.refund_under_way, start=WAIT),
        row("refund_due", when.owed_back_while_a_spend_moves, start=WAIT),
        row("refunding", when.owed_back, orders=(plan_refund,), start=WAIT),
        row("spending", when.spend_not_seen, start=WAIT),
        row("settling", when.spend_seen, start=WAIT),
        row(PARKED, when.owed_by_the_holder, cancel=END, park="approved_but_unpaid"),
        row("spending", when.spend_missing, start=WAIT),
        row("refunded", when.all_paid_back, cancel=END),
        row("unmoved", when.nothing_moved, cancel=END),
        row("captured", when.captured, cancel=END),
        row("settled", None, cancel=END),
    )


ROWS = (
    # The question: the network asks, we hold, screen, approve; past the deadline we may only decline.
    Row(("new",), ("PaymentRequested",), "holding", (hold,), when.asked, start=(DEADLINE,)),
    Row(("holding",), ("PaymentHeld",), "screening", (screen,)),
    Row(("holding",), ("HoldRefused",), "declining", (decline,)),
    Row(("screening",), ("PaymentScreened",), "authorizing", (authorize,), when.passed),
    Row(("screening",), ("PaymentScreened",), "declining", (decline,), when.refused),
    Row(OPEN, (DEADLINE,), "declining", (decline,)),
    Row(("holding", "declining"), ("PaymentVerified",), "verified", cancel=(DEADLINE,)),
    Row(UNANSWERED, ("PaymentDeclined",), "declined", (), when.network, cancel=(DEADLINE,)),
    Row((*UNANSWERED, "declined"), ("PaymentAuthorized",), "spending", (), when.network, WAIT, (DEADLINE,)),
    # What nobody asked us: the chain shows a spend, or the network tells what it decided itself.
    Row(("new",), ("PaymentRequested",), "screening", (screen,), when.chain, start=WAIT),
    Row(("new",), ("PaymentRequested",), "spending", (), when.told, start=WAIT),
    Row(("spending",), ("PaymentAuthorized",), STAY, start=WAIT),
    Row(("spending",), ("PaymentDeclined",), "declined", cancel=END),
    *_standing(UNANSWERED, ("PaymentAuthorized", "PaymentDeclined"), when.chain),
    # The legs go out as they are planned.
    Row(STANDING, ("LegPlanned",), "spending", (submit_spend,), when.spend, WAIT),
    Row(STANDING, ("LegPlanned",), "refunding", (submit_refund,), when.refund, WAIT, resumes=True),
    # Whatever happens then.
    Row(STANDING, ("LegEndedUnpaid",), PARKED, (), when.refund, cancel=END, park="refund_ended_unpaid"),
    *_standing(STANDING, (*CARD, *LEGS)),
    # Given up: what no block carries is taken back on chain. Mined before that, it has happened.
    Row(WAITING, ("LegGivenUp",), STAY, (invalidate_spend,), when.spend, WAIT),
    Row(("refund_due",), (PATIENCE,), STAY, (give_up,), when.wanted_no_more, WAIT, remember=given_up),
    # Time.
    Row(STANDING, (EXPIRY,), STAY, (expire,), when.something_open),
    Row(("screening", "authorizing", "declining"), (PATIENCE,), PARKED, park="not_decided_in_time"),
    Row(("unseen",), (PATIENCE,), PARKED, park="unseen_too_long"),
    Row(("spending", "settling", "refund_due", "refunding"), (PATIENCE,), PARKED, park="not_final_in_time"),
)

INPUTS = (*(name for name, cls in MESSAGES.items() if cls.topic == PAYMENT_EVENTS), DEADLINE, PATIENCE, EXPIRY)
STATES = tuple(dict.fromkeys(["new", *(state for row in ROWS for state in (*row.states, row.to or row.states[0]))]))


def react(saga: Saga, name: str, event: Any) -> Reaction:
    """What follows from an input. One without a row is noted and changes nothing: `streams/sagas/silence.py` says why."""
    noted = note(saga, name, event)
    at = saga.parked_in or saga.state
    starts, ends = _expiry(saga, noted, name)
    for row in ROWS:
        if name in row.inputs and at in row.states and (row.when is None or row.when(noted, event)):
            moved = _moved(saga, row.remember(noted, event) if row.remember else noted, at, row)
            orders = tuple(step(noted, event) for step in row.orders)
            waits = () if moved.state == PARKED else row.start  # a person waits already
            return Reaction(moved, orders, (*waits, *starts), (*row.cancel, *ends), ended=moved.state in ENDS)
    return Reaction(noted, (), starts, ends, ended=saga.state in ENDS)


def _moved(saga: Saga, noted: Saga, at: str, row: Row) -> Saga:
    """The saga after a row. One that is parked stays so until a row leads away from where it was parked."""
    if row.to == PARKED:
        return replace(noted, state=PARKED, parked_in=at, reason=row.park)
    if row.to == STAY or (row.to == at and not row.resumes):
        return noted
    reason = None if saga.parked_in and noted.reason == saga.reason else noted.reason
    return replace(noted, state=row.to, parked_in=None, reason=reason)


def _expiry(before: Saga, after: Saga, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(start, cancel): an authorization of the network's expires while something of it is open; more approved, it begins anew."""
    if after.origin == "network" and name in ("PaymentAuthorized", "PaymentIncremented"):
        return (EXPIRY,), ()
    ended = when.something_open(before, None) and not when.something_open(after, None)
    return (), (EXPIRY,) if ended and after.origin == "network" else ()
