"""A real river's outbox in slices: filled, delivered, looked at and dropped, by hand; what the tests of dropped slices stand on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg2

from api.roots.provisioning import Doors
from connectors.debezium.retention import Retention, Slice
from infra.database import engine, transaction
from infra.stack import access
from infra.stack.supervisor import Stack
from infra.telemetry import new_traceparent
from schemas.messages.account_commands import FreezeCard
from schemas.registry import load_codec
from streams.event_store import slices, store
from streams.event_store.store import OutgoingCommand
from streams.runtime import replay
from tests.integration.outbox import every_record, header
from tests.integration.read_side import a_world, append, as_role, known
from tests.integration.recovery_side import TOPICS, rows
from tests.waiting import until
from tests.worlds import World

ROWS = 20_000_000
NEXT = "SELECT setval('outbox_numbers', ((SELECT last_value FROM outbox_numbers) / %s + 1) * %s)"
SOON = timedelta(minutes=5)


@contextmanager
def retention(stack: Stack, patience_seconds: float = 30.0) -> Iterator[Retention]:
    """As `payriver archive --outbox` makes it; its connections end with the block, as those of a process do."""
    doors = Doors.of(stack)
    write = engine(doors.write_url, pool_size=1, application_name="payriver archive", frozen_seconds=0)
    read = engine(doors.read_url, pool_size=1)
    try:
        yield Retention(write, read, patience_seconds)
    finally:
        write.dispose()
        read.dispose()


def look(stack: Stack, before: datetime | None = None) -> list[Slice]:
    with retention(stack) as ours:
        return list(ours.look(before or datetime.now(UTC) + SOON, lambda _: None))


def drop(stack: Stack, patience_seconds: float = 30.0, tell: Any = lambda _: None) -> list[Slice]:
    with retention(stack, patience_seconds) as ours:
        found = ours.drop(datetime.now(UTC) + SOON, "ana", tell)
        return [each for each in found if not each.stays]


def next_slice(stack: Stack) -> None:
    """As if the newest slice had been filled."""
    with stack.postgres("write").superuser() as cursor:
        cursor.execute(NEXT, (ROWS, ROWS))
    slices.open_slices(as_role(stack, "write", "owner"))


def filled(stack: Stack) -> tuple[World, str]:
    """A world's events in a slice, all delivered, and two slices after it; with the slice's name."""
    world = a_world()
    append(stack, world)
    until(lambda: known(as_role(stack, "read", "projections"), [world]), "the world on R")
    [(number,)] = rows(stack, "SELECT last_value / 20000000 FROM outbox_numbers")
    next_slice(stack)
    next_slice(stack)
    return world, f"outbox_{number}"


def stays(stack: Stack, name: str, before: datetime | None = None) -> str:
    """Why the slice does."""
    return next(each.stays for each in look(stack, before) if each.name == name)


def is_there(stack: Stack, name: str) -> bool:
    return rows(stack, f"SELECT to_regclass('{name}') IS NOT NULL") == [(True,)]


@contextmanager
def somebody(stack: Stack, role: str, statement: str) -> Iterator[None]:
    """A transaction that rests after this statement."""
    connection = psycopg2.connect(access.database_url(stack.home, "write", role), application_name="a forgotten psql")
    try:
        connection.cursor().execute(statement)
        yield
    finally:
        connection.close()


def order(stack: Stack, account_id: UUID) -> UUID:
    """Through the outbox, as a person gives it."""
    message = FreezeCard(account_id=account_id, reason="stolen")
    sent = OutgoingCommand(uuid4(), message, new_traceparent(), uuid4(), uuid4())
    with transaction(as_role(stack, "write", "operator")) as cursor:
        store.send(cursor, load_codec(cursor), [sent])
    return sent.command_id


def poison(stack: Stack) -> UUID:
    message_id = uuid4()
    with transaction(as_role(stack, "write", "operator")) as cursor:
        cursor.execute(
            "SELECT send_commands(ARRAY[%s]::uuid[], '{accounts.commands}', ARRAY[%s], '{Broken}', ARRAY['broken'::bytea],"
            " ARRAY[%s], ARRAY[%s], ARRAY[%s])",
            (message_id, str(uuid4()), new_traceparent(), str(uuid4()), str(uuid4())),
        )
    return message_id


def parked(stack: Stack, message_id: UUID) -> Any:
    with transaction(as_role(stack, "write", "operator")) as cursor:
        return next((m for m in replay.find(cursor) if m.record.headers["ce_id"] == str(message_id)), None)


def discard(stack: Stack, message_id: UUID) -> None:
    operator = as_role(stack, "write", "operator")
    replay.discard(operator, parked(stack, message_id).parked_id, by="test", reason="broken on purpose")


def told_once(stack: Stack) -> list[str]:
    """The events on the topics: each stands there once."""
    found = sorted(str(header(record, "ce_id")) for record in every_record(stack, TOPICS))
    assert len(found) == len(set(found))
    return found


def delivered_on_r(stack: Stack) -> int:
    with stack.postgres("read").superuser() as cursor:
        cursor.execute("SELECT count(*) FROM deliveries WHERE topic IS NOT NULL")
        return int(cursor.fetchall()[0][0])


@contextmanager
def somebody_who_reads_later(stack: Stack) -> Iterator[Any]:
    """Whose transaction begins after the slice was looked at."""
    connection = psycopg2.connect(access.database_url(stack.home, "write", "auditor"))

    def tell(what: str) -> None:
        if what.startswith("waiting"):
            connection.cursor().execute("SELECT count(*) FROM outbox")

    try:
        yield tell
    finally:
        connection.close()


def placed(stack: Stack, world: World) -> tuple[str, int]:
    """Where the first event of the world stands."""
    with stack.postgres("read").superuser() as cursor:
        cursor.execute("SELECT topic, partition FROM deliveries WHERE event_id = %s", (world.events[0].event_id,))
        [(topic, partition)] = cursor.fetchall()
        return str(topic), int(partition)


def lacking(stack: Stack) -> set[str]:
    return {str(row[0]) for row in rows(stack, "SELECT event_id FROM events")} - set(told_once(stack))
