"""The conditions of the saga's table: each a question to what the saga remembers, and to the event. Their names are read in the docs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streams.domain.states.legs import IN_FLIGHT, IN_NO_BLOCK
from streams.sagas.saga import Saga

Guard = Callable[[Saga, Any], bool]
ASKING = ("authorization", "financial")


def both(one: Guard | None, other: Guard | None) -> Guard | None:
    """Both hold; None holds always."""
    if one is None or other is None:
        return one or other

    def holds(saga: Saga, event: Any) -> bool:
        return one(saga, event) and other(saga, event)

    holds.__name__ = f"{one.__name__} and {other.__name__}"
    return holds


def asked(saga: Saga, event: Any) -> bool:
    """The network asked, and waits for an answer."""
    return saga.origin == "network" and event.message in ASKING


def told(saga: Saga, event: Any) -> bool:
    """The network told us what it decided itself."""
    return saga.origin == "network" and event.message not in ASKING


def network(saga: Saga, event: Any) -> bool:
    """The payment came from the network."""
    return saga.origin == "network"


def chain(saga: Saga, event: Any) -> bool:
    """The payment was first seen on chain."""
    return saga.origin == "chain"


def passed(saga: Saga, event: Any) -> bool:
    """The verdict."""
    return bool(event.verdict == "passed")


def refused(saga: Saga, event: Any) -> bool:
    """The verdict."""
    return bool(event.verdict == "refused")


def spend(saga: Saga, event: Any) -> bool:
    """The leg is a spend."""
    return bool(event.kind == "spend")


def refund(saga: Saga, event: Any) -> bool:
    """The leg is a refund."""
    return bool(event.kind == "refund")


def lost_sight(saga: Saga, event: Any) -> bool:
    """A foreign spend vanished: it may be mined again, or never. Our own is sent again by the submitter."""
    return saga.origin == "chain" and saga.any_leg("spend", "unseen")


def refund_under_way(saga: Saga, event: Any) -> bool:
    """A refund is planned, or moves."""
    return saga.any_leg("refund", *IN_FLIGHT)


def owed_back(saga: Saga, event: Any) -> bool:
    """More has moved, or is on its way, than is due."""
    return saga.net_raw > saga.due_raw


def owed_back_while_a_spend_moves(saga: Saga, event: Any) -> bool:
    """Only what is final is paid back."""
    return owed_back(saga, event) and saga.any_leg("spend", *IN_FLIGHT)


def spend_not_seen(saga: Saga, event: Any) -> bool:
    """A spend is on its way to a block."""
    return saga.any_leg("spend", *IN_NO_BLOCK)


def wanted_no_more(saga: Saga, event: Any) -> bool:
    """Nothing is due any more, a spend of ours stands in no block, and it was not given up before."""
    return saga.origin == "network" and saga.due_raw <= 0 and spend_not_seen(saga, event) and not saga.given_up


def spend_seen(saga: Saga, event: Any) -> bool:
    """A spend stands in a block that is not final."""
    return saga.any_leg("spend", "seen")


def owed_by_the_holder(saga: Saga, event: Any) -> bool:
    """A spend can never happen any more, and what it was for is still due."""
    return saga.owed_raw > 0


def spend_missing(saga: Saga, event: Any) -> bool:
    """More is due than moves: the spend is planned in the same append, a few events on."""
    return saga.due_raw > saga.net_raw + saga.written_off_raw


def all_paid_back(saga: Saga, event: Any) -> bool:
    """What moved went back, all of it."""
    return saga.any_leg("refund", "settled") and saga.net_raw <= 0


def nothing_moved(saga: Saga, event: Any) -> bool:
    """No leg ever moved anything."""
    return not saga.any_leg("spend", "settled") and not saga.any_leg("refund", "settled")


def captured(saga: Saga, event: Any) -> bool:
    """The network has posted all that it will."""
    return saga.outcome == "captured"


def something_open(saga: Saga, event: Any) -> bool:
    """A part of the authorization is neither posted nor given back."""
    return saga.outcome in ("authorized", "partly_captured")
