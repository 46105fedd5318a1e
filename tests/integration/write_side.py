"""The write side alone, by its roles' own doors: accounts with money, orders decided, sagas run, without a broker or a chain.

Run as a process it is one gateway that asks for one authorization: `python write_side.py REQUEST`, with the settings of a gateway.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Engine as Database
from sqlalchemy.pool import PoolProxiedConnection

from connectors.gateway.gateway import Gateway
from connectors.gateway.requests import AuthorizationRequest
from infra import failpoints
from infra.database import Cursor, engine, transaction
from infra.settings import Settings
from schemas.codec import Codec
from schemas.definition import Raw
from schemas.messages.account_events import AccountRegistered
from schemas.registry import load_codec
from streams.command_agent import CommandAgent
from streams.command_handler import CommandHandler
from streams.domain import ids
from streams.domain.circumstances import Policy
from streams.event_store import store
from streams.event_store.recorded import Cause, NewEvent, new_event
from streams.orders import Order, Outcome
from streams.runtime.records import Record
from streams.sagas.engine import Engine
from tests.given import CENT, registration

SHARED = "SELECT count(DISTINCT transaction_id) FROM outbox WHERE position IS NOT NULL AND key = ANY(%s)"
SEE_BLOCK = """
INSERT INTO chain_cursors (chain_id, seen_number, seen_hash, seen_time, final_number) VALUES (100, 41030, '0x', %s, 41022)
ON CONFLICT (chain_id) DO UPDATE SET seen_time = excluded.seen_time, moved_at = clock_timestamp()
"""
COMMANDS = """
SELECT o.topic, o.key, o.payload, o.ce_id, o.correlation_id FROM outbox AS o
WHERE o.topic = 'payments.commands' AND o.key = %s AND NOT EXISTS (SELECT FROM command_answers AS a WHERE a.command_id = o.id)
"""


def cause(command_id: UUID) -> Cause:
    """A story of its own."""
    return Cause(command_id, command_id, f"00-{command_id.hex}-{command_id.hex[:16]}-01", "test")


def opened(stream_id: UUID | None = None, version: int = 1, event_id: UUID | None = None, **changes: Any) -> NewEvent:
    """A new account's first event, or another at this place: for what looks at the store alone."""
    told = registration(**{"account_id": stream_id or uuid4()} | changes)
    chosen = event_id or uuid4()
    return new_event(chosen, version, AccountRegistered(**told.__dict__), cause(chosen).metadata("RegisterAccount"))


