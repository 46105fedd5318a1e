"""Every consumer is rewound to the beginning of its topics, on the live system: nothing changes, nobody is told twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

import pytest
from sqlalchemy import Engine

from api.demo.world import World
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
    "parked_messages": "consumer, topic, partition, key, state",
}
ON_READ = {
    "deliveries": 'event_id, partition, "offset", payload',
    "payments": "payment_id, state, outcome, version",
    "balances": "account_id, final_raw, held_raw, pending_out_raw, version",
    "ledger_postings": "posting_id, debit, credit, amount_raw",
    "ledger_accounts": "name, debits_pending, credits_pending, debits_posted, credits_posted",
}


@pytest.mark.long
def test_rewinding_every_consumer_changes_nothing(world: World, agrees: Callable[[], None]) -> None:
    world.chain.stop_mining()
    agrees()
    before, told = _everything(world), dict(world.receiver.received)
    reached = {each.component: _reached(_database(world, each.server), each.component) for each in SUBSCRIPTIONS}
    for each in SUBSCRIPTIONS:
        with transaction(_owner(world, each.server)) as cursor:
            for topic in each.topics:
                checkpoint.rewind(cursor, each.component, topic, 0)
    for each in SUBSCRIPTIONS:
        database = _database(world, each.server)
        world.until(
            f"{each.component} has read its topics again",
            lambda database=database, name=each.component: _reached(database, name) == reached[name],  # type: ignore[misc]
            seconds=120,
        )
    agrees()
    assert _everything(world) == before
    assert dict(world.receiver.received) == told
    world.chain.interval_mining(1)


def _everything(world: World) -> dict[str, str]:
    return _digests(world.auditor.write, ON_WRITE) | _digests(world.auditor.read, ON_READ)


def _digests(database: Engine, tables: Mapping[str, str]) -> dict[str, str]:
    with transaction(database) as cursor:
        return {table: _digest(cursor, table, columns) for table, columns in tables.items()}


def _digest(cursor: Cursor, table: str, columns: str) -> str:
    cursor.execute(f"SELECT {columns} FROM {table} ORDER BY {columns.split(', data')[0].split(', payload')[0]}")
    rows = [tuple(bytes(each) if isinstance(each, memoryview) else each for each in row) for row in cursor.fetchall()]
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def _reached(database: Engine, consumer: str) -> list[tuple[str, int, int]]:
    with transaction(database) as cursor:
        cursor.execute(
            "SELECT topic, partition, next_offset FROM checkpoints WHERE consumer = %s ORDER BY 1, 2", (consumer,)
        )
        return cursor.fetchall()


def _database(world: World, server: str) -> Engine:
    return world.auditor.write if server == "write" else world.auditor.read


def _owner(world: World, server: str) -> Engine:
    return world.operator.write if server == "write" else world.operator.read
