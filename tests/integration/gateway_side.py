"""A gateway and what it leaves on W: what its tests stand on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

from infra.stack import access
from tests.integration import write_side
from tests.integration.write_side import WriteSide
from tests.waiting import until


def a_gateway(side: WriteSide, request: dict[str, Any], **settings: Any) -> subprocess.Popen[str]:
    """A gateway in a process of its own, about to ask."""
    told = {
        "PAYRIVER_COMPONENT": "api",
        "PAYRIVER_WRITE_URL": access.database_url(side.databases.stack.home, "write", "gateway"),
        **{f"PAYRIVER_{name.upper()}": str(value) for name, value in settings.items()},
    }
    program = [sys.executable, str(Path(write_side.__file__)), json.dumps(request)]
    root = str(Path(write_side.__file__).parents[2])
    process = subprocess.Popen(
        program, env={**os.environ, **told, "PYTHONPATH": root}, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def asks(card: str, cents: int, key: str) -> dict[str, Any]:
    return {"idempotency_key": key, "card_token": card, "amount_minor": cents, "currency": "EUR"}


def must_have_ended(side: WriteSide, payment_id: UUID, account_id: UUID, cards: tuple[str, ...]) -> None:
    """The saga's timeouts and workers do what is theirs; then nothing is held, and nothing approved that nobody was told of."""
    until(lambda: fired(side, payment_id), "the deadline's timeout", 15)
    side.settle(payment_id)
    payment = side.state(payment_id)
    assert payment.card in cards, payment
    assert payment_id not in side.state(account_id).holds or payment.card == "authorized"
    ((state, leased),) = side.rows("SELECT state, lease_until > now() FROM sagas WHERE saga_id = %s", payment_id)
    assert (state, bool(leased)) == (("spending" if payment.card == "authorized" else "declined"), False)
    assert side.rows("SELECT FROM saga_inbox WHERE saga_id = %s AND state = 'pending'", payment_id) == []


def fired(side: WriteSide, payment_id: UUID) -> bool:
    """Fire what is due; whether this payment's saga waits for no deadline any more."""
    side.fire()
    waiting = "SELECT FROM saga_timeouts WHERE saga_id = %s AND name = 'deadline' AND state = 'waiting'"
    return not side.rows(waiting, payment_id)


def waits_for_a_lock(side: WriteSide) -> bool:
    """Whether a gateway waits for a row that another holds."""
    with side.databases.stack.postgres("write").superuser() as cursor:
        cursor.execute("SELECT FROM pg_stat_activity WHERE usename = 'gateway' AND wait_event_type = 'Lock'")
        return bool(cursor.rowcount)