@dataclass
class WriteSide:
    """W and whoever writes to it."""

    databases: Any
    policy: Policy = field(default_factory=Policy)

    def door(self, role: str) -> Database:
        """A pool of a role's own; kept for the session."""
        pools: dict[str, Database] = self.databases.__dict__.setdefault("pools", {})
        return pools.setdefault(role, self.databases.as_role("write", role))

    @property
    def codec(self) -> Codec:
        """As every component has it."""
        codec: Codec = self.databases.codec
        return codec

    def handler(self) -> CommandHandler:
        """Another process's handler, with a cache of its own."""
        return CommandHandler(self.codec, self.policy)

    @cached_property
    def mine(self) -> CommandHandler:
        """The handler of this test."""
        return self.handler()

    def gateway(self, deadline_ms: int = 5_000) -> Gateway:
        """Another gateway process."""
        return Gateway(self.door("gateway"), self.codec, self.policy, deadline_ms)

    def see_block(self, seen_time: float | None = None) -> None:
        """The listener has just moved, to a block of now or of another time."""
        with transaction(self.door("owner")) as cursor:
            cursor.execute(SEE_BLOCK, (int(seen_time or time.time()),))

    def account(self, cents: int = 100_000, **changes: Any) -> tuple[UUID, str]:
        """A new customer with so much money and no smaller limit: (account, card)."""
        name = uuid4().hex[:12]
        account_id, card = ids.account_id(100, f"0x{name}", "0xtoken"), f"card-{name}"
        raw = Raw(cents * CENT)
        told = {"opening_balance_raw": raw, "allowance_balance_raw": raw, "allowance_max_refill_raw": raw}
        self.see_block()
        self.do(registration(account_id=account_id, wallet=f"0x{name}", card_token=card, **told | changes))
        with transaction(self.door("owner")) as cursor:
            cursor.execute("INSERT INTO cards VALUES (%s, %s)", (card, account_id))
        return account_id, card

    def do(self, message: Any, command_id: UUID | None = None, handler: CommandHandler | None = None) -> Outcome:
        """Decide an order or a fact and commit."""
        order = Order(command_id or uuid4(), message, cause(command_id or uuid4()))
        with transaction(self.door("commands")) as cursor:
            return (handler or self.mine).handle(cursor, [order])[0]

    def state(self, stream_id: UUID) -> Any:
        """The fold of what is stored."""
        with transaction(self.door("commands")) as cursor:
            return self.handler().state(cursor, stream_id)

    def types(self, stream_id: UUID) -> list[str]:
        """The stream's events."""
        with transaction(self.door("commands")) as cursor:
            return [event.type for event in store.read_stream(cursor, stream_id)]

    def transactions(self, stream_ids: Sequence[UUID]) -> int:
        """In how many these streams' events were appended."""
        ((count,),) = self.rows(SHARED, [str(each) for each in stream_ids])
        return int(count)

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What W says, to its owner."""
        with transaction(self.door("owner")) as cursor:
            cursor.execute(query, values)
            return list(cursor.fetchall())

    # -- what Faust and Debezium would do

    def sagas(self, driver: str = "sagas") -> Engine:
        """Another sagas worker: its orders leave through the outbox."""
        return Engine(self.policy, driver, lambda cursor, orders: store.send(cursor, self.codec, orders))

    def deliver(self, payment_id: UUID) -> None:
        """All of a payment's events reach the sagas worker once more."""
        with transaction(self.door("sagas")) as cursor:
            events = store.read_stream(cursor, payment_id)
            self.sagas().deliver(cursor, {payment_id: [(each.version, each.event_id) for each in events]})

    def fire(self) -> int:
        """Timeouts that are due."""
        with transaction(self.door("sagas")) as cursor:
            return self.sagas("timeout").fire(cursor)

    def agent(self) -> CommandAgent:
        """Another commands worker."""
        return CommandAgent(self.codec, self.handler())

    def ordered(self, payment_id: UUID) -> list[Record]:
        """The commands for a payment that are on their way."""
        found = self.rows(COMMANDS, str(payment_id))
        return [
            Record(topic, 0, number, key.encode(), bytes(value), {"ce_id": ce_id, "correlation_id": story}, 0)
            for number, (topic, key, value, ce_id, story) in enumerate(found)
        ]

    def settle(self, payment_id: UUID) -> None:
        """Events and commands go round until nothing moves."""
        for _ in range(12):
            self.deliver(payment_id)
            records = self.ordered(payment_id)
            if not records:
                return
            with transaction(self.door("commands")) as cursor:
                self.agent().apply(cursor, records)
        raise AssertionError(f"payment {payment_id} never comes to rest")

    def by_hand(self, role: str) -> tuple[PoolProxiedConnection, Cursor]:
        """A transaction that the caller ends, on a connection that the caller closes."""
        connection = self.door(role).raw_connection()
        cursor: Any = connection.cursor(cursor_factory=Cursor)
        return connection, cursor

    def lock(self, stream_id: UUID) -> PoolProxiedConnection:
        """Somebody holds a stream's head row: a transaction, to be ended by the caller."""
        connection, cursor = self.by_hand("owner")
        cursor.execute("SELECT FROM streams WHERE stream_id = %s FOR UPDATE", (stream_id,))
        return connection


def authorization(card: str, cents: int, key: str | None = None, **more: Any) -> AuthorizationRequest:
    """What the network asks."""
    return AuthorizationRequest(key or uuid4().hex, card, cents, "EUR", **more)


def main() -> None:
    """One gateway, one request; prints the answer as JSON, or the error's name."""
    settings = Settings()
    failpoints.arm(settings.failpoint)
    database = engine(settings.write_url)
    with transaction(database) as cursor:
        codec = load_codec(cursor)
    gateway = Gateway(database, codec, Policy(), settings.authorization_deadline_ms)
    print("ready", flush=True)
    try:
        answer = gateway.authorize(AuthorizationRequest(**json.loads(sys.argv[1])))
        print(json.dumps({"approved": answer.approved, "reason": answer.reason}), flush=True)
    except Exception as error:  # noqa: BLE001 the test looks at what it met
        print(json.dumps({"error": type(error).__name__}), flush=True)


SOON = timedelta(seconds=1)

if __name__ == "__main__":
    main()
