"""The past: an aggregate, a payment or a balance as of a version, a time or a block, and what changed between two points.

Everything is folded from the events, by the same functions as the present; nothing is kept for it but the events themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from infra.database import Cursor
from infra.errors import BadInput, NotFound
from streams.delivered import from_store
from streams.event_store import store
from streams.event_store.frozen import to_plain
from streams.event_store.points import Point, block_at, version_at
from streams.event_store.recorded import RecordedEvent
from streams.event_store.states import PAGE, At, state_at
from streams.projections import balances, payments
from streams.projections.balances import BalanceRow
from streams.projections.payments import PaymentRow

Row = TypeVar("Row")
OPENED = "SELECT payload FROM events WHERE stream_id = %s AND version = 1 AND category = 'account'"
MOVED = """
SELECT coalesce(sum(CASE payload ->> 'direction' WHEN 'in' THEN 1 ELSE -1 END * (payload ->> 'amount_raw')::numeric), 0) FROM events
WHERE stream_id = %s AND type = 'TransferFinalized' AND (payload ->> 'block_number')::bigint <= %s
"""


@dataclass(frozen=True)
class Change:
    """One value of a state that is another than before. `path`: its field, and the key where it is one of several; None: not there."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Diff:
    """What happened to a stream between two points (the first excluded, the second included), and what it changed."""

    stream_id: UUID
    category: str
    before: At
    after: At
    events: tuple[RecordedEvent, ...]
    changes: tuple[Change, ...]


def as_of(cursor: Cursor, stream_id: UUID, point: Point) -> At:
    """The aggregate at a point. Raises NotFound where it did not exist yet, BadInput for a point that is still to come."""
    at = state_at(cursor, stream_id, version_at(cursor, stream_id, point))
    assert at is not None, "a stream that has a version has events"
    return at


def diff(cursor: Cursor, stream_id: UUID, start: Point, end: Point, most: float = math.inf) -> Diff:
    """From one point to another. Raises as `as_of` does, and BadInput where it leads backwards or over more than `most` events."""
    before, after = as_of(cursor, stream_id, start), as_of(cursor, stream_id, end)
    if before.event.version > after.event.version:
        raise BadInput(
            f"{start} lies behind {end} (versions {before.event.version}, {after.event.version}): turn them round"
        )
    if (count := after.event.version - before.event.version) > most:
        raise BadInput(
            f"{count} events lie between {start} and {end}, which is more than {most}: ask for a shorter stretch, page through the stream's "
            "events, or say `payriver diff` on the machine"
        )
    events = store.read_stream(cursor, stream_id, after=before.event.version, up_to=after.event.version)
    return Diff(
        stream_id, after.event.category, before, after, tuple(events), tuple(changes(before.state, after.state))
    )


def changes(before: Any, after: Any) -> Iterator[Change]:
    """What differs between two states of one class, field by field, and key by key of what holds several."""
    told, now = flat(to_plain(before)), flat(to_plain(after))
    for path in dict.fromkeys((*told, *now)):
        if told.get(path) != now.get(path):
            yield Change(path, told.get(path), now.get(path))


def flat(plain: Mapping[str, Any], under: str = "") -> dict[str, Any]:
    """A state's JSON values by path: `holds[0b1f...]`, `allowances.final.balance`."""
    found: dict[str, Any] = {}
    for name, value in plain.items():
        path = f"{under}{name}"
        if isinstance(value, dict):
            found |= flat(value, f"{path}.")
        elif _is_mapping(value):
            for key, each in value:
                found |= flat(each, f"{path}[{key}].") if isinstance(each, dict) else {f"{path}[{key}]": each}
        elif value != []:
            found[path] = value
    return found


def payment_as_of(cursor: Cursor, payment_id: UUID, point: Point) -> PaymentRow:
    """The payment as the read model would have shown it. Raises as `as_of` does."""
    return _shown(cursor, payment_id, point, "payment", payments.apply)


def balance_as_of(cursor: Cursor, account_id: UUID, point: Point) -> tuple[BalanceRow, tuple[int, int] | None]:
    """The account as the read model would have shown it, and the newest block known then: (number, Unix seconds)."""
    row = _shown(cursor, account_id, point, "account", balances.apply)
    return row, block_at(cursor, point, row.changed_at)


def chain_balance_raw(cursor: Cursor, account_id: UUID, block_number: int) -> int:
    """What the wallet held at the end of a block, by all that is final today: what the chain's own `balanceOf` says there.

    Raises NotFound for a block before the account came under watch.
    """
    cursor.execute(OPENED, (account_id,))
    row = cursor.fetchone()
    if row is None:
        raise NotFound(f"there is no account {account_id}")
    if block_number < row[0]["block_number"]:
        raise NotFound(f"account {account_id} is under watch since block {row[0]['block_number']}")
    cursor.execute(MOVED, (account_id, block_number))
    return int(row[0]["opening_balance_raw"]) + int(cursor.fetchall()[0][0])


def _shown(
    cursor: Cursor, stream_id: UUID, point: Point, category: str, apply: Callable[[Row | None, Any], Row]
) -> Row:
    version, after = version_at(cursor, stream_id, point), 0
    row: Row | None = None
    while after < version:
        for event in store.read_stream(cursor, stream_id, after=after, up_to=min(after + PAGE, version)):
            if event.category != category:
                raise NotFound(f"{stream_id} is no {category}")
            row = apply(row, from_store(event))
        after += PAGE
    assert row is not None, "a stream that has a version has events"
    return row


def _is_mapping(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, list) and len(each) == 2 for each in value)
