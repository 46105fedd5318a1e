"""What the demo has to show for itself, as one JSON document: payments by outcome, verify, latencies, seconds, memory."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Engine

from api.demo.world import World
from connectors.verify.report import Verification
from infra.database import transaction
from infra.stack.report import look

OUTCOMES = "SELECT outcome, count(*) FROM payments GROUP BY outcome"
PARKED = "SELECT count(*) FROM sagas WHERE state = 'parked'"
BOOKED = """
SELECT (payload ->> 'block_number')::bigint, extract(epoch FROM delivered_at) FROM deliveries WHERE type = 'LegSeen'
"""


def summary(
    world: World, seconds: Mapping[str, float], first_seen: Mapping[int, float], verified: Verification
) -> dict[str, Any]:
    """The document that `--json` writes."""
    return {
        "payments": payments(world.auditor.read, world.auditor.write),
        "verify": {"ok": verified.ok, "differences": [asdict(each) for each in verified.differences]},
        "audit_log": asdict(verified.covered) if verified.covered else None,
        "latency_ms": {
            "swipe_to_booked": percentiles(booked_ms(world.auditor.read, first_seen)),
            "authorization": percentiles(world.answer_ms),
        },
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "rss_mb": {f"{row.component}-{row.worker}": row.rss_mb for row in look(world.stack.home.folder).components},
    }


def payments(read: Engine, write: Engine) -> dict[str, int]:
    """How many payments ended how; `parked`: how many wait for a person."""
    with transaction(read) as cursor:
        cursor.execute(OUTCOMES)
        found: dict[str, int] = dict(cursor.fetchall())
    with transaction(write) as cursor:
        cursor.execute(PARKED)
        (row,) = cursor.fetchall()
    return {"settled": 0, "declined": 0, "refunded": 0} | found | {"parked": row[0]}


def booked_ms(read: Engine, first_seen: Mapping[int, float]) -> list[int]:
    """From a block being there to its spends standing in the read model, milliseconds. Blocks nobody timed are left out."""
    with transaction(read) as cursor:
        cursor.execute(BOOKED)
        rows = cursor.fetchall()
    return [round((float(at) - first_seen[number]) * 1000) for number, at in rows if number in first_seen]


def percentiles(values: Sequence[int]) -> dict[str, int | None]:
    """p50 and p99; null without any value."""
    if len(values) < 2:
        return {"p50": None, "p99": None}
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50": round(cuts[49]), "p99": round(cuts[98])}
