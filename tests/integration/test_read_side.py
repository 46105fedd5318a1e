"""From an append on W to the rows on R and the webhook outside, through the real river; with workers killed and topics rewound."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from infra.database import transaction
from infra.stack.supervisor import Stack
from streams.notifications import endpoints
from streams.runtime import checkpoint
from tests.integration.read_side import (
    WAIT_SECONDS,
    a_worker,
    a_world,
    append,
    as_role,
    assert_is_the_fold_of,
    known,
    read_models,
    rows,
)
from tests.integration.webhooks import Receiver, receiver
from tests.waiting import until

__all__ = ["receiver"]

TOPICS = ("payments.events", "accounts.events")
ROLES = ("projections", "notifications", "sender")


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


def rewind(stack: Stack) -> None:
    for server, consumer in (("read", "projections"), ("write", "notifications")):
        with transaction(as_role(stack, server, "operator")) as cursor:
            for topic in TOPICS:
                checkpoint.rewind(cursor, consumer, topic)


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
            cursor, receiver.url, ["card.transaction.created"], allowed_hosts={"127.0.0.1"}, by="test"
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
