"""The read models are made anew while the whole river runs: swipes go on, the API answers, everything agrees, and nobody is told twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from uuid import uuid4

from api.demo.world import World
from infra.database import transaction
from tests.acceptance.traffic import Traffic


def test_made_anew_while_payments_flow_everything_agrees(world: World, agrees: Callable[[], None]) -> None:
    told = world.authorize(world.customers[7], 60, f"before-{uuid4()}")
    world.until_payment(str(told["payment_id"]), outcome="settled", seconds=90)
    with world.stack.postgres("read").superuser() as cursor:
        cursor.execute("UPDATE payments SET outcome = 'declined' WHERE payment_id = %s", (told["payment_id"],))
        cursor.execute("UPDATE ledger_accounts SET debits_posted = debits_posted + 1")
    with Traffic(world) as traffic:
        traffic.goes_on()
        done = _rebuild(world)
        traffic.goes_on()
    traffic.all_end()
    agrees()
    assert done["state"] == "done" and done["reason"] == "rows were changed by hand"
    settled = world.payment(str(told["payment_id"]))
    assert settled is not None and settled["outcome"] == "settled"
    assert world.receiver.refused == 0
    with transaction(world.auditor.write) as cursor:
        cursor.execute("SELECT message_id::text, attempts FROM webhook_messages WHERE state = 'delivered'")
        attempts = dict(cursor.fetchall())
    assert {
        told_id: count for told_id, count in world.receiver.received.items() if count > attempts.get(told_id, count)
    } == {}


def _rebuild(world: World) -> dict[str, object]:
    words = ("projections", "rebuild", "--reason", "rows were changed by hand", "--yes", "--json")
    done = subprocess.run(
        [sys.executable, "-m", "api.cli.main", *words, "--home", str(world.stack.home.folder)],
        capture_output=True, text=True, timeout=240, check=False, env=dict(os.environ),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told: dict[str, object] = json.loads(done.stdout)
    return told
