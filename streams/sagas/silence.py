"""Where the authorization saga rightly does nothing: every state and input without a row in the table, with the reason.

A test holds the two together: a cell stands in one of them, and what a drawn history meets without a row stands here.
"""

from __future__ import annotations

from dataclasses import dataclass

from streams.sagas.authorization import DEADLINE, ENDS, EXPIRY, INPUTS, OPEN, PATIENCE, STATES

UNANSWERED = (*OPEN, "declining")
PAYING_BACK = ("refund_due", "refunding")
UNMOVING = ("declined", "verified", "unmoved")
ANSWERED = tuple(each for each in STATES if each not in ("new", *UNANSWERED, "parked"))


@dataclass(frozen=True)
class Quiet:
    """In any of `states`, any of `inputs` changes nothing but what the saga remembers."""

    states: tuple[str, ...]
    inputs: tuple[str, ...]
    because: str


QUIET = (
    # Cannot happen: the payment's own rules do not let it.
    Quiet(("new",), tuple(each for each in INPUTS if each != "PaymentRequested"), "a stream begins with its request"),
    Quiet((*UNANSWERED, *ANSWERED), ("PaymentRequested",), "a stream has one request"),
    Quiet(ANSWERED, ("PaymentHeld", "HoldRefused", "PaymentScreened"), "only an open payment is held and screened"),
    Quiet(ANSWERED, ("PaymentAuthorized", "PaymentVerified", "PaymentDeclined"), "a payment is answered once"),
    Quiet(("holding", "screening"), ("PaymentAuthorized",), "nobody is asked to approve before the verdict"),
    Quiet(("screening", "authorizing"), ("PaymentVerified",), "a verification is answered with its request, and holds nothing"),
    Quiet(UNANSWERED, ("PaymentCaptured", "PaymentReversed", "PaymentExpired"), "only an approved payment"),
    Quiet(("captured",), ("PaymentCaptured",), "a payment is captured once, until there are partial captures"),
    Quiet(("captured", *PAYING_BACK, *UNMOVING, "refunded"), ("PaymentReversed", "PaymentExpired"), "only an approved payment"),
    Quiet((*PAYING_BACK, *UNMOVING, "refunded"), ("PaymentCaptured",), "only an approved payment that stands"),
    Quiet(("unseen",), ("PaymentExpired",), "only what the network asked for expires, and its spend is ours to send again"),
    Quiet(("unseen",), ("LegSettled",), "what is final was seen before"),
    Quiet(("settling",), ("LegEndedUnpaid",), "a leg that is seen does not end unpaid"),
    Quiet((*UNANSWERED, "settling", "unseen", "refund_due", *UNMOVING, "refunded"), ("LegPlanned",), "its leg is there already"),
    Quiet((*UNANSWERED, "settling", "unseen", "refunding", *sorted(ENDS)), ("LegGivenUp",), "only a spend of ours that no block carries"),
    Quiet(("spending",), ("LegUnseen",), "what is not seen cannot vanish"),
    Quiet((*UNMOVING, "refunded"), ("LegSeen", "LegUnseen", "LegSettled", "LegEndedUnpaid"), "its legs have ended, or there are none"),
    Quiet(("settled", "captured"), ("LegSeen", "LegUnseen", "LegSettled", "LegEndedUnpaid"), "its spend is final, a refund not planned"),
    # Comes too late to matter.
    Quiet(("declining",), ("PaymentHeld", "HoldRefused", "PaymentScreened"), "the deadline has passed: the decline is ordered"),
    Quiet(("screening", "authorizing"), ("PaymentHeld", "HoldRefused"), "the account answers once"),
    Quiet(("holding", "authorizing"), ("PaymentScreened",), "the first verdict stands"),
    Quiet(("declining", *ANSWERED), (DEADLINE,), "the answer is given, or ordered"),
    Quiet((*UNANSWERED, "unseen", "captured", *PAYING_BACK, *UNMOVING, "refunded"), (EXPIRY,), "posted, or being paid back, or not begun"),
    Quiet(("holding", *sorted(ENDS)), (PATIENCE,), "nothing is waited for but what has a deadline of its own"),
    # Is remembered, and acted upon when its time comes.
    Quiet(UNANSWERED, ("LegSeen", "LegUnseen", "LegSettled", "LegEndedUnpaid"), "a spend on chain waits for the verdict on it"),
    Quiet(("unseen",), ("PaymentReversed",), "paid back when it is seen again"),
    Quiet(("unseen",), ("LegUnseen",), "unseen is unseen"),
    Quiet(("settling", *PAYING_BACK), ("LegSeen",), "waits until it is final"),
    Quiet(("refunding", "refund_due"), ("LegUnseen",), "the submitter sends our own transaction again"),
    Quiet((*UNANSWERED, *ANSWERED), ("LegSubmitted", "LegReverted"), "the submitter goes on by itself"),
)  # fmt: skip


def because(state: str, name: str) -> str | None:
    """Why an input does nothing in a state, or None: then a row is missing."""
    return next((each.because for each in QUIET if state in each.states and name in each.inputs), None)
