"""A payment's row, told again by asking its whole history one question a column: sums over events, not a fold of states."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import UUID

from connectors.verify.walk import Event

ASKED = (
    "payment_id", "account_id", "origin", "amount_minor", "currency", "amount_raw", "decimals", "card_token",
    "merchant_name", "merchant_country", "mcc", "network_reference", "message", "transaction_type",
)  # fmt: skip
MOVED = {"LegSeen": "seen", "LegUnseen": "unseen", "LegSettled": "settled"}
ANSWERS = ("PaymentAuthorized", "PaymentVerified", "PaymentDeclined")
REASONED = ("HoldRefused", "PaymentDeclined", "PaymentScreened")
History = Sequence[Event]


def payment_row(history: History) -> dict[str, Any]:
    """What `payments` must show."""
    requested: Any = next(each.message for each in history if each.type == "PaymentRequested")
    answers = [each for each in history if each.type in ANSWERS or _answers(each)]
    approvals = _said(history, "PaymentAuthorized")
    legs, due, owed, given_up = legs_of(history), due_raw(history), receivable_raw(history), written_off_raw(history)
    spends = {key: leg for key, leg in legs.items() if leg["kind"] == "spend"}
    refunds = {key: leg for key, leg in legs.items() if leg["kind"] == "refund"}
    card = card_state(history)
    told: Any = answers[-1].message if answers else None
    return {
        **{name: getattr(requested, name) for name in ASKED},
        "state": card,
        "spend_state": least_far(spends.values()),
        "refund_state": least_far(refunds.values()),
        "outcome": outcome(card, spends, refunds, due, owed, given_up),
        "authorized_minor": minor(history, "PaymentAuthorized", "PaymentIncremented"),
        "open_minor": open_minor(history),
        "captured_minor": minor(history, "PaymentCaptured") - minor(history, "CaptureReversed"),
        "refunded_minor": minor(history, "PaymentRefunded") - minor(history, "RefundReversed"),
        "credited_minor": minor(history, "DisputeOpened") - minor(history, "DisputeLost"),
        "due_raw": due,
        "receivable_raw": owed,
        "written_off_raw": given_up,
        "legs": legs,
        "reason": reason(history),
        "response_code": told.response_code if told else None,
        "authorization_code": approvals[-1].authorization_code if approvals else None,
        "spend_tx_hash": carrier(history, "spend") or requested.tx_hash,
        "refund_tx_hash": carrier(history, "refund"),
        "block_number": block_number(history),
        "version": history[-1].version,
        "requested_at": history[0].recorded_at,
        "changed_at": history[-1].recorded_at,
    }


def _said(history: History, *types: str) -> list[Any]:
    return [each.message for each in history if each.type in types]


def _answers(event: Event) -> bool:
    said: Any = event.message
    return event.type == "CardMessageRefused" and said.message == "authorization"


def minor(history: History, *types: str) -> int:
    """The sum of what these events say, minor units."""
    return sum(each.amount_minor for each in _said(history, *types))


def raw(history: History, *types: str) -> int:
    """The sum of what these events say, raw units."""
    return sum(int(each.amount_raw) for each in _said(history, *types))


def open_at(history: History, amount: Callable[[Any], int]) -> int:
    """What is approved and neither posted nor given back: after the last event that closed it, in the unit that `amount` reads."""
    left = 0
    for each in history:
        said: Any = each.message
        if each.type in ("PaymentAuthorized", "PaymentIncremented"):
            left += amount(said)
        elif each.type in ("PaymentReversed", "PaymentExpired") or (each.type == "PaymentCaptured" and said.final):
            left = 0
        elif each.type in ("PaymentPartlyReversed", "PaymentCaptured"):
            left = max(0, left - amount(said))
    return left


def open_minor(history: History) -> int:
    """Open, minor units."""
    return open_at(history, lambda said: int(said.amount_minor))


def due_raw(history: History) -> int:
    """What must have moved, net: open, if nobody closed the spend of it, and posted less what was given back or credited."""
    posted = raw(history, "PaymentCaptured") - raw(history, "CaptureReversed")
    given_back = raw(history, "PaymentRefunded") - raw(history, "RefundReversed")
    credited = raw(history, "DisputeOpened") - raw(history, "DisputeLost")
    open_raw = 0 if closed(history) else open_at(history, lambda said: int(said.amount_raw))
    return open_raw + posted - given_back - credited


def closed(history: History) -> bool:
    """Whether a person closed a spend, and no block has it since."""
    words = [each for each in history if each.type in ("LegSeen", "LegEndedUnpaid")]
    last: dict[UUID, Any] = {_leg_id(each): each.message for each in words}
    return any(getattr(said, "reason", None) == "closed" for said in last.values())


def receivable_raw(history: History) -> int:
    """What the holder owes."""
    return raw(history, "ReceivableOpened") - raw(history, "ReceivableReduced")


def written_off_raw(history: History) -> int:
    """What of it was given up."""
    return sum(int(each.amount_raw) for each in _said(history, "ReceivableReduced") if each.reason == "written_off")


def card_state(history: History) -> str:
    """The card leg: the last word on it, where one word may mean two things by what was posted before."""
    state, posted = "requested", 0
    for each in history:
        said: Any = each.message
        match each.type:
            case "PaymentAuthorized" | "PaymentVerified" | "PaymentDeclined":
                state = {"PaymentAuthorized": "authorized", "PaymentVerified": "verified"}.get(each.type, "declined")
            case "PaymentCaptured":
                posted += 1
                state = state if state == "disputed" else "captured" if said.final else "partly_captured"
            case "CaptureReversed":
                posted -= 1
                if not posted:
                    state = {"captured": "corrected", "partly_captured": "authorized"}.get(state, state)
            case "PaymentReversed":
                state = "reversed"
            case "PaymentExpired":
                state = "captured" if state == "partly_captured" else "expired"
            case "PaymentPartlyReversed" if said.open_minor == 0:
                state = "captured"
            case "PaymentRefunded" if state == "requested":
                state = "refunded"
            case "DisputeOpened":
                state = "disputed"
            case "DisputeWon" | "DisputeLost":
                state = "captured"
    return state


def legs_of(history: History) -> dict[str, dict[str, Any]]:
    """Every leg as the row shows it."""
    own = [each for each in history if each.type.startswith("Leg")]
    named: list[Any] = [each.message for each in own]
    return {
        str(leg_id): _leg([each for each in own if _leg_id(each) == leg_id])
        for leg_id in dict.fromkeys(m.leg_id for m in named)
    }


def _leg_id(event: Event) -> Any:
    said: Any = event.message
    return said.leg_id


def _leg(told: History) -> dict[str, Any]:
    first: Any = told[0].message
    carried = _said(told, "LegSeen", "LegUnseen", "LegSettled")
    sent = _said(told, "LegSubmitted")
    carrier_of = (carried or sent)[-1].tx_hash if carried or sent else None
    return {"kind": first.kind, "state": leg_state(told), "amount_raw": str(first.amount_raw), "tx_hash": carrier_of}


def leg_state(told: History) -> str:
    """How far one leg has come. A transaction that fails or is replaced moves it nowhere."""
    types = [each.type for each in told]
    moves = [place for place, name in enumerate(types) if name in MOVED]
    if "LegEndedUnpaid" in types and types.index("LegEndedUnpaid") > max(moves, default=-1):
        return "ended_unpaid"
    if moves:
        return MOVED[types[moves[-1]]]
    return "submitted" if "LegSubmitted" in types else "planned"


def least_far(legs: Iterable[dict[str, Any]]) -> str | None:
    """The one that stands for all."""
    states = {leg["state"] for leg in legs}
    for state in ("unseen", "planned", "submitted", "seen", "settled"):
        if state in states:
            return state
    return "ended_unpaid" if states else None


def carrier(history: History, kind: str) -> str | None:
    """The transaction that was named last for a leg of the kind: one that carried it, or one sent for a leg that was not seen."""
    seen: set[Any] = set()
    found: str | None = None
    for each in history:
        said: Any = each.message
        if not each.type.startswith("Leg") or said.kind != kind:
            continue
        if each.type in MOVED:
            seen.add(said.leg_id)
        if each.type in ("LegSeen", "LegSettled") or (each.type == "LegSubmitted" and said.leg_id not in seen):
            found = said.tx_hash
    return found


def block_number(history: History) -> int | None:
    """The block of the newest movement, if it still stands in one."""
    moved = [each for each in history if each.type in MOVED]
    said: Any = moved[-1].message if moved else None
    return None if said is None or moved[-1].type == "LegUnseen" else int(said.block_number)


def reason(history: History) -> str | None:
    """The last reason that anybody gave for a no; an approval leaves none."""
    found: str | None = None
    for place, each in enumerate(history):
        if each.type in REASONED or _answers(each):
            found = getattr(each.message, "reason", None) or found
        elif each.type == "PaymentAuthorized":
            found = None
        elif each.type == "PaymentReversed":
            found = "reversed"
        elif each.type == "PaymentExpired" and card_state(history[: place + 1]) == "expired":
            found = "expired"
    return found


def outcome(card: str, spends: dict[str, Any], refunds: dict[str, Any], due: int, owed: int, given_up: int) -> str:
    """The one word for both axes."""
    of_spends, of_refunds = ({leg["state"] for leg in legs.values()} for legs in (spends, refunds))
    living = [
        sum(int(each["amount_raw"]) for each in legs.values() if each["state"] != "ended_unpaid")
        for legs in (spends, refunds)
    ]
    net = living[0] - living[1]
    waits = bool((of_spends | of_refunds) & {"planned", "submitted", "seen"}) or "unseen" in of_refunds
    if owed or ("ended_unpaid" in of_refunds and net > due and not waits):
        return "unpaid"
    if of_spends == {"ended_unpaid"} and not refunds and due == 0:
        return "unpaid"
    if "unseen" in of_spends:
        return "unseen"
    if card == "requested" or waits or not due - given_up <= net <= due:
        return "open"
    if "settled" not in of_spends | of_refunds:
        return "verified" if card == "verified" else "declined"
    return "refunded" if "settled" in of_refunds and net <= 0 else "settled"
