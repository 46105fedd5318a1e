"""A little river with customers on a real chain, for tests that break the chain under it: each takes customers of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from connectors.chain.listening.listener import Listener
from connectors.verify.report import Verification
from connectors.verify.verification import verify
from infra.database import transaction
from infra.devchain.values import AccountInfo, Sent
from infra.stack.supervisor import Stack
from streams.event_store import store
from tests.integration.little_river import EUR, LittleRiver

FINAL = 10
"""Blocks after which the ones before are final."""


@dataclass(frozen=True)
class Customer:
    """A Safe under watch."""

    account: AccountInfo
    account_id: UUID
    card: str


@dataclass
class Shore:
    """The river, and what tests ask of it."""

    river: LittleRiver
    unused: list[AccountInfo] = field(default_factory=list)
    final: int = FINAL

    def safe(self, euros: int = 100) -> AccountInfo:
        """A Safe with money, final, that nobody watches."""
        if not self.unused:
            self.unused = self.river.chain.create_accounts(6)
        account = self.unused.pop()
        self.mined(self.river.chain.mint(account.safe, euros * EUR))
        self.river.chain.mine(self.final)
        return account

    def customer(self, euros: int = 100) -> Customer:
        """A Safe with money, under watch and followed."""
        account, card = self.safe(euros), f"card-{uuid4().hex[:8]}"
        made = Customer(account, self.river.register(account, card), card)
        self.river.flow()
        return made

    def approved(self, customer: Customer, cents: int = 1_000) -> UUID:
        """The payment of a swipe that was approved."""
        answer = self.river.authorize(uuid4().hex, customer.card, cents)
        assert answer.approved
        return answer.payment_id

    def mined(self, *sent: Sent) -> None:
        """Wait until they stand in blocks, one each."""
        self.river.chain.wait_receipts(sent)

    def settle(self) -> None:
        """Everything becomes final and is taken."""
        for _ in range(3):
            self.river.flow(self.final)

    def state(self, stream_id: UUID) -> Any:
        """The fold of what is stored."""
        with transaction(self.river.as_role("write", "commands")) as cursor:
            return self.river._handler().state(cursor, stream_id)

    def events(self, stream_id: UUID) -> list[Any]:
        """The stream's events."""
        with transaction(self.river.as_role("write", "commands")) as cursor:
            return [each.message() for each in store.read_stream(cursor, stream_id)]

    def types(self, stream_id: UUID, about: str = "Transfer") -> list[str]:
        """Of the stream's events those about something."""
        return [type(each).__name__ for each in self.events(stream_id) if about in type(each).__name__]

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What W says, to its owner."""
        with transaction(self.river.as_role("write", "owner")) as cursor:
            cursor.execute(query, values)
            return list(cursor.fetchall()) if cursor.description else []

    def saga(self, payment_id: UUID) -> tuple[str, str | None]:
        """Its state and reason."""
        ((state, reason),) = self.rows("SELECT state, reason FROM sagas WHERE saga_id = %s", payment_id)
        return state, reason

    def payments(self, account_id: UUID) -> list[UUID]:
        """The payments of an account, in order."""
        found = self.rows(
            "SELECT stream_id FROM events WHERE type = 'PaymentRequested' AND payload ->> 'account_id' = %s ORDER BY position",
            str(account_id),
        )
        return [stream_id for (stream_id,) in found]

    def must_be_right(self, *customers: Customer) -> None:
        """All that is final is booked, nothing is on its way, and the token says the same; the audit finds no difference."""
        self.settle()
        for each in customers:
            account = self.state(each.account_id)
            assert (account.final_raw, account.debits_raw) == (self.river.chain.balance(each.account.safe), 0)
        assert self.audit().differences == ()

    def audit(self) -> Verification:
        """As `payriver verify` does it."""
        write, read = self.river.as_role("write", "auditor"), self.river.as_role("read", "auditor")
        return verify(write, read, self.river.settings, ask_node=True, patience=0)


def another(at: Shore, name: str) -> Listener:
    """Another listener process."""
    first = at.river.listener
    return Listener(
        first.database, first.rpc, first.chain, first.booking, first.reconciler, first.discovery, name, 0.01
    )


def takes_over(at: Shore, listener: Listener) -> None:
    """The one that works has been silent for longer than its lease."""
    at.rows("UPDATE chain_cursors SET lease_until = now() - interval '1 second'")
    assert listener.step()


@contextmanager
def shore(settlement_raw: int = 0) -> Iterator[Shore]:
    """W, R, a chain, the settlement wallet under watch, with so much to pay refunds from, final."""
    with Stack(servers=("write", "read", "node"), components=()) as stack:
        made = Shore(LittleRiver(stack))
        made.river.chain.mine(FINAL)
        made.river.register(None)
        made.river.flow(FINAL)
        if settlement_raw:
            made.river.chain.wait_receipts([made.river.chain.mint(made.river.deployment.settlement, settlement_raw)])
            made.river.flow(FINAL)
        yield made
