"""What is asked of the read side: SQLAlchemy Core on R, one statement a question, rows turned into the API's values.

Pages are by keyset: a cursor names the last row that was given, so a page costs the same however deep it lies and nothing is skipped
or shown twice because something was added meanwhile.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from operator import eq, ge, lt
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, Engine, RowMapping, Select, and_, exists, or_, select
from sqlalchemy.exc import DBAPIError

from api.answers.models import Account, AccountPage, Event, EventPage
from api.answers.payment_models import Payment, PaymentPage
from api.answers.tables import account_holders, balances, deliveries, payments
from infra.errors import BadInput, NotFound
from streams.projections.balances import BalanceRow
from streams.projections.rows import from_sql

KEYS = {"payment": payments.c.payment_id, "account": balances.c.account_id}
"""What has a stream -> where the read side has its id."""


@dataclass(frozen=True)
class PaymentFilter:
    """Which payments: each None means any. `since` is inclusive, `until` exclusive; both are of `requested_at`.

    Raises BadInput where nothing can lie between them.
    """

    account_id: UUID | None = None
    outcome: str | None = None
    state: str | None = None
    origin: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        if self.since and self.until and self.since >= self.until:
            raise BadInput(
                f"since {self.since.isoformat()} is not before until {self.until.isoformat()}; send them the other way round"
            )

    def conditions(self) -> list[ColumnElement[bool]]:
        """As SQL."""
        told: list[tuple[Any, ColumnElement[Any], Callable[[Any, Any], ColumnElement[bool]]]] = [
            (self.account_id, payments.c.account_id, eq),
            (self.outcome, payments.c.outcome, eq),
            (self.state, payments.c.state, eq),
            (self.origin, payments.c.origin, eq),
            (self.since, payments.c.requested_at, ge),
            (self.until, payments.c.requested_at, lt),
        ]
        return [compare(column, value) for value, column, compare in told if value is not None]


class Queries:
    """The read side, by questions. Thread-safe. Raises NotFound, and BadInput for a cursor that we did not give."""

    def __init__(self, read: Engine) -> None:
        self.engine = read.execution_options(
            isolation_level="AUTOCOMMIT"
        )  # one statement a question: no transaction around it

    def payments(self, wanted: PaymentFilter, cursor: str | None, limit: int) -> PaymentPage:
        """A page of payments, the newest first."""
        query = select(payments).where(*wanted.conditions())
        if cursor is not None:
            query = query.where(_after_payment(cursor))
        query = query.order_by(payments.c.requested_at.desc(), payments.c.payment_id).limit(limit + 1)
        rows = self.rows(query)
        shown = [Payment.model_validate(row) for row in rows[:limit]]
        more = len(rows) > limit
        last = [shown[-1].requested_at.isoformat(), str(shown[-1].payment_id)] if more else None
        return PaymentPage(payments=shown, next_cursor=_cursor(last))

    def payment(self, payment_id: UUID) -> Payment:
        """One payment."""
        return Payment.model_validate(
            self._one(select(payments).where(payments.c.payment_id == payment_id), f"payment {payment_id}")
        )

    def events(self, stream_id: UUID, what: str, after: int, limit: int) -> EventPage:
        """The events of what is called so, after version `after`, as they were delivered. Raises NotFound, also for the id of another kind."""
        key = KEYS[what]
        query = select(deliveries).where(deliveries.c.stream_id == stream_id, deliveries.c.version > after)
        query = query.where(exists().where(key == stream_id))
        rows = self.rows(query.order_by(deliveries.c.version).limit(limit + 1))
        if not rows:
            self._one(select(key).where(key == stream_id), f"{what} {stream_id}")
        shown = [Event.model_validate(row) for row in rows[:limit]]
        return EventPage(stream_id=stream_id, events=shown, next_after=shown[-1].version if len(rows) > limit else None)

    def accounts(self, kind: str | None, cursor: str | None, limit: int) -> AccountPage:
        """A page of accounts, by id."""
        query = select(balances)
        if kind is not None:
            query = query.where(balances.c.kind == kind)
        if cursor is not None:
            query = query.where(balances.c.account_id > _told(cursor, _uuid, 1)[0])
        rows = self.rows(query.order_by(balances.c.account_id).limit(limit + 1))
        shown = [Account.model_validate(row) for row in rows[:limit]]
        return AccountPage(
            accounts=shown, next_cursor=_cursor([str(shown[-1].account_id)] if len(rows) > limit else None)
        )

    def account(self, account_id: UUID) -> Account:
        """One account."""
        return Account.model_validate(self._account(account_id))

    def accounts_of(self, person_id: UUID) -> list[UUID]:
        """The accounts of a person, by id."""
        query = select(account_holders.c.account_id).where(account_holders.c.person_id == person_id)
        return [row["account_id"] for row in self.rows(query.order_by(account_holders.c.account_id))]

    def balance(self, account_id: UUID) -> BalanceRow:
        """One account's row, for the arithmetic of what may be spent."""
        return BalanceRow(**{name: from_sql(value) for name, value in self._account(account_id).items()})

    def _account(self, account_id: UUID) -> RowMapping:
        return self._one(select(balances).where(balances.c.account_id == account_id), f"account {account_id}")

    def rows(self, query: Select[Any]) -> list[RowMapping]:
        """Ask."""
        try:
            return self._once(query)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            return self._once(query)  # the server was restarted: what the pool held is gone, a new connection is not

    def _once(self, query: Select[Any]) -> list[RowMapping]:
        with self.engine.connect() as connection:
            return list(connection.execute(query).mappings())

    def _one(self, query: Select[Any], what: str) -> RowMapping:
        rows = self.rows(query)
        if not rows:
            raise NotFound(f"there is no {what}")
        return rows[0]


def _after_payment(cursor: str) -> ColumnElement[bool]:
    requested_at, payment_id = _told(cursor, lambda told: (datetime.fromisoformat(told[0]), UUID(told[1])), 2)
    # The first condition alone bounds the index scan; the second says where in a tie we were.
    return and_(
        payments.c.requested_at <= requested_at,
        or_(payments.c.requested_at < requested_at, payments.c.payment_id > payment_id),
    )


def _cursor(told: list[str] | None) -> str | None:
    return base64.urlsafe_b64encode(orjson.dumps(told)).decode().rstrip("=") if told else None


def _uuid(told: list[str]) -> tuple[UUID]:
    return (UUID(told[0]),)


def _told(cursor: str, read: Any, length: int) -> Any:
    try:
        told = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(told, list) or len(told) != length or not all(isinstance(each, str) for each in told):
            raise ValueError("not what we put into a cursor")
        return read(told)
    except (ValueError, binascii.Error) as error:
        raise BadInput(
            f"cursor {cursor[:80]!r} is not one of ours; send the `next_cursor` of the page before, or none"
        ) from error
