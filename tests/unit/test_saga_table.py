"""The authorization saga's table: no cell is missing without a reason, and whatever waits outside has an end."""

from __future__ import annotations

import pytest

from streams.sagas.authorization import ENDS, INPUTS, PARKED, PATIENCE, ROWS, STATES
from streams.sagas.silence import QUIET, because


@pytest.mark.parametrize("state", [each for each in STATES if each != PARKED])
@pytest.mark.parametrize("name", INPUTS)
def test_no_cell_of_the_table_is_missing(state: str, name: str) -> None:
    rows = [row for row in ROWS if name in row.inputs and state in row.states]
    assert rows or because(state, name), f"{name} in {state}: neither a row nor a reason why there is none"
    if any(row.when is None for row in rows):
        assert not because(state, name), f"{name} in {state} has a row and a reason why there is none"


def test_a_parked_saga_has_no_rows_of_its_own() -> None:
    assert not [row for row in ROWS if PARKED in row.states]
    assert all(row.park for row in ROWS if row.to == PARKED)


def test_whatever_starts_to_wait_outside_has_a_timeout_that_ends_the_wait() -> None:
    outside = {"spending", "settling", "refund_due", "refunding", "unseen"}
    for row in ROWS:
        if row.to in outside:
            assert PATIENCE in row.start, row
        if row.to in ENDS:
            assert PATIENCE not in row.start, row


def test_what_is_silent_names_real_states_and_inputs() -> None:
    for each in QUIET:
        assert set(each.states) <= set(STATES) and set(each.inputs) <= set(INPUTS), each
