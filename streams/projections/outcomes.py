"""How a payment stands, in one word, by the first row that holds. A leg lives until it has ended unpaid; `moved` is net of refunds.

| if                                             | outcome  |                                                            |
|------------------------------------------------|----------|------------------------------------------------------------|
| the holder owes                                | unpaid   | a spend can never happen any more: a person, or the network|
| a refund ended unpaid, and is still owed       | unpaid   | it can never be paid any more: a person                    |
| every spend ended unpaid, and none is due      | unpaid   | the spend never happened, and need not any more            |
| a spend is unseen                              | unseen   | a reorg took the spend out of sight                        |
| the card leg is requested                      | open     | an answer is to come                                       |
| a leg is on its way                            | open     | a movement or its finality is to come                      |
| what moved is not what is due                  | open     | a spend or a refund is to come                             |
| the card leg is verified, nothing moved        | verified | a zero amount: the card is good, nothing moves             |
| nothing moved                                  | declined | declined, or taken back before anything moved              |
| a refund settled, and nothing is left          | refunded | what had moved was paid back                               |
| otherwise                                      | settled  | approved, and the money has moved for good                 |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

FAR = ("unseen", "planned", "submitted", "seen", "settled", "ended_unpaid")
"""From the least far to the end. What ended unpaid is shown only where no other leg lives."""
ON_ITS_WAY = ("planned", "submitted", "seen")
Legs = Mapping[str, Mapping[str, Any]]


def least_far(legs: Legs, kind: str) -> str | None:
    """The state that stands for all legs of a kind; None where there are none."""
    states = [leg["state"] for leg in legs.values() if leg["kind"] == kind]
    return min(states, key=FAR.index, default=None)


def net_raw(legs: Legs) -> int:
    """What has moved, or will, from the Safe to settlement, less what goes back."""
    signs = {"spend": 1, "refund": -1}
    return sum(signs[leg["kind"]] * int(leg["amount_raw"]) for leg in legs.values() if leg["state"] != "ended_unpaid")


@dataclass(frozen=True)
class Stand:
    """What the word depends on."""

    card: str
    spends: frozenset[str]
    refunds: frozenset[str]
    net_raw: int
    due_raw: int
    receivable_raw: int
    written_off_raw: int

    @property
    def even(self) -> bool:
        """What moved is what is due; what was given up need not have moved."""
        return self.due_raw - self.written_off_raw <= self.net_raw <= self.due_raw

    @property
    def on_its_way(self) -> bool:
        """A leg may yet move, or has moved and is not final."""
        return bool((self.spends | self.refunds) & set(ON_ITS_WAY)) or "unseen" in self.refunds

    @property
    def moved(self) -> bool:
        """A leg moved for good."""
        return "settled" in self.spends | self.refunds


OUTCOMES: tuple[tuple[Callable[[Stand], bool], str], ...] = (
    (lambda at: at.receivable_raw > 0, "unpaid"),
    (lambda at: "ended_unpaid" in at.refunds and at.net_raw > at.due_raw and not at.on_its_way, "unpaid"),
    (lambda at: at.spends == {"ended_unpaid"} and not at.refunds and at.due_raw == 0, "unpaid"),
    (lambda at: "unseen" in at.spends, "unseen"),
    (lambda at: at.card == "requested", "open"),
    (lambda at: at.on_its_way, "open"),
    (lambda at: not at.even, "open"),
    (lambda at: at.card == "verified" and not at.moved, "verified"),
    (lambda at: not at.moved, "declined"),
    (lambda at: "settled" in at.refunds and at.net_raw <= 0, "refunded"),
    (lambda at: True, "settled"),
)


def outcome(card: str, legs: Legs, due_raw: int, receivable_raw: int, written_off_raw: int = 0) -> str:
    """The table above, read."""
    kinds = {
        kind: frozenset(leg["state"] for leg in legs.values() if leg["kind"] == kind) for kind in ("spend", "refund")
    }
    at = Stand(card, kinds["spend"], kinds["refund"], net_raw(legs), due_raw, receivable_raw, written_off_raw)
    return next(word for holds, word in OUTCOMES if holds(at))
