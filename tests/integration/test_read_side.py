"""From an append on W to the rows on R and the webhook outside, through the real river; with workers killed and topics rewound."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from infra.database import engine, transaction
from infra.stack import access
from infra.stack.supervisor import Stack
from schemas.registry import load_codec
from streams.event_store import store
from streams.event_store.recorded import new_event
from streams.notifications import endpoints
from streams.runtime import checkpoint
from tests.integration.riverbed import until
from tests.integration.test_projector import METADATA, a_world, assert_is_the_fold_of, read_models
from tests.integration.webhooks import Receiver, receiver, rows
from tests.worlds import World

__all__ = ["receiver"]

TOPICS = ("payments.events", "accounts.events")
WAIT_SECONDS = 120
ROLES = ("projections", "notifications", "sender")


def a_worker(stack: Stack, role: str, number: int, logs: Path) -> subprocess.Popen[bytes]:
    told = {**stack.settings_for(role, number), "PAYRIVER_WEBHOOK_ALLOWED_HOSTS": '["127.0.0.1"]'}
    with (logs / f"{role}-{number}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "api.cli.main", "work", role], env={**os.environ, **told}, stdout=log, stderr=log
        )


@contextmanager
def workers(stack: Stack, logs: Path) -> Iterator[dict[tuple[str, int], subprocess.Popen[bytes]]]:
    """Two of each role of the read side and the notifications."""
    running = {(role, number): a_worker(stack, role, number, logs) for role in ROLES for number in (1, 2)}
    try:
        yield running
    finally:
        for worker in running.values():
            worker.terminate()
        for worker in running.values():
            try:
                worker.wait(15)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()


def as_role(stack: Stack, server: str, role: str) -> Engine:
    return engine(access.database_url(stack.home, server, role))


def append(stack: Stack, world: World) -> None:
    """As the command handler stores it: each event once, in order. The world then knows the server's times."""
    write = as_role(stack, "write", "commands")
    with transaction(write) as cursor:
        codec = load_codec(cursor)
    for event in world.events:
        with transaction(write) as cursor:
            store.append(cursor, codec, [new_event(event.event_id, event.version, event.message, METADATA)])
    query = "SELECT event_id, position, recorded_at FROM events WHERE stream_id = ANY(%s)"
    stored = {event_id: rest for event_id, *rest in rows(write, query, list(world.versions))}
    world.events[:] = [
        replace(event, position=stored[event.event_id][0], recorded_at=stored[event.event_id][1])
        for event in world.events
    ]
    write.dispose()


def rewind(stack: Stack) -> None:
    for server, consumer in (("read", "projections"), ("write", "notifications")):
        with transaction(as_role(stack, server, "operator")) as cursor:
            for topic in TOPICS:
                checkpoint.rewind(cursor, consumer, topic)


def known(read: Engine, worlds: list[World]) -> bool:
    """Every event of these worlds stands on R with its place in Kafka."""
    wanted = sorted((event.event_id,) for world in worlds for event in world.events)
    streams = [stream_id for world in worlds for stream_id in world.versions]
    query = "SELECT event_id FROM deliveries WHERE stream_id = ANY(%s) AND topic IS NOT NULL ORDER BY event_id"
    return rows(read, query, streams) == wanted


def caught_up(stack: Stack) -> bool:
    """No consumer has moved its checkpoint for a second."""
    query = "SELECT coalesce(bool_and(moved_at < clock_timestamp() - interval '1 second'), true) FROM checkpoints WHERE consumer = %s"
    return all(
        rows(as_role(stack, server, "auditor"), query, consumer) == [(True,)]
        for server, consumer in (("read", "projections"), ("write", "notifications"))
    )


@pytest.mark.timeout(600)
def test_what_is_appended_is_read_and_announced_once_whoever_dies(
    stack: Stack, receiver: Receiver, tmp_path: Path
) -> None:
    read, operator = as_role(stack, "read", "projections"), as_role(stack, "write", "operator")
    with transaction(operator) as cursor:
        endpoint, secret = endpoints.register(
            cursor, receiver.url, ["card.transaction.created"], allowed_hosts={"127.0.0.1"}
        )
        cursor.execute("UPDATE webhook_endpoints SET enabled_at = '2020-01-01'")
    worlds = [a_world() for _ in range(12)]
    with workers(stack, tmp_path) as running:
        for world in worlds[:6]:
            append(stack, world)
        until(lambda: known(read, worlds[:6]), "the first events on R", WAIT_SECONDS)
        for role in ROLES:
            running[role, 1].send_signal(signal.SIGKILL)
        for world in worlds[6:]:
            append(stack, world)
        until(lambda: known(read, worlds), "all events on R, with one worker of each role killed", WAIT_SECONDS)
        for world in worlds:
            assert_is_the_fold_of(read, world)
        announced = "SELECT count(*)::int FROM webhook_messages WHERE endpoint_id = %s AND state = 'delivered'"
        until(
            lambda: rows(operator, announced, endpoint.endpoint_id) == [(12,)],
            "twelve webhooks delivered",
            WAIT_SECONDS,
        )

        before: list[dict[str, Any]] = [read_models(read, world) for world in worlds]
        rewind(stack)
        until(lambda: caught_up(stack), "the rewound consumers", WAIT_SECONDS)
        assert [read_models(read, world) for world in worlds] == before
        assert rows(operator, announced, endpoint.endpoint_id) == [(12,)]
    told = {each["data"]["payment_id"] for each in receiver.verified(secret)}
    assert told == {str(world.payments[0]) for world in worlds} and len(set(receiver.ids())) == 12
    for server in ("read", "write"):
        assert (
            rows(
                as_role(stack, server, "operator"),
                "SELECT * FROM parked_messages WHERE consumer = ANY(%s)",
                list(ROLES),
            )
            == []
        )
