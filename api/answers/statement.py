"""An account's statement: what was booked for good in a period, with the balance after each line, from the ledger on R."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, case, func, select

from api.answers.models import Statement
from api.answers.queries import Queries
from api.answers.tables import postings
from infra.errors import BadInput
from streams.domain.money import minor_of
from streams.projections.ledger import chart_of

MOST_LINES = 10_000
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
COLUMNS = (
    "booked_at",
    "kind",
    "amount_raw",
    "balance_raw",
    "balance_minor",
    "currency",
    "payment_id",
    "tx_hash",
    "posting_id",
)


@dataclass(frozen=True)
class Period:
    """From (inclusive) to (exclusive), by the time of booking; None: from the beginning, up to now."""

    start: datetime | None
    end: datetime | None

    def __post_init__(self) -> None:
        if self.start and self.end and self.start >= self.end:
            raise BadInput(
                f"from {self.start.isoformat()} is not before to {self.end.isoformat()}; send them the other way round"
            )


def statement(queries: Queries, account_id: UUID, period: Period) -> Statement:
    """The statement of one account. Raises NotFound, and BadInput for a period with too many lines."""
    account = queries.account(account_id)
    rows, before = _booked(queries, account_id, account.kind, period)
    closing = int(rows[-1]["balance"]) if rows else before

    def minor(raw: Any) -> int:
        return minor_of(int(raw), account.currency, account.decimals)

    lines = [
        {**row, "amount_raw": row["signed"], "balance_raw": row["balance"], "balance_minor": minor(row["balance"])}
        for row in rows
    ]
    return Statement.model_validate(
        {
            "account_id": account_id,
            "currency": account.currency,
            "decimals": account.decimals,
            "from": period.start,
            "to": period.end,
            "opening_raw": before,
            "opening_minor": minor(before),
            "closing_raw": closing,
            "closing_minor": minor(closing),
            "lines": lines,
        }
    )


def _booked(queries: Queries, account_id: UUID, kind: str, period: Period) -> tuple[list[RowMapping], int]:
    """The bookings of the period, each signed and with the balance after it; and the balance before the first."""
    liability = chart_of(account_id, kind).liability  # what we owe its holder: a credit is in, a debit is out
    signed = case((postings.c.credit == liability, postings.c.amount_raw), else_=-postings.c.amount_raw)
    order = (postings.c.booked_at, postings.c.version, postings.c.posting_id)
    balance = func.sum(signed).over(order_by=order, rows=(None, 0))
    of_account = postings.c.account_id == account_id, postings.c.phase == "post", postings.c.book == "wallet"
    booked = select(postings, signed.label("signed"), balance.label("balance")).where(*of_account).subquery()
    inside = select(booked).order_by(booked.c.booked_at, booked.c.version, booked.c.posting_id).limit(MOST_LINES + 1)
    if period.start is not None:
        inside = inside.where(booked.c.booked_at >= period.start)
    if period.end is not None:
        inside = inside.where(booked.c.booked_at < period.end)
    rows = queries.rows(inside)
    if len(rows) > MOST_LINES:
        raise BadInput(f"the period has more than {MOST_LINES} lines; ask for a shorter one")
    if rows:
        return rows, int(rows[0]["balance"] - rows[0]["signed"])
    until = period.start or period.end or BEGINNING  # nothing booked inside: the balance stands as it stood before
    earlier = select(func.coalesce(func.sum(booked.c.signed), 0).label("balance")).where(booked.c.booked_at < until)
    return [], int(queries.rows(earlier)[0]["balance"])


def as_csv(told: Statement) -> Iterator[str]:
    """The lines as RFC 4180 CSV with a header, the balance before the first as a line of its own."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, extrasaction="ignore")
    writer.writeheader()
    opening = {"kind": "balance brought forward", "balance_raw": told.opening_raw, "balance_minor": told.opening_minor}
    writer.writerow({"booked_at": told.from_.isoformat() if told.from_ else "", **opening, "currency": told.currency})
    for line in told.lines:
        writer.writerow({**line.model_dump(mode="json"), "currency": told.currency})
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()
