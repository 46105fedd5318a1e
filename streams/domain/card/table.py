"""The card leg as a table: every state x every message -> who decides and where it may lead, or why nothing happens.

`acts`: decided by the function, and the state then is one of those named. `refuses`: a CardMessageRefused with its reason, nothing else
changes. `passes`: no event at all, with the reason why that is right. `waits`: nothing is stored, and whoever sends it is told to send it
again. No cell is missing; a test takes each at its word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.errors import NotAnswered
from streams.domain.card import adjustment as adjustments
from streams.domain.card import authorization as authorizations
from streams.domain.card import dispute as disputes
from streams.domain.card import posting as postings
from streams.domain.card.refusing import refused
from streams.domain.chain.consequences import with_consequences
from streams.domain.circumstances import Circumstances
from streams.domain.opening import Events
from streams.domain.reasons import Reason
from streams.domain.states.account import Account
from streams.domain.states.payment_state import Payment

Decide = Callable[[Any, Any, Account | None, Circumstances], Events]
NONE = "none"
STATES = (
    NONE, "requested", "verified", "declined", "authorized", "partly_captured", "captured", "reversed", "expired", "corrected",
    "disputed", "refunded",
)  # fmt: skip
MESSAGES: Mapping[str, tuple[str | None, str]] = {
    "authorization": (None, "authorized"),
    "hold": (None, "authorized"),
    "screening": (None, "authorized"),
    "approval": (None, "authorized"),
    "decline": (None, "declined"),
    "advice": ("advice_id", "advice"),
    "increment": ("increment_id", "incremented"),
    "reversal": ("reversal_id", "reversed"),
    "expiry": (None, "expired"),
    "capture": ("presentment_id", "captured"),
    "presentment": ("presentment_id", "captured"),
    "capture_reversal": ("reversal_id", "corrected"),
    "refund": ("refund_id", "refunded"),
    "unlinked_refund": ("refund_id", "refunded"),
    "refund_reversal": ("reversal_id", "refund_reversed"),
    "dispute": ("dispute_id", "disputed"),
    "dispute_resolution": ("dispute_id", "dispute_lost"),
}
"""Message -> (the order's field with the network's id of it, the reason that its legs are planned with)."""


@dataclass(frozen=True)
class Cell:
    """What a message does to a payment in a state. At most one of `act`, `refuse` and `early`; none of them: it passes."""

    states: tuple[str, ...]
    messages: tuple[str, ...]
    then: tuple[str, ...] = ()
    act: Decide | None = None
    refuse: Reason | None = None
    early: bool = False
    because: str = ""


def acts(states: tuple[str, ...], message: str, act: Decide, *then: str) -> Cell:
    """Decided, and then in one of these states."""
    return Cell(states, (message,), then, act)


def refuses(states: tuple[str, ...], message: str, reason: Reason, because: str) -> Cell:
    """Refused by name."""
    return Cell(states, (message,), refuse=reason, because=because)


def waits(states: tuple[str, ...], message: str, because: str) -> Cell:
    """Comes before what it follows: a refusal would be its answer for ever."""
    return Cell(states, (message,), early=True, because=because)


def passes(states: tuple[str, ...], messages: tuple[str, ...], because: str) -> Cell:
    """Nothing happens, rightly."""
    return Cell(states, messages, because=because)


NEW, ASKED, HELD, PART, POSTED = (NONE,), ("requested",), ("authorized",), ("partly_captured",), ("captured",)
CLOSED = ("reversed", "expired", "declined")
KNOWN = tuple(each for each in STATES if each != NONE)
ANSWERED = tuple(each for each in KNOWN if each != "requested")
POSTINGS = ("captured", "corrected", "disputed")
OURS = ("hold", "screening", "approval", "decline")
FOLLOWING = (
    "increment", "expiry", "capture", "capture_reversal", "refund", "refund_reversal", "dispute", "dispute_resolution",
)  # fmt: skip

CELLS = (
    # The question and its answer. Only an open payment is held, screened, approved, declined; and only once.
    acts(NEW, "authorization", authorizations.request, "requested", "declined", "verified"),
    passes(tuple(each for each in KNOWN if each != "reversed"), ("authorization",), "asked already: the stream has the answer"),
    refuses(("reversed",), "authorization", Reason.REVERSED, "the network's reversal came before: net nothing"),
    acts(ASKED, "hold", authorizations.hold, "requested"),
    acts(ASKED, "screening", authorizations.screen, "requested"),
    acts(ASKED, "approval", authorizations.authorize, "requested", "authorized", "captured"),
    acts(ASKED, "decline", authorizations.decline, "declined"),
    passes((NONE, *ANSWERED), OURS, "nobody waits for an answer"),
    # The network approved in our stead.
    acts(NEW, "advice", adjustments.advise, "authorized", "declined"),
    acts(("requested", "declined"), "advice", adjustments.advise, "authorized"),
    passes(("authorized", "partly_captured", *POSTINGS, "expired"), ("advice",), "approved already"),
    refuses(("reversed",), "advice", Reason.REVERSED, "the network's reversal came before: net nothing"),
    refuses(("verified",), "advice", Reason.VERIFICATION_ONLY, "a verification holds nothing"),
    refuses(("refunded",), "advice", Reason.CREDIT_ONLY, "the payment is nothing but a credit"),
    # More, less, and the end of an authorization.
    acts(HELD, "increment", adjustments.increment, "authorized"),
    acts(PART, "increment", adjustments.increment, "partly_captured"),
    refuses(tuple(each for each in KNOWN if each not in (*HELD, *PART)), "increment", Reason.NOT_AUTHORIZED, "nothing is open"),
    acts(NEW, "reversal", adjustments.store_reversal, "reversed", "declined"),
    acts(ASKED, "reversal", adjustments.reverse_open, "declined"),
    acts(("declined",), "reversal", adjustments.acknowledge_reversal, "declined"),
    acts(HELD, "reversal", adjustments.reverse, "reversed", "authorized"),
    acts(PART, "reversal", adjustments.reverse, "captured", "partly_captured"),
    acts(POSTED, "reversal", adjustments.reverse_posted, "corrected", "captured"),
    refuses(
        ("corrected", "disputed"), "reversal", Reason.ALREADY_CAPTURED, "what is posted is given back by a refund or a clearing reversal",
    ),
    refuses(("refunded",), "reversal", Reason.CREDIT_ONLY, "the payment is nothing but a credit"),
    passes(("reversed", "expired", "verified"), ("reversal",), "nothing is held any more"),
    acts(HELD, "expiry", adjustments.expire, "expired"),
    acts(PART, "expiry", adjustments.expire, "captured"),
    passes(tuple(each for each in KNOWN if each not in (*HELD, *PART)), ("expiry",), "nothing is open"),
    # What the network posts has happened, whatever we said before.
    acts(HELD, "capture", postings.capture, "captured", "partly_captured", "authorized"),
    acts(PART, "capture", postings.capture, "captured", "partly_captured"),
    acts((*CLOSED, "verified", "captured", "corrected"), "capture", postings.capture, "captured"),
    acts(("disputed",), "capture", postings.capture, "disputed"),
    waits(ASKED, "capture", "the answer comes within seconds"),
    refuses(("refunded",), "capture", Reason.CREDIT_ONLY, "the payment is nothing but a credit"),
    acts(NEW, "presentment", postings.present, "captured", "declined"),
    passes(KNOWN, ("presentment",), "posted already under this id"),
    acts(POSTED, "capture_reversal", postings.reverse_capture, "corrected", "captured"),
    acts(PART, "capture_reversal", postings.reverse_capture, "authorized", "partly_captured"),
    acts(("disputed",), "capture_reversal", postings.reverse_capture, "disputed"),
    refuses(
        ("requested", "authorized", *CLOSED, "verified", "corrected", "refunded"), "capture_reversal",
        Reason.PRESENTMENT_UNKNOWN, "nothing is posted",
    ),
    acts(POSTED, "refund", postings.refund, "captured"),
    acts(PART, "refund", postings.refund, "partly_captured"),
    acts(("corrected",), "refund", postings.refund, "corrected"),
    acts(("disputed",), "refund", postings.refund, "disputed"),
    acts(("refunded",), "refund", postings.refund, "refunded"),
    refuses(("requested", "authorized", *CLOSED, "verified"), "refund", Reason.NOT_CAPTURED, "a refund of what was not posted is an unlinked one"),
    acts(NEW, "unlinked_refund", postings.record_refund, "refunded", "declined"),
    passes(KNOWN, ("unlinked_refund",), "credited already under this id"),
    acts(POSTED, "refund_reversal", postings.reverse_refund, "captured"),
    acts(PART, "refund_reversal", postings.reverse_refund, "partly_captured"),
    acts(("corrected",), "refund_reversal", postings.reverse_refund, "corrected"),
    acts(("disputed",), "refund_reversal", postings.reverse_refund, "disputed"),
    acts(("refunded",), "refund_reversal", postings.reverse_refund, "refunded"),
    refuses(("requested", "authorized", *CLOSED, "verified"), "refund_reversal", Reason.REFUND_UNKNOWN, "nothing was refunded"),
    # Disputes.
    acts(POSTED, "dispute", disputes.open_dispute, "disputed", "captured"),
    refuses(("disputed",), "dispute", Reason.DISPUTED, "one dispute at a time"),
    refuses(
        ("requested", "authorized", "partly_captured", *CLOSED, "verified", "corrected", "refunded"), "dispute",
        Reason.NOT_CAPTURED, "only what is posted, and all of it, is disputed",
    ),
    acts(("disputed",), "dispute_resolution", disputes.resolve_dispute, "captured", "disputed"),
    refuses(tuple(each for each in KNOWN if each != "disputed"), "dispute_resolution", Reason.DISPUTE_UNKNOWN, "nothing is disputed"),
    passes(NEW, FOLLOWING, "nobody knows this payment: the door says so"),
)  # fmt: skip

TABLE: Mapping[tuple[str, str], Cell] = {
    (state, message): cell for cell in CELLS for state in cell.states for message in cell.messages
}


def decided(message: str) -> Decide:
    """The decision on a message: its cell, and what follows for the chain legs. What came before under its id changes nothing.

    The decision raises NotAnswered for one that comes before its time.
    """
    id_field, cause = MESSAGES[message]

    def decide(order: Any, payment: Payment | None, account: Account | None, circumstances: Circumstances) -> Events:
        cell = TABLE[payment.card if payment else NONE, message]
        message_id = str(getattr(order, id_field) if id_field else order.payment_id)
        if payment is not None and payment.answer(message, message_id) is not None:
            return []
        reason = _refusal(cell, order, payment) if payment is not None else None
        if payment is not None and reason is not None:
            return [refused(payment, message, message_id, reason)]
        if cell.early:
            raise NotAnswered(f"payment {order.payment_id} is not answered yet; send the {message} again")
        if cell.act is None:
            return []
        return with_consequences(
            payment, cell.act(order, payment, account, circumstances), account, circumstances, cause
        )

    return decide


def _refusal(cell: Cell, order: Any, payment: Payment) -> Reason | None:
    """What the cell says; and what fits the state is refused where nothing of the payment can be booked, or its card is another account's."""
    if cell.act is None:
        return cell.refuse
    theirs = getattr(order, "account_id", None) not in (None, payment.account_id)
    return payment.unfit or (Reason.CARD_UNKNOWN if theirs else None)
