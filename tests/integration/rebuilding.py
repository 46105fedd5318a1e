"""The read models made anew by `payriver projections rebuild`, as a person does it: what its tests stand on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from connectors.verify.report import Difference, Verification
from connectors.verify.verification import verify
from infra.migrations import dump
from infra.stack import access
from infra.stack.supervisor import Stack
from streams.projections.second_copy import MODELS
from tests.integration.read_side import a_worker, as_role, rows

WHY = "a row was changed by hand"


def command(stack: Stack, *words: str, failpoint: str = "") -> subprocess.CompletedProcess[str]:
    """`payriver projections ...` in a process of its own, as role owner; it may be told where to die."""
    told = {**os.environ, **stack.settings_for("owner"), **({"PAYRIVER_FAILPOINT": failpoint} if failpoint else {})}
    return subprocess.run(
        [sys.executable, "-m", "api.cli.main", "projections", *words],
        env=told, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def rebuild(stack: Stack, *words: str) -> dict[str, Any]:
    """It comes to its end; what it says."""
    done = command(stack, "rebuild", "--reason", WHY, "--by", "ana", "--yes", "--json", *words)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["state"] == "done"
    return told


@contextmanager
def working(stack: Stack, logs: Path, *roles: str, each: int = 1) -> Iterator[None]:
    """Workers of these roles, until the block ends."""
    running = [a_worker(stack, role, number + 1, logs) for role in roles for number in range(each)]
    try:
        yield
    finally:
        for worker in running:
            worker.terminate()
        for worker in running:
            worker.wait(30)


def spoil(stack: Stack, payment_id: uuid.UUID) -> None:
    """What a rebuild is for: rows that say otherwise than the events."""
    with stack.postgres("read").superuser() as cursor:
        cursor.execute(
            "UPDATE payments SET outcome = 'declined', amount_minor = 1 WHERE payment_id = %s", (payment_id,)
        )
        assert cursor.rowcount == 1
        cursor.execute("DELETE FROM ledger_postings WHERE payment_id = %s", (payment_id,))
        assert cursor.rowcount > 0


def wrong(stack: Stack) -> list[Difference]:
    """What `verify` finds of the read models; a made-up world has no chain and no sagas, and its poison no row in the outbox."""
    result: Verification = verify(
        as_role(stack, "write", "auditor"), as_role(stack, "read", "auditor"), None, patience=10
    )
    return [each for each in result.differences if each.table in MODELS and each.table != "parked_messages"]


def shape(stack: Stack) -> str:
    """R's tables, indexes, checks and grants."""
    return dump.schemas(stack)["read"]


def trail(stack: Stack) -> list[tuple[Any, ...]]:
    """Who made them anew: state, by whom, why, and how it ended."""
    return rows(
        as_role(stack, "read", "auditor"),
        "SELECT state, begun_by, reason, end_reason FROM rebuilds ORDER BY rebuild_id",
    )


def produce(stack: Stack, topic: str, key: str, value: bytes, headers: Mapping[str, str]) -> None:
    """A record that no outbox announced."""
    producer = Producer({**access.kafka_client(stack.home, "admin"), "log_level": 2})
    producer.produce(topic, key=key, value=value, headers=dict(headers))
    assert producer.flush(20) == 0


def proofs(stack: Stack) -> list[tuple[Any, ...]]:
    """When each event came to R, and at which place of Kafka."""
    return rows(
        as_role(stack, "read", "auditor"),
        'SELECT event_id, topic, partition, "offset", headers, delivered_at FROM deliveries ORDER BY event_id',
    )


def of_w(stack: Stack, tables: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """How much stands in these tables of W, and what it comes to."""
    query = "SELECT count(*), sum(hashtextextended(t::text, 0)) FROM {} AS t"
    return {table: rows(as_role(stack, "write", "auditor"), query.format(table))[0] for table in tables}
