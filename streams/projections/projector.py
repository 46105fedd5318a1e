"""Folds delivered events into the read models on R: a run at a time, in the run's own transaction, each event once.

decode -> leave out what was put aside -> skip what a stream's version says is known, fetch what it says is missing -> fold -> write. Whatever
is delivered again, from whatever offset, changes nothing. A new read model is a file beside this one and a line in `project`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from psycopg2.extras import execute_values
from sqlalchemy import Engine

from infra.database import Cursor
from infra.errors import Retry
from schemas.codec import Codec
from streams import set_aside
from streams.delivered import Delivered, from_record
from streams.projections import card_ledger, deliveries, ledger, persons
from streams.projections.balances import BALANCES, BalanceRow
from streams.projections.gaps import Gap, GapReader
from streams.projections.payments import PAYMENTS, PaymentRow
from streams.runtime.records import Record

CHANNEL, ANEW = "payments_changed", "all"
"""What open pages listen on: how many payments a run changed, or that each may be another one now."""
KNOWN = "SELECT stream_id, version FROM stream_versions WHERE stream_id = ANY(%s) ORDER BY stream_id FOR UPDATE"
BEGIN = "INSERT INTO stream_versions (stream_id, version) VALUES %s ON CONFLICT (stream_id) DO NOTHING"
MOVE = """
UPDATE stream_versions AS s SET version = m.version FROM (VALUES %s) AS m (stream_id, version) WHERE s.stream_id = m.stream_id
"""


@dataclass(frozen=True)
class Projector:
    """The handler of all topics of events on R. `write_engine`: the event store on W, for gaps."""

    codec: Codec
    write_engine: Engine

    @property
    def gaps(self) -> GapReader:
        """Who reads the event store on W."""
        return GapReader(self.write_engine)

    def apply(self, cursor: Cursor, records: Sequence[Record]) -> None:
        """Project the run. Raises NotFound for a gap that W does not fill; Undecodable, UnknownType for what is no event of ours."""
        self.take(cursor, self.decoded(records))

    def decoded(self, records: Sequence[Record]) -> list[Delivered]:
        """What the records say. Raises Undecodable, UnknownType."""
        return [from_record(self.codec, record) for record in records]

    def take(self, cursor: Cursor, events: Sequence[Delivered]) -> list[Delivered]:
        """Project events; gives those that were new, and what filled gaps before them. Raises NotFound."""
        delivered = set_aside.without(cursor, events)
        known = _known_versions(cursor, {event.stream_id for event in delivered})
        fresh = _fresh(delivered, known, self.gaps)
        deliveries.write(cursor, [*delivered, *fresh])
        if fresh:
            _move_versions(cursor, known, fresh)
            project(cursor, fresh)
        return fresh


def project(cursor: Cursor, events: Sequence[Delivered]) -> None:
    """Fold events, each new and in its stream's order, into every read model."""
    payments = PAYMENTS.project(cursor, events)
    balances = BALANCES.project(cursor, events)
    persons.PERSONS.project(cursor, events)
    persons.hold(cursor, events)
    ledger.book(cursor, [posting for event in events for posting in _booked(event, payments, balances)])
    if payments:
        cursor.postpone("SELECT pg_notify(%s, %s)", (CHANNEL, str(len(payments))))


def _booked(
    event: Delivered, payments: Mapping[UUID, PaymentRow], balances: Mapping[UUID, BalanceRow]
) -> list[ledger.Posting]:
    """What an event books: in the wallets' book, in the card book, or nothing."""
    if event.stream_id in balances:
        return ledger.postings(event, ledger.chart_of(event.stream_id, balances[event.stream_id].kind))
    payment = payments.get(event.stream_id)
    return card_ledger.postings(event, payment) if payment else []


def _fresh(delivered: Sequence[Delivered], known: Mapping[UUID, int], reader: GapReader) -> list[Delivered]:
    """What is new, in order and without a gap in any stream."""
    heads, gaps, ahead = dict(known), [], []
    for event in delivered:
        head = heads.get(event.stream_id, 0)
        if event.version <= head:
            continue
        gap = Gap(event.stream_id, head, event.version) if event.version > head + 1 else None
        gaps += [gap] if gap else []
        ahead.append((gap, event))
        heads[event.stream_id] = event.version
    missing = reader.fill(gaps)
    return [each for gap, event in ahead for each in (*(missing[gap] if gap else ()), event)]


def _known_versions(cursor: Cursor, stream_ids: set[UUID]) -> dict[UUID, int]:
    """How far each stream is known; the rows stay locked, so that a replay by an operator waits for this run and this run for it."""
    cursor.execute(KNOWN, (list(stream_ids),))
    return dict(cursor.fetchall())


def _move_versions(cursor: Cursor, known: Mapping[UUID, int], events: Sequence[Delivered]) -> None:
    heads = {event.stream_id: event.version for event in events}
    begun = [(stream_id, version) for stream_id, version in sorted(heads.items()) if stream_id not in known]
    moved = [(stream_id, version) for stream_id, version in sorted(heads.items()) if stream_id in known]
    if begun:
        execute_values(cursor, BEGIN, begun, page_size=len(begun))
        if cursor.rowcount != len(begun):
            raise Retry(f"of {len(begun)} new streams somebody else has begun {len(begun) - cursor.rowcount} just now")
    cursor.postpone_values(MOVE, moved)
