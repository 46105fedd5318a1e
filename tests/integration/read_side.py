"""Worlds brought to the read side, and what must then stand there: what the tests of read models stand on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Engine

from infra.database import engine, transaction
from infra.stack import access
from infra.stack.supervisor import Stack
from schemas.registry import load_codec
from streams.delivered import Delivered
from streams.event_store import store
from streams.event_store.recorded import new_event
from streams.projections import balances, card_ledger, ledger, payments
from streams.projections.balances import BALANCES
from streams.projections.payments import PAYMENTS
from streams.runtime.records import Record
from tests.integration.conftest import Databases
from tests.worlds import World

SWIPE = [
    ("request", 0, 500),
    ("authorize", 0, 0),
    ("submit", 0, 1),
    ("see_leg", 0, 0),
    ("finalize", 0, 0),
    ("finalize", 0, 0),
]
METADATA = {"causation_id": str(UUID(int=1)), "correlation_id": str(UUID(int=2)), "traceparent": "", "actor": "test"}
WAIT_SECONDS = 120


def a_world(taken: Sequence[tuple[str, int, int]] = tuple(SWIPE)) -> World:
    """A customer, a settlement wallet and what happened to them; a swipe that settles unless told otherwise."""
    return World.of(taken, name=uuid4().hex[:12])


def records_of(databases: Databases, events: Sequence[Delivered]) -> list[Record]:
    """As Debezium writes them."""
    return [
        Record(
            *(
                event.message.topic,
                0,
                event.position,
                str(event.stream_id).encode(),
                databases.codec.encode(event.message),
            ),
            headers={
                "ce_id": str(event.event_id),
                "ce_type": event.type,
                "ce_time": event.recorded_at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
                "stream_version": str(event.version),
                "position": str(event.position),
                "correlation_id": str(UUID(int=2)),
            },
            timestamp_ms=0,
        )
        for event in events
    ]


def as_role(stack: Stack, server: str, role: str) -> Engine:
    """A pool of this role's connections."""
    return engine(access.database_url(stack.home, server, role))


def append(stack: Stack, world: World) -> None:
    """As the command handler stores it: each event once, in order. The world then knows the server's times."""
    write = as_role(stack, "write", "commands")
    with transaction(write) as cursor:
        codec = load_codec(cursor)
    for event in world.events:
        with transaction(write) as cursor:
            store.append(cursor, codec, [new_event(event.event_id, event.version, event.message, METADATA)])
    as_stored(stack, world)
    write.dispose()


def as_stored(stack: Stack, world: World) -> None:
    """The world knows the server's positions and times."""
    write = as_role(stack, "write", "commands")
    query = "SELECT event_id, position, recorded_at FROM events WHERE stream_id = ANY(%s)"
    stored = {event_id: rest for event_id, *rest in rows(write, query, list(world.versions))}
    world.events[:] = [
        replace(event, position=stored[event.event_id][0], recorded_at=stored[event.event_id][1])
        for event in world.events
    ]
    write.dispose()


def a_worker(stack: Stack, role: str, number: int, logs: Path) -> subprocess.Popen[bytes]:
    """A worker of the river in a process of its own; `logs`: where it writes."""
    told = {**stack.settings_for(role, number), "PAYRIVER_WEBHOOK_ALLOWED_HOSTS": '["127.0.0.1"]'}
    with (logs / f"{role}-{number}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "api.cli.main", "work", role], env={**os.environ, **told}, stdout=log, stderr=log
        )


def rows(read: Engine, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """What stands there."""
    with transaction(read) as cursor:
        cursor.execute(query, values)
        return cursor.fetchall()


def known(read: Engine, worlds: list[World]) -> bool:
    """Every event of these worlds stands on R with its place in Kafka."""
    wanted = sorted((event.event_id,) for world in worlds for event in world.events)
    streams = [stream_id for world in worlds for stream_id in world.versions]
    query = "SELECT event_id FROM deliveries WHERE stream_id = ANY(%s) AND topic IS NOT NULL ORDER BY event_id"
    return rows(read, query, streams) == wanted


def read_models(read: Engine, world: World) -> dict[str, Any]:
    """Everything that stands on R about a world, without the times and numbers of this very writing."""
    streams = list(world.versions)
    return {
        "payments": rows(read, "SELECT to_jsonb(p) - '{change,changed_in}'::text[] FROM payments p WHERE payment_id = ANY(%s) ORDER BY 1", streams),
        "balances": rows(read, "SELECT to_jsonb(b) FROM balances b WHERE account_id = ANY(%s) ORDER BY 1", streams),
        "postings": rows(read, "SELECT to_jsonb(l) FROM ledger_postings l WHERE account_id = ANY(%s) ORDER BY posting_id", streams),
        "accounts": rows(read, "SELECT to_jsonb(l) FROM ledger_accounts l WHERE account_id = ANY(%s) ORDER BY name", streams),
        "deliveries": rows(read, "SELECT event_id, version, topic, \"offset\" FROM deliveries WHERE stream_id = ANY(%s) ORDER BY 1", streams),
        "versions": rows(read, "SELECT stream_id, version FROM stream_versions WHERE stream_id = ANY(%s) ORDER BY 1", streams),
    }  # fmt: skip


def assert_is_the_fold_of(read: Engine, world: World) -> None:
    """Rows as loaded are the pure folds of the events, and the ledger's sums are the sums of its postings."""
    with transaction(read) as cursor:
        paid = PAYMENTS.load(cursor, world.payments)
        found = {**paid, **BALANCES.load(cursor, [world.customer, world.settlement])}
    assert found.keys() == world.versions.keys()
    for stream_id, row in found.items():
        apply: Any = payments.apply if stream_id in world.payments else balances.apply
        folded = None
        for event in world.of_stream(stream_id):
            folded = apply(folded, event)
        assert row == folded
    for account_id, kind in ((world.customer, "customer"), (world.settlement, "settlement")):
        chart = ledger.chart_of(account_id, kind)
        booked = [p for event in world.of_stream(account_id) for p in ledger.postings(event, chart)]
        if account_id == world.customer:
            booked += [p for each in world.payments for event in world.of_stream(each) for p in card_ledger.postings(event, paid[each])]  # fmt: skip
        sums = ledger.totals(booked)
        shown = rows(
            read,
            "SELECT name, debits_pending, credits_pending, debits_posted, credits_posted FROM ledger_accounts WHERE account_id = %s",
            account_id,
        )
        assert {name: tuple(map(int, amounts)) for name, *amounts in shown} == {
            name: tuple(vars(each).values()) for name, each in sums.items()
        }
