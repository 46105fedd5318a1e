"""What may be asked for is what there is: a list of payments is filtered by any state and any outcome that a payment can have."""

from __future__ import annotations

from typing import get_args

from api.routes.payments import CardState, Outcome
from streams.domain.card_table import KNOWN
from streams.projections.outcomes import OUTCOMES


def test_payments_can_be_asked_for_by_every_state_of_the_card_leg() -> None:
    assert get_args(CardState) == KNOWN


def test_payments_can_be_asked_for_by_every_outcome() -> None:
    assert set(get_args(Outcome)) == {word for _, word in OUTCOMES}
