"""Everything that was written down about one payment, on W and on R, by plain questions: no table is interpreted here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from infra.database import Cursor

Rows = list[dict[str, Any]]

EVENTS = """
SELECT position, event_id, stream_id, version, category, type, payload, metadata, recorded_at FROM events
WHERE stream_id = %(payment)s OR (stream_id = %(account)s AND payload ->> 'payment_id' = %(payment)s::text) ORDER BY position
"""
ACCOUNT = "SELECT payload ->> 'account_id' FROM events WHERE stream_id = %s ORDER BY version LIMIT 1"
ANSWERS = """
SELECT command_id, type, business, answer, recorded_at FROM command_answers WHERE answer -> 'events' ?| %s ORDER BY recorded_at
"""
ORDERED = """
SELECT o.id, o.topic, a.recorded_at AS answered_at, a.answer
FROM (SELECT id, topic FROM outbox UNION ALL SELECT id, topic FROM dropped_orders) AS o
LEFT JOIN command_answers AS a ON a.command_id = o.id WHERE o.id = ANY(%s::uuid[])
"""
SAGA = "SELECT * FROM sagas WHERE saga_id = %s"
STEPS = "SELECT * FROM saga_steps WHERE saga_id = %s ORDER BY step"
TIMEOUTS = "SELECT * FROM saga_timeouts WHERE saga_id = %s ORDER BY due_at"
INTENTS = """
SELECT leg_id, kind, amount_raw, target, signer, consumed_hash, state, planned_at FROM chain_intents WHERE payment_id = %s
ORDER BY planned_at
"""
TRANSACTIONS = """
SELECT t.tx_hash, t.leg_id, i.kind, t.sender, t.nonce, t.max_fee_wei, t.state, t.block_number, t.reason, t.signed_at, t.broadcast_at
FROM chain_transactions AS t INNER JOIN chain_intents AS i USING (leg_id) WHERE i.payment_id = %s ORDER BY t.signed_at
"""
SIGHTINGS = """
SELECT s.sighting_id, s.account_id, s.state, s.block_number, s.block_hash, s.block_time, s.tx_hash, s.visit, s.detail,
       b.state AS block_state, b.recorded_at AS block_recorded_at
FROM chain_sightings AS s LEFT JOIN chain_blocks AS b ON b.chain_id = s.chain_id AND b.hash = s.block_hash
WHERE s.sighting_id = ANY(%s::uuid[]) ORDER BY s.block_number, s.account_id
"""
BLOCKS = "SELECT hash, number, time, state, visit, recorded_at FROM chain_blocks WHERE hash = ANY(%s)"
WEBHOOKS = """
SELECT m.message_id, m.event_id, m.type, m.state, m.attempts, m.reason, m.created_at, m.ended_at, m.next_attempt_at, e.url
FROM webhook_messages AS m INNER JOIN webhook_endpoints AS e USING (endpoint_id) WHERE m.event_id = ANY(%s::uuid[])
ORDER BY m.created_at
"""
ATTEMPTS = """
SELECT message_id, attempt, started_at, duration_ms, status, error FROM webhook_attempts WHERE message_id = ANY(%s::uuid[])
ORDER BY started_at
"""
PARKED = """
SELECT parked_id, consumer, topic, partition, "offset", state, reason, error, parked_at, ended_at, ended_by, end_reason
FROM parked_messages WHERE key = ANY(%s) ORDER BY parked_at
"""
DELIVERIES = """SELECT event_id, topic, partition, "offset", recorded_at, delivered_at FROM deliveries WHERE event_id = ANY(%s::uuid[])"""
SHOWN = "SELECT * FROM payments WHERE payment_id = %s"
POSTINGS = """
SELECT posting_id, event_id, account_id, phase, debit, credit, amount_raw, currency, kind, tx_hash, version, booked_at
FROM ledger_postings WHERE payment_id = %s OR tx_hash = ANY(%s) ORDER BY booked_at, version, posting_id
"""
HOLDER = "SELECT * FROM balances WHERE account_id = %s"


@dataclass(frozen=True)
class Record:
    """What each table says of the payment."""

    payment_id: UUID
    account_id: UUID
    events: Rows
    answers: Rows
    ordered: Rows
    saga: dict[str, Any] | None
    steps: Rows
    timeouts: Rows
    intents: Rows
    transactions: Rows
    sightings: Rows
    blocks: Rows
    webhooks: Rows
    attempts: Rows
    parked: Rows
    deliveries: Rows
    shown: dict[str, Any] | None
    postings: Rows
    holder: dict[str, Any] | None


def gather(write: Cursor, read: Cursor, payment_id: UUID) -> Record:
    """Ask every table."""
    (account,) = _ask(write, ACCOUNT, (payment_id,))
    account_id = UUID(next(iter(account.values())))
    events = _ask(write, EVENTS, {"payment": payment_id, "account": account_id})
    event_ids: list[UUID] = [each["event_id"] for each in events]
    steps = _ask(write, STEPS, (payment_id,))
    ordered = [UUID(order["id"]) for step in steps for order in step["commands"]]
    webhooks = _ask(write, WEBHOOKS, (event_ids,))
    hashes = sorted({each["payload"]["tx_hash"] for each in events if each["payload"].get("tx_hash")})
    transfers = sorted({UUID(each["payload"]["transfer_id"]) for each in events if each["payload"].get("transfer_id")})
    blocks = sorted({each["payload"]["block_hash"] for each in events if each["payload"].get("block_hash")})
    return Record(
        payment_id=payment_id,
        account_id=account_id,
        events=events,
        answers=_ask(write, ANSWERS, ([str(each) for each in event_ids],)),
        ordered=_ask(write, ORDERED, (ordered,)),
        saga=_one(_ask(write, SAGA, (payment_id,))),
        steps=steps,
        timeouts=_ask(write, TIMEOUTS, (payment_id,)),
        intents=_ask(write, INTENTS, (payment_id,)),
        transactions=_ask(write, TRANSACTIONS, (payment_id,)),
        sightings=_ask(write, SIGHTINGS, (transfers,)),
        blocks=_ask(write, BLOCKS, (blocks,)),
        webhooks=webhooks,
        attempts=_ask(write, ATTEMPTS, ([each["message_id"] for each in webhooks],)),
        parked=[*_ask(write, PARKED, ([str(payment_id)],)), *_ask(read, PARKED, ([str(payment_id)],))],
        deliveries=_ask(read, DELIVERIES, (event_ids,)),
        shown=_one(_ask(read, SHOWN, (payment_id,))),
        postings=_ask(read, POSTINGS, (payment_id, hashes)),
        holder=_one(_ask(read, HOLDER, (account_id,))),
    )


def _ask(cursor: Cursor, query: str, values: Sequence[Any] | dict[str, Any]) -> Rows:
    cursor.execute(query, values)
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _one(rows: Rows) -> dict[str, Any] | None:
    return rows[0] if rows else None
