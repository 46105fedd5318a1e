"""A small card programme on real databases: the API before it, the write side behind it, and the river between them by hand.

What the outbox holds is brought to R by the product's own projector, as Debezium and Kafka would bring it.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from uuid import UUID, uuid4

import httpx
from pydantic import SecretStr
from sqlalchemy import Engine

from api.app import Server, create_app
from connectors.gateway.gateway import Gateway
from infra.database import transaction
from infra.settings import Settings
from infra.telemetry import new_traceparent
from schemas.definition import Raw
from schemas.messages import payment_commands
from schemas.messages.account_commands import RegisterAccount
from streams.command_handler import CommandHandler
from streams.domain import ids
from streams.domain.chain import facts
from streams.domain.circumstances import Policy
from streams.event_store.recorded import Cause
from streams.orders import Order
from streams.projections.projector import Projector
from streams.runtime.records import Record
from tests.integration.conftest import Databases

CENT = 10**16
KEYS = {role: f"{role}-key-of-the-tests" for role in ("reader", "network", "operator", "privacy", "admin")}
OUTBOX = """
SELECT o.topic, e.position, o.key, o.payload, o.ce_id, o.ce_type, o.ce_time, o.stream_version, o.correlation_id, o.actor, o.command
FROM outbox AS o INNER JOIN events AS e ON e.event_id = o.id
WHERE e.stream_id = ANY(%s) AND e.position > %s ORDER BY e.position
"""


@dataclass
class Programme:
    """One customer with a card, and the payments made with it."""

    databases: Databases
    cents: int = 100_000
    allowance_cents: int = 500_000
    name: str = field(default_factory=lambda: uuid4().hex[:12])
    delivered: int = 0
    person_id: UUID | None = None

    def __post_init__(self) -> None:
        self.account_id = ids.account_id(100, f"0x{self.name}", "0xtoken")
        self.card = f"card-{self.name}"
        self.streams = [self.account_id]
        self.chain_time = int(time.time())
        self.see_block()
        self.do(self._registration())
        with transaction(self.owner) as cursor:
            cursor.execute("INSERT INTO cards VALUES (%s, %s)", (self.card, self.account_id))

    @cached_property
    def owner(self) -> Engine:
        """W, for what the listener and the operator would write."""
        return self.databases.as_role("write", "owner")

    @cached_property
    def handler(self) -> CommandHandler:
        """The product's own."""
        return CommandHandler(self.databases.codec, Policy())

    @cached_property
    def gateway(self) -> Gateway:
        """The product's own, as the API is given it."""
        policy = Policy(blocked_mccs=frozenset({"7995"}), blocked_countries=frozenset({"KP"}))
        return Gateway(self.databases.as_role("write", "gateway"), self.databases.codec, policy, 1700)

    @cached_property
    def projector(self) -> Projector:
        """The product's own."""
        return Projector(self.databases.codec, self.databases.as_role("write", "projections"))

    def do(self, order: Any) -> None:
        """Decide an order or a fact on the write side."""
        command_id = uuid4()
        with transaction(self.owner) as cursor:
            self.handler.handle(
                cursor, [Order(command_id, order, Cause(command_id, command_id, new_traceparent(), "test"))]
            )

    def see_block(self) -> None:
        """The listener has just seen a block."""
        with transaction(self.owner) as cursor:
            cursor.execute(
                "INSERT INTO chain_cursors VALUES (100, 41030, '0x', %s, 41022) ON CONFLICT (chain_id)"
                " DO UPDATE SET seen_time = excluded.seen_time, moved_at = clock_timestamp()",
                (self.chain_time,),
            )

    def deliver(self) -> int:
        """Bring what the outbox holds of this programme to R; gives how many events that were."""
        with transaction(self.databases.as_role("write", "auditor")) as cursor:
            cursor.execute(OUTBOX, (self.streams, self.delivered))
            rows = cursor.fetchall()
        records = [_record(*row) for row in rows]
        if records:
            with transaction(self.databases.as_role("read", "projections")) as cursor:
                self.projector.apply(cursor, records)
            self.delivered = rows[-1][1]
        return len(records)

    def spend(self, payment_id: UUID, cents: int, *, final: bool = True) -> str:
        """The submitter sends the payment's spend, and the chain takes it. Gives the transaction's hash."""
        tx_hash, leg = f"0x{uuid4().hex}{uuid4().hex}", ids.leg_id(payment_id, "spend")
        self.do(payment_commands.RecordLegSubmitted(payment_id=payment_id, leg_id=leg, tx_hash=tx_hash))
        transfer = facts.Transfer(
            account_id=self.account_id,
            transfer_id=ids.transfer_id(100, tx_hash, "0xtoken", 0),
            direction="out",
            kind="spend",
            counterparty="0xsettlement",
            amount_raw=cents * CENT,
            tx_hash=tx_hash,
            log_index=0,
            block=self.block(),
            payment_id=payment_id,
            leg_id=leg,
            leg_kind="spend",
        )
        self.do(facts.SeeTransfer(transfer))
        if final:
            self.do(facts.FinalizeTransfer(transfer))
        return tx_hash

    def deposit(self, raw: int) -> None:
        """Somebody pays in, and it is final."""
        transfer = facts.Transfer(
            *(self.account_id, uuid4(), "in", "deposit", "0xsomebody", raw, f"0x{uuid4().hex}", 0, self.block())
        )
        self.do(facts.SeeTransfer(transfer))
        self.do(facts.FinalizeTransfer(transfer))

    def block(self) -> facts.Block:
        """The next block."""
        self.chain_time += 5
        return facts.Block(41_000, f"0x{self.chain_time:064x}", self.chain_time)

    def at(self) -> str:
        """The newest block's time, as a query says it."""
        return datetime.fromtimestamp(self.chain_time, UTC).isoformat().replace("+00:00", "Z")

    def _registration(self) -> RegisterAccount:
        return RegisterAccount(
            account_id=self.account_id,
            kind="customer",
            chain_id=100,
            wallet=f"0x{self.name}",
            token="0xtoken",
            currency="EUR",
            decimals=18,
            settlement_address="0xsettlement",
            card_token=self.card,
            person_id=self.person_id,
            opening_balance_raw=Raw(self.cents * CENT + 7),
            allowance_balance_raw=Raw(self.allowance_cents * CENT),
            allowance_max_refill_raw=Raw(self.allowance_cents * CENT),
            allowance_refill_raw=Raw(100 * CENT),
            allowance_period_seconds=3600,
            allowance_timestamp=self.chain_time,
            queue_empty=True,
            integrity="Ok",
            block_number=40_990,
            block_hash="0x1",
            block_time=self.chain_time,
        )


