"""The payment's chain legs: what is on its way, what has moved, and what is missing or too much against what is due."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

NEVER_SEEN = ("planned", "submitted")
"""No block has ever carried it: what was set aside for a spend is a hold still, and no debit."""
IN_NO_BLOCK = (*NEVER_SEEN, "unseen")
"""No block carries it: none ever did, or a reorg dropped the one that had."""
IN_FLIGHT = (*IN_NO_BLOCK, "seen")
ENDED = "ended_unpaid"
CLOSED = "closed"
"""The reason of a leg's end that a person decided."""


@dataclass(frozen=True)
class Leg:
    """One movement of tokens that the payment needs. Amount in raw units.

    `foreign_id`: its transfer, where somebody else's block was the first word on it. `closed`: of such a one that no block carries, by a person.
    """

    leg_id: UUID
    kind: str
    state: str
    amount_raw: int
    tx_hash: str | None = None
    reverted: frozenset[str] = frozenset()
    given_up: bool = False
    foreign_id: UUID | None = None
    closed: bool = False


def of_kind(legs: Mapping[UUID, Leg], kind: str) -> list[Leg]:
    """The legs of a kind, in the order in which they were planned."""
    return [leg for leg in legs.values() if leg.kind == kind]


def in_flight(legs: Mapping[UUID, Leg], kind: str) -> bool:
    """Whether a leg of the kind may yet move, or has moved but not for good."""
    return any(leg.state in IN_FLIGHT for leg in of_kind(legs, kind))


def net_raw(legs: Mapping[UUID, Leg]) -> int:
    """What has moved, or will, from the Safe to settlement less what goes back; legs that ended unpaid move nothing."""
    return _living(of_kind(legs, "spend")) - _living(of_kind(legs, "refund"))


def never_seen_raw(legs: Mapping[UUID, Leg]) -> int:
    """Spends that no block has carried: each has its part of the hold."""
    return sum(leg.amount_raw for leg in of_kind(legs, "spend") if leg.state in NEVER_SEEN)


def _living(legs: Iterable[Leg]) -> int:
    return sum(leg.amount_raw for leg in legs if leg.state != ENDED)
