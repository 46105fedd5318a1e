"""What several routes are asked with, in one shape: where a page begins, how long it is, and a moment."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Query
from pydantic import AfterValidator

from infra.moments import in_utc

Limit = Annotated[int, Query(ge=1, le=500, description="Rows of a page.")]
PageCursor = Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before.")]
After = Annotated[int, Query(ge=0, le=2**31 - 1, description="Give events after this version.")]
Moment = Annotated[datetime, AfterValidator(in_utc)]
"""With its zone, RFC 3339."""