def _record(
    topic: str,
    position: int,
    key: str,
    value: Any,
    ce_id: str,
    ce_type: str,
    ce_time: str,
    version: str,
    correlation: str,
    actor: str,
    command: str,
) -> Record:
    headers = {
        "ce_id": ce_id,
        "ce_type": ce_type,
        "ce_time": ce_time,
        "stream_version": version,
        "position": str(position),
        "correlation_id": correlation,
        "actor": actor,
        "command": command,
    }
    return Record(topic, 1, position, key.encode(), bytes(value), headers, 0)


@contextmanager
def running_api(databases: Databases, gateway: Gateway) -> Iterator[str]:
    """The API on a free port of loopback, as `payriver serve` runs it; gives its address."""
    keys = {name: SecretStr(key) for name, key in KEYS.items()}
    settings = Settings(api_keys=keys, component="api")
    app = create_app(
        settings,
        read=databases.as_role("read", "queries"),
        write=databases.as_role("write", "gateway"),
        keys=databases.keys("keeper"),
        gateway=gateway,
    )
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        server = Server(app, settings)
        thread = threading.Thread(target=server.run, args=([door],), daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{door.getsockname()[1]}"
        try:
            _wait_for(address)
            yield address
        finally:
            server.should_exit = True
            thread.join(15)
            assert not thread.is_alive(), "the API does not end"


def _wait_for(address: str) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            httpx.get(f"{address}/health/live", trust_env=False)
            return
        except httpx.TransportError:
            assert time.monotonic() < end, "the API does not answer"
            time.sleep(0.02)


def client(address: str, role: str | None, **headers: str) -> httpx.Client:
    """A caller with the key of a role, or with none."""
    key = {"X-Api-Key": KEYS[role]} if role else {}
    return httpx.Client(base_url=address, headers={**key, **headers}, timeout=30, trust_env=False)
