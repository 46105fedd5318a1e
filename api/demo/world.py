"""What the scenario plays with: the running stack, the world outside it, and the doors that a person would use."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar
from uuid import UUID

import httpx

from api.demo.receiver import Receiver
from api.roots.chain import ChainRoot
from api.roots.development_chain import devchain
from connectors.chain.accounts.request import Request
from infra.devchain.chain import DevChain
from infra.devchain.values import AccountInfo, Sent
from infra.errors import PayriverError
from infra.settings import settings_from
from infra.stack.supervisor import Stack
from streams.domain import ids
from streams.domain.money import raw_of

T = TypeVar("T")
POLL_SECONDS = 0.05


class ScenarioFailed(PayriverError):
    """The river did not do what the scenario says it does."""

    reason = "scenario_failed"


@dataclass
class Customer:
    """A person with an account and a card."""

    account: AccountInfo
    card_token: str
    account_id: UUID


@dataclass
class World:
    """The running stack, seen from outside: the API, the chain, a receiver of webhooks."""

    stack: Stack
    receiver: Receiver
    customers: list[Customer] = field(default_factory=list)
    answer_ms: list[int] = field(default_factory=list)

    @cached_property
    def chain(self) -> DevChain:
        """The people and companies that act on chain."""
        return devchain(self.stack)

    @cached_property
    def operator(self) -> ChainRoot:
        """What an operator may do from the command line."""
        return ChainRoot(settings_from(self.stack.settings_for("operator")))

    @cached_property
    def auditor(self) -> ChainRoot:
        """What an auditor may see."""
        return ChainRoot(settings_from(self.stack.settings_for("auditor")))

    @cached_property
    def audit(self) -> ChainRoot:
        """Whoever anchors the audit log, with the key for it."""
        return ChainRoot(settings_from(self.stack.settings_for("audit")))

    @cached_property
    def http(self) -> httpx.Client:
        """The API with the embedded stack's key."""
        key = settings_from(self.stack.settings_for("api")).api_keys["demo"][0].get_secret_value()
        limits = httpx.Limits(max_connections=120, max_keepalive_connections=120)
        return httpx.Client(
            base_url=self.stack.url("api"), headers={"X-Api-Key": key}, timeout=60, limits=limits, trust_env=False
        )

    # -- doors

    def get(self, path: str, **query: Any) -> Any:
        """A question to the API."""
        answer = self.http.get(path, params=query)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, body: Mapping[str, Any], **headers: str) -> httpx.Response:
        """An order to the API."""
        return self.http.post(path, json=dict(body), headers=headers)

    def authorize(self, customer: Customer, amount_minor: int, key: str, **more: Any) -> dict[str, Any]:
        """The card network asks; how long the answer took is kept."""
        body = {
            "card_token": customer.card_token,
            "amount_minor": amount_minor,
            "currency": "EUR",
            "merchant": {"name": "Kaffeehaus", "country": "AT", "mcc": "5814"},
            **more,
        }
        began = time.monotonic_ns()
        answer = self.post("/v1/authorizations", body, **{"Idempotency-Key": key})
        self.answer_ms.append((time.monotonic_ns() - began) // 1_000_000)
        answer.raise_for_status()
        told: dict[str, Any] = answer.json()
        return told

    def authorize_all(
        self, customer: Customer, amount_minor: int, keys: list[str], **more: Any
    ) -> list[dict[str, Any]]:
        """Many requests at once."""
        with ThreadPoolExecutor(max_workers=len(keys)) as pool:
            return list(pool.map(lambda key: self.authorize(customer, amount_minor, key, **more), keys))

    def register(self, account: AccountInfo, card_token: str) -> Customer:
        """An operator takes a customer's account under watch."""
        token = self.operator.chain.tokens[0]
        request = Request(account.safe, token, "customer", account.roles, account.delay, card_token)
        return Customer(account, card_token, self.operator.registrar.register(request, "operator"))

    def register_settlement(self) -> UUID:
        """An operator takes the settlement wallet under watch."""
        token = self.operator.chain.tokens[0]
        request = Request(self.operator.chain.settlement_address, token, "settlement")
        return self.operator.registrar.register(request, "operator")

    # -- the chain

    def deposit(self, customer: Customer, minor: int) -> Sent:
        """A top-up."""
        return self.chain.mint(customer.account.safe, raw_of(minor, "EUR", 18))

    def spend(self, customer: Customer, minor: int) -> Sent:
        """A card payment that went straight to the chain, by another processor."""
        return self.chain.spend(customer.account, raw_of(minor, "EUR", 18))

    def payment_of(self, sent: Sent) -> UUID:
        """The payment that a spend on chain opens."""
        chain = self.operator.chain
        transfer = ids.transfer_id(chain.chain_id, sent.hash, chain.tokens[0].address, 0)
        return ids.chain_payment_id(transfer)

    # -- waiting

    def payment(self, payment_id: UUID | str) -> dict[str, Any] | None:
        """A payment as the API tells it, or None while it tells of none."""
        answer = self.http.get(f"/v1/payments/{payment_id}")
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        told: dict[str, Any] = answer.json()
        return told

    def until(self, what: str, look: Callable[[], T | None], seconds: float = 60) -> T:
        """Wait until a look finds something. Raises ScenarioFailed, which says what was waited for."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = look()
            if found:
                return found
            time.sleep(POLL_SECONDS)
        raise ScenarioFailed(f"after {seconds:.0f} s still not so: {what}")

    def until_payment(self, payment_id: UUID | str, seconds: float = 60, **wanted: str) -> dict[str, Any]:
        """Wait until the API tells a payment with these values."""

        def look() -> dict[str, Any] | None:
            told = self.payment(payment_id)
            return told if told and all(told[name] == value for name, value in wanted.items()) else None

        return self.until(f"payment {payment_id} has {wanted}, is {self.payment(payment_id)}", look, seconds)

    def must(self, what: str, found: Any, wanted: Any) -> None:
        """Say what the scenario demands. Raises ScenarioFailed."""
        if found != wanted:
            raise ScenarioFailed(f"{what}: {found!r}, the scenario demands {wanted!r}")


class BlockClock(threading.Thread):
    """Notes when each block was first there, by this machine's clock: where `swipe to booked` begins."""

    def __init__(self, chain: DevChain) -> None:
        super().__init__(name="block-clock", daemon=True)
        self._chain, self._ended = chain, threading.Event()
        self.first_seen: dict[int, float] = {}

    def run(self) -> None:
        """Look every ten milliseconds."""
        while not self._ended.wait(0.01):
            with suppress(OSError):  # a node that is busy is asked again
                self.first_seen.setdefault(self._chain.head, time.time())

    def end(self) -> None:
        """Stop looking."""
        self._ended.set()
        self.join()
