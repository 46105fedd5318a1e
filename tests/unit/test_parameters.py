"""What may be asked for is what there is: by any state and any outcome that a payment can have, and by times that are written as times."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from api.requests.parameters import Moment
from api.routes.payments import CardState, Outcome
from streams.domain.card.table import KNOWN
from streams.projections.outcomes import OUTCOMES


def test_payments_can_be_asked_for_by_every_state_of_the_card_leg() -> None:
    assert get_args(CardState) == KNOWN


def test_payments_can_be_asked_for_by_every_outcome() -> None:
    assert set(get_args(Outcome)) == {word for _, word in OUTCOMES}


@pytest.mark.parametrize(
    "told", ["20260301", "0", "-1", "1772323200", "1.5", 20260301, 0, True, None, "T00:00:00Z", ""]
)
def test_a_number_is_no_time(told: Any) -> None:
    """20260301 is not Unix second 20,260,301: a statement from August 1970 is not the one of March 2026."""
    with pytest.raises(ValidationError, match="a time is written as in 2026-03-01T00:00:00Z"):
        TypeAdapter(Moment).validate_python(told)


def test_a_plus_that_was_lost_on_its_way_is_named() -> None:
    for told in ("2026-03-01T00:00:00 01:00", "2026-03-01T00:00:00.5 0100"):
        with pytest.raises(ValidationError, match=r"a \+ in an address is a blank; send it as %2B"):
            TypeAdapter(Moment).validate_python(told)


def test_a_time_is_taken_in_each_of_its_forms() -> None:
    forms = (
        "2026-03-01T00:00:00Z",
        "2026-03-01T01:00:00+01:00",
        "2026-02-28t19:00:00.000-05:00",
        "2026-03-01 00:00:00Z",
    )
    for told in (*forms, datetime(2026, 3, 1, tzinfo=UTC)):
        assert TypeAdapter(Moment).validate_python(told) == datetime(2026, 3, 1, tzinfo=UTC)
