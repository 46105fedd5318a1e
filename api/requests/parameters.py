"""What several routes are asked with, in one shape: where a page begins, how long it is, and a moment."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import AfterValidator, BeforeValidator

from infra.moments import in_utc

Limit = Annotated[int, Query(ge=1, le=500, description="Rows of a page.")]
PageCursor = Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before.")]
After = Annotated[int, Query(ge=0, le=2**31 - 1, description="Give events after this version.")]
DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
LOST_PLUS = re.compile(r".*:\d\d(\.\d+)? \d\d:?\d\d", re.ASCII)


def _written(told: Any) -> Any:
    """What begins with a day. A bare number would be taken for Unix seconds, and 20260301 for a day of 1970. Raises ValueError."""
    if isinstance(told, datetime):
        return told
    if not isinstance(told, str) or not DAY.match(told):
        raise ValueError("a time is written as in 2026-03-01T00:00:00Z (RFC 3339); send it so")
    if LOST_PLUS.fullmatch(told):
        raise ValueError(
            "a + in an address is a blank; send it as %2B, or send the time in UTC, such as 2026-03-01T00:00:00Z"
        )
    return told


Moment = Annotated[datetime, BeforeValidator(_written), AfterValidator(in_utc)]
"""With its zone, RFC 3339."""
