"""What the saga remembers of each input, whatever its state: what was decided, what is due for it, and how far its legs are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from schemas.messages import payment_adjustment_events as adjusted
from schemas.messages import payment_events as events
from streams.domain.values import replace
from streams.sagas.saga import Saga

Note = Callable[[Saga, Any], Saga]


def note(saga: Saga, name: str, event: Any) -> Saga:
    """The saga with what it remembers of this input."""
    noted = NOTES.get(name, _nothing)(saga, event)
    return replace(noted, cause=CAUSES[name]) if name in CAUSES else noted


def _nothing(saga: Saga, event: Any) -> Saga:
    return saga


def _requested(saga: Saga, event: events.PaymentRequested) -> Saga:
    return replace(saga, account_id=event.account_id, origin=event.origin, deadline=event.deadline)


def _reason(saga: Saga, event: Any) -> Saga:
    return replace(saga, reason=event.reason or saga.reason)


def _decided(word: str, due_raw: Callable[[Saga, Any], int]) -> Note:
    """An outcome, and what is due with it. Events from before they told it are read by `due_raw`."""

    def remember(saga: Saga, event: Any) -> Saga:
        told = getattr(event, "due_raw", None)
        return replace(saga, outcome=word, due_raw=due_raw(saga, event) if told is None else int(told))

    return remember


def _captured(saga: Saga, event: events.PaymentCaptured) -> Saga:
    word = "captured" if event.final else "partly_captured"
    return replace(saga, outcome=word, due_raw=saga.due_raw if event.due_raw is None else int(event.due_raw))


def _due(saga: Saga, event: Any) -> Saga:
    return replace(saga, due_raw=int(event.due_raw))


def _rest_given_back(saga: Saga, event: Any) -> Saga:
    """What was captured before stands; without a capture the whole authorization is over."""
    word = "captured" if saga.outcome == "partly_captured" else "expired"
    return replace(saga, outcome=word, due_raw=int(event.due_raw or 0))


def _partly_reversed(saga: Saga, event: adjusted.PaymentPartlyReversed) -> Saga:
    """Nothing is open any more: what was captured is all there will be."""
    word = saga.outcome if event.open_minor else "captured"
    return replace(saga, outcome=word, due_raw=int(event.due_raw))


def _refunded(saga: Saga, event: adjusted.PaymentRefunded) -> Saga:
    return replace(saga, outcome=saga.outcome or "refunded", due_raw=int(event.due_raw))


def _owes_more(saga: Saga, event: adjusted.ReceivableOpened) -> Saga:
    return replace(saga, owed_raw=saga.owed_raw + event.amount_raw)


def _owes_less(saga: Saga, event: adjusted.ReceivableReduced) -> Saga:
    gone = event.amount_raw if event.reason == "written_off" else 0
    return replace(saga, owed_raw=saga.owed_raw - event.amount_raw, written_off_raw=saga.written_off_raw + gone)


def _leg(state: str) -> Note:
    """What is due is told beside it where a person had closed the leg, or closes it."""

    def remember(saga: Saga, event: Any) -> Saga:
        noted = saga.with_leg(event.leg_id, event.kind, state, getattr(event, "amount_raw", None))
        due_raw = getattr(event, "due_raw", None)
        return noted if due_raw is None else replace(noted, due_raw=int(due_raw))

    return remember


def _planned(saga: Saga, event: events.LegPlanned) -> Saga:
    """A spend that is planned anew is waited for."""
    noted = saga.with_leg(event.leg_id, event.kind, "planned", event.amount_raw)
    return replace(noted, given_up=False) if event.kind == "spend" else noted


def given_up(saga: Saga, event: Any) -> Saga:
    """Ordered, or told: from then on nobody waits for its spends."""
    return replace(saga, given_up=True)


def _submitted(saga: Saga, event: events.LegSubmitted) -> Saga:
    known = saga.legs.get(str(event.leg_id))
    return saga.with_leg(event.leg_id, event.kind, "submitted", None) if known and known[1] == "planned" else saga


def _deadline(saga: Saga, event: Any) -> Saga:
    return replace(saga, reason="deadline")


NOTES: Mapping[str, Note] = {
    "PaymentRequested": _requested,
    "HoldRefused": _reason,
    "PaymentScreened": _reason,
    "PaymentAuthorized": _decided("authorized", lambda saga, event: event.amount_raw),
    "PaymentDeclined": _decided("declined", lambda saga, event: 0),
    "PaymentCaptured": _captured,
    "PaymentReversed": _decided("reversed", lambda saga, event: 0),
    "PaymentExpired": _rest_given_back,
    "PaymentIncremented": _due,
    "PaymentPartlyReversed": _partly_reversed,
    "CaptureReversed": _due,
    "PaymentRefunded": _refunded,
    "RefundReversed": _due,
    "DisputeOpened": _due,
    "DisputeWon": _due,
    "DisputeLost": _due,
    "ReceivableOpened": _owes_more,
    "ReceivableReduced": _owes_less,
    "LegPlanned": _planned,
    "LegGivenUp": given_up,
    "LegSubmitted": _submitted,
    "LegSeen": _leg("seen"),
    "LegUnseen": _leg("unseen"),
    "LegSettled": _leg("settled"),
    "LegEndedUnpaid": _leg("ended_unpaid"),
    "deadline": _deadline,
}
CAUSES: Mapping[str, str] = {
    "PaymentAuthorized": "authorized",
    "PaymentDeclined": "declined",
    "PaymentCaptured": "captured",
    "PaymentReversed": "reversed",
    "PaymentPartlyReversed": "partly_reversed",
    "PaymentExpired": "expired",
    "CaptureReversed": "corrected",
    "PaymentRefunded": "refunded",
    "RefundReversed": "refund_reversed",
    "DisputeOpened": "disputed",
    "DisputeLost": "dispute_lost",
}
"""What changed last what is due: the reason that a refund is planned with."""
