"""Where the authorization saga rightly does nothing: every state and input without a row in the table, with the reason.

A test holds the two together: a cell stands in one of them, and what a drawn history meets without a row stands here.
"""

from __future__ import annotations

from dataclasses import dataclass

from streams.sagas.authorization import CARD, DEADLINE, ENDS, EXPIRY, INPUTS, PATIENCE, STANDING, UNANSWERED

ALL = (*UNANSWERED, *STANDING)


@dataclass(frozen=True)
class Quiet:
    """In any of `states`, any of `inputs` changes nothing but what the saga remembers."""

    states: tuple[str, ...]
    inputs: tuple[str, ...]
    because: str


def _but(states: tuple[str, ...], *without: str) -> tuple[str, ...]:
    return tuple(each for each in states if each not in without)


QUIET = (
    # Cannot happen: the payment's own rules do not let it.
    Quiet(("new",), tuple(each for each in INPUTS if each != "PaymentRequested"), "a stream begins with its request"),
    Quiet(ALL, ("PaymentRequested",), "a stream has one request"),
    Quiet(STANDING, ("HoldRefused", "PaymentScreened", "PaymentVerified"), "only an open payment is asked about"),
    Quiet(_but(STANDING, "spending", "declined"), ("PaymentAuthorized",), "a payment is approved once"),
    Quiet(_but(STANDING, "spending"), ("PaymentDeclined",), "a payment is answered once"),
    Quiet(("screening", "authorizing"), ("PaymentVerified",), "a verification is answered with its request, and holds nothing"),
    Quiet((*UNANSWERED, *sorted(ENDS)), ("LegGivenUp",), "only a spend of ours that no block carries"),
    Quiet(UNANSWERED, CARD, "only an answered payment"),
    Quiet(UNANSWERED, ("LegPlanned", "ReceivableOpened"), "nothing is due before the answer"),
    # Comes too late to matter.
    Quiet(("declining",), ("PaymentHeld", "HoldRefused", "PaymentScreened"), "the deadline has passed: the decline is ordered"),
    Quiet(("screening", "authorizing"), ("PaymentHeld", "HoldRefused"), "the account answers once"),
    Quiet(("holding", "authorizing"), ("PaymentScreened",), "the first verdict stands"),
    Quiet(("declining", *STANDING), (DEADLINE,), "the answer is given, or ordered"),
    Quiet(UNANSWERED, (EXPIRY,), "nothing is approved yet"),
    Quiet(("holding", *sorted(ENDS)), (PATIENCE,), "nothing is waited for but what has a deadline of its own"),
    # Is remembered, and acted upon when its time comes.
    Quiet(UNANSWERED, ("LegSeen", "LegUnseen", "LegSettled", "LegEndedUnpaid"), "a spend on chain waits for the verdict on it"),
    Quiet(STANDING, ("PaymentHeld",), "the spend that it is for is planned in the same append"),
    # Changes nothing, and is told to whom it concerns.
    Quiet(ALL, ("IncrementDeclined", "CardMessageRefused"), "a refusal: the network was told"),
    Quiet(ALL, ("ReversalAcknowledged",), "what was not approved is not given back"),
    Quiet(ALL, ("LegSubmitted", "LegReverted"), "the submitter goes on by itself"),
)  # fmt: skip


def because(state: str, name: str) -> str | None:
    """Why an input does nothing in a state, or None: then a row is missing."""
    return next((each.because for each in QUIET if state in each.states and name in each.inputs), None)
