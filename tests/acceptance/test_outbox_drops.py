"""A slice of the outbox is dropped while the whole river runs: everything still agrees, every payment can still be told, and life goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from api.demo.world import World
from api.roots.provisioning import Doors
from connectors.verify.verification import verify
from infra.database import engine
from streams.event_store import slices

NEXT = "SELECT setval('outbox_numbers', ((SELECT last_value FROM outbox_numbers) / 20000000 + 1) * 20000000)"


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_dropped_slice_is_stated_and_nothing_else_changes(world: World, agrees: Callable[[], None]) -> None:
    told = world.authorize(world.customers[7], 60, f"before-{uuid4()}")
    world.until_payment(str(told["payment_id"]), outcome="settled", seconds=90)
    agrees()
    for _ in range(2):
        with world.stack.postgres("write").superuser() as cursor:
            cursor.execute(NEXT)
        _open(world)
    ordered = _ordered(world, str(told["payment_id"]))
    assert any("through the outbox to chain.commands" in line for line in ordered)

    would = _archive(world, "--dry-run")
    assert would["slices"][0]["stays"] == "" and would["slices"][0]["orders"] > 0
    went = _archive(world)["slices"][0]
    assert (went["slice"], went["stays"]) == ("outbox_0", "")

    agrees()
    result = verify(world.auditor.write, world.auditor.read, None)
    assert any(
        each.startswith(f"outbox rows 0 to 19,999,999 ({went['events']:,} events, {went['orders']:,}")
        for each in result.skipped
    )
    assert _ordered(world, str(told["payment_id"])) == ordered
    after = world.authorize(world.customers[7], 40, f"after-{uuid4()}")
    world.until_payment(str(after["payment_id"]), outcome="settled", seconds=90)
    agrees()


def _ordered(world: World, payment_id: str) -> list[str]:
    """What the story tells of the saga's orders."""
    return [line.strip() for line in _payriver(world, "explain", payment_id).splitlines() if "orders " in line]


def _open(world: World) -> None:
    owner = engine(Doors.of(world.stack).write_url, pool_size=1)
    slices.open_slices(owner)
    owner.dispose()


def _archive(world: World, *options: str) -> Any:
    before = datetime.now(UTC).isoformat()
    return json.loads(_payriver(world, "archive", "--outbox", "--before", before, "--json", *options))


def _payriver(world: World, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "api.cli.main", *arguments],
        env={**os.environ, "PAYRIVER_HOME": str(world.stack.home.folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
