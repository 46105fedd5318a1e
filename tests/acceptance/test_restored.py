"""W is put back to an earlier point while the chain and the topics went on: refused, brought back, and nothing is paid twice."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from api.demo.scenario import anchor
from api.demo.world import World
from api.roots.provisioning import Doors, place_consumers
from connectors.anchoring import rows
from connectors.anchoring.rows import Anchor
from infra.audit import check
from infra.database import transaction
from infra.errors import BehindTopics
from infra.stack.roles import COMPONENTS
from streams.audit_log.proofs import prove


@pytest.mark.long  # some minutes; test_recovery and test_bring_back take each of its steps alone
@pytest.mark.timeout(900)
def test_a_restored_w_is_brought_back_and_nothing_is_paid_twice(
    world: World, agrees: Callable[[], None], tmp_path: Path
) -> None:
    kept = tmp_path / "write"
    agrees()
    _processes(world, "stop_process")
    _swap(world, world.stack.home.path("write"), kept)
    _processes(world, "start_process")
    _live_on(world)
    agrees()
    shown, anchored = _shown(world), _anchored(world)

    _processes(world, "stop_process")
    _swap(world, kept, world.stack.home.path("write"))
    with pytest.raises(BehindTopics):
        place_consumers(Doors.of(world.stack))
    told = _recover(world)
    assert told["events_back"] > 0 and told["transactions_back"] >= 2 and not told["conflicts"]
    assert (told["unanswered"], told["refunds_in_doubt"], told["anchors_back"]) == ([], 0, 1)

    world.chain.mine(100)  # so far behind that the listener reads what it had read as history
    _processes(world, "start_process")
    agrees()
    assert _shown(world) == shown
    assert replace(_anchored(world), decided_at=anchored.decided_at) == anchored
    _prove_the_last_event_under(world, anchored)
    told = world.authorize(world.customers[6], 40, f"after-{uuid4()}")
    world.until_payment(str(told["payment_id"]), outcome="settled", seconds=90)
    agrees()


def _live_on(world: World) -> None:
    """Every kind of thing that is lost with W: an approval and its spend, a decline, a deposit, a refund of ours."""
    payer, frozen = world.customers[6], world.customers[5]
    approved = world.authorize(payer, 60, f"lost-{uuid4()}")
    assert world.authorize(payer, 99_999_00, f"lost-{uuid4()}")["approved"] is False
    world.post(f"/v1/accounts/{frozen.account_id}/card/freeze", {"reason": "stolen"}).raise_for_status()
    paid_in, spent = world.deposit(payer, 10_00), world.spend(frozen, 70)
    world.chain.wait_receipts([paid_in, spent])
    world.until_payment(str(approved["payment_id"]), outcome="settled", seconds=90)
    world.until_payment(world.payment_of(spent), outcome="refunded", seconds=90)
    world.post(f"/v1/accounts/{frozen.account_id}/card/unfreeze", {"reason": "found"}).raise_for_status()
    anchor(world)


def _shown(world: World) -> dict[str, object]:
    """What each customer has, as the API says it."""
    names = ("total_raw", "held_raw", "pending_raw")
    told = {str(each.account_id): world.get(f"/v1/accounts/{each.account_id}/balance") for each in world.customers}
    return {account: [balance[name] for name in names] for account, balance in told.items()}


def _anchored(world: World) -> Anchor:
    with transaction(world.auditor.write) as cursor:
        found = rows.last_final(cursor)
    assert found is not None
    return found


def _prove_the_last_event_under(world: World, anchored: Anchor) -> None:
    """It was lost, came back, and is what an anchor had stated before: so says the checker, which asks the node alone."""
    assert anchored.tx_hash is not None
    with transaction(world.auditor.write) as cursor:
        cursor.execute("SELECT position FROM audit_leaves WHERE leaf_index = %s", (anchored.head.size - 1,))
        ((position,),) = cursor.fetchall()
        text = prove(cursor, position, anchored.head)
    check.check_proof(text, check.anchored(world.stack.url("node"), anchored.tx_hash, anchored.sender))


def _recover(world: World) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "api.cli.main", "recover", "--apply", "--json", "--home", str(world.stack.home.folder)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _processes(world: World, what: str) -> None:
    """All processes of ours; and the test's own connections, which nobody may hold while W is swapped."""
    for component in COMPONENTS:
        for worker in range(1, component.instances + 1):
            getattr(world.stack, what)(component.name, worker)
    for root in (world.operator, world.auditor, world.audit):
        root.write.dispose()
        root.read.dispose()


def _swap(world: World, source: Path, target: Path) -> None:
    """W's data folder, copied while W is down."""
    world.stack.stop_process("write")
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)
    world.stack.start_process("write")
    for root in (world.operator, world.auditor, world.audit):
        root.write.dispose()
