"""What can hold nothing is refused before anything is read: a period that ends before it begins, a block that is still to come."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from api.cli.backfill import _must_have_come
from infra.errors import BadInput
from streams.audit_log.export import stretch

MARCH = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize("end", [MARCH, datetime(2026, 2, 1, tzinfo=UTC)])
def test_an_export_of_a_period_turned_round_says_so(end: datetime) -> None:
    """Not that nothing was recorded then, which an auditor would take for an answer."""
    nothing = cast(Any, None)
    with pytest.raises(BadInput, match=r"2026-03-01T00:00:00.000000Z is not before .*; turn them round"):
        stretch(nothing, MARCH, end, nothing)


def test_a_history_is_not_read_from_a_block_that_is_still_to_come() -> None:
    for first in (None, 0, 41_022):
        _must_have_come(first, 41_022)
    with pytest.raises(BadInput, match=r"block 41,023 is not final yet: the newest final one is 41,022"):
        _must_have_come(41_023, 41_022)
