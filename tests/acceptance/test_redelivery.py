"""Every consumer is rewound to the beginning of its topics, on the live system: nothing changes, nobody is told twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

import pytest
from sqlalchemy import Engine

from api.demo.world import ScenarioFailed, World
from infra.database import Cursor, transaction
from schemas.topics import SUBSCRIPTIONS
from streams.runtime import checkpoint

ON_WRITE = {
    "events": "position, event_id, hash",
    "streams": "stream_id, version, head_hash",
    "command_answers": "command_id, fingerprint",
    "outbox": "id, payload",
    "sagas": "saga_id, state, handled, data",
    "saga_steps": "saga_id, step, input, to_state",
    "saga_timeouts": "saga_id, name, due_at, state",
    "chain_intents": "leg_id, state",
    "chain_transactions": "tx_hash, nonce, state",
    "webhook_messages": "message_id, body, state",
    "parked_messages": 'consumer, topic, partition, "offset", key, state',
}
ON_READ = {
    "deliveries": 'event_id, partition, "offset", payload',
    "payments": "payment_id, state, outcome, version",
    "balances": "account_id, final_raw, held_raw, pending_out_raw, version",
    "ledger_postings": "posting_id, debit, credit, amount_raw",
    "ledger_accounts": "name, debits_pending, credits_pending, debits_posted, credits_posted",
}


@pytest.mark.usefixtures("still")
def test_rewinding_every_consumer_changes_nothing(world: World, agrees: Callable[[], None]) -> None:
    before, told = _everything(world), dict(world.receiver.received)
    reached = _reached(world)
    for each in SUBSCRIPTIONS:
        with transaction(_owner(world, each.server)) as cursor:
            for topic in each.topics:
                checkpoint.rewind(cursor, each.component, topic, 0)
    assert _reached(world) != reached

    def behind() -> dict[tuple[str, str, int], int]:
        now = _reached(world)
        return {place: now[place] for place in reached if now[place] != reached[place]}

    with suppress(ScenarioFailed):
        world.until("all have read their topics again", lambda: not behind(), 120)
    assert behind() == {}, "these have not read their topics again"
    agrees()
    after = _everything(world)
    changed = {table: sorted(before[table] ^ after[table])[:6] for table in before}
    assert {table: rows for table, rows in changed.items() if rows} == {}
    assert dict(world.receiver.received) == told


def _everything(world: World) -> dict[str, set[str]]:
    return _rows(world.auditor.write, ON_WRITE) | _rows(world.auditor.read, ON_READ)


def _rows(database: Engine, tables: Mapping[str, str]) -> dict[str, set[str]]:
    """Each row as text, by table; all of these tables have a key among their columns."""
    with transaction(database) as cursor:
        return {table: set(_told(cursor, f"SELECT {columns} FROM {table}")) for table, columns in tables.items()}


def _told(cursor: Cursor, query: str) -> list[str]:
    cursor.execute(query)
    return [repr([bytes(each) if isinstance(each, memoryview) else each for each in row]) for row in cursor.fetchall()]


def _reached(world: World) -> dict[tuple[str, str, int], int]:
    """Consumer, topic and partition -> the offset that it wants next."""
    found: dict[tuple[str, str, int], int] = {}
    for database in (world.auditor.write, world.auditor.read):
        with transaction(database) as cursor:
            cursor.execute("SELECT consumer, topic, partition, next_offset FROM checkpoints")
            found |= {(consumer, topic, partition): offset for consumer, topic, partition, offset in cursor.fetchall()}
    return found


def _owner(world: World, server: str) -> Engine:
    return world.operator.write if server == "write" else world.operator.read
