"""The listener on a made-up chain, for hundreds of worlds: blocks come, many at once or one by one, vanish, nodes misbehave, it dies.

A seed is a whole world. In the end each transfer of a final block is booked once, and no other.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest

from connectors.chain.accounts.discovery import Discovery
from connectors.chain.accounts.reading import AccountReader
from connectors.chain.accounts.registration import Registrar
from connectors.chain.listening.booking import Booking
from connectors.chain.listening.listener import Listener
from connectors.chain.listening.reconcile import Reconciler
from connectors.chain.node.errors import UnknownBlock
from connectors.chain.node.rpc import Rpc
from connectors.chain.settings import ChainSettings
from infra.database import Cursor, transaction
from infra.transient import is_transient
from streams.command_handler import CommandHandler
from streams.domain import ids
from streams.domain.circumstances import Policy
from streams.domain.states.account import Account
from streams.orders import Order
from tests.chain_fixtures import silent_chain
from tests.given import registration
from tests.integration.bad_rpc import FAULTS, spoiling
from tests.integration.conftest import Databases
from tests.integration.listener_deaths import Death, mortal
from tests.integration.synthetic_node import FINAL, TOKEN, SyntheticNode, running
from tests.integration.write_side import cause

WALLETS = 4
STEPS = 50
DEEPEST = FINAL - 1
SEEDS, MANY_SEEDS = range(20), range(20, 520)
HARMFUL = tuple(each for each in FAULTS if each not in ("10 MB answers", "wrong chain id", "delays"))
CHAIN = silent_chain(
    tokens=[{"address": TOKEN, "symbol": "EURe", "currency": "EUR", "decimals": 18}],
    discovery={"enabled": False}, reconcile_accounts=0,
)  # fmt: skip
WATCH = """
INSERT INTO chain_wallets (account_id, chain_id, kind, wallet, token, opening_block) VALUES (%s, %s, 'settlement', %s, %s, 0)
"""


@pytest.fixture(scope="module")
def death() -> Iterator[Death]:
    made = Death()
    with mortal(made):
        yield made


@dataclass
class World:
    """Wallets under watch on a chain of their own, and the listener that works now."""

    databases: Databases
    chain: ChainSettings
    node: SyntheticNode
    rpc: Rpc
    opening: int = field(default_factory=lambda: int(registration().opening_balance_raw))

    def __post_init__(self) -> None:
        self.database = self.databases.as_role("write", "listener")
        self._watch()
        self.listener = self.another()

    def another(self) -> Listener:
        """A listener process that knows nothing of those before it; the last one's lease is over."""
        handler, reader = CommandHandler(self.databases.codec, Policy()), AccountReader(self.rpc, self.chain)
        registrar = Registrar(self.database, self.rpc, self.chain, reader, handler)
        with transaction(self.database) as cursor:
            cursor.execute("UPDATE chain_cursors SET lease_until = now() - interval '1 second'")
        return Listener(
            self.database, self.rpc, self.chain, Booking(self.chain.chain_id, handler),
            Reconciler(self.database, self.rpc, self.chain, reader), Discovery(self.database, self.chain, registrar), uuid4().hex, 0.01,
        )  # fmt: skip

    def step(self) -> bool:
        """As `Listener.run` takes what may pass."""
        try:
            return self.listener.step()
        except Exception as error:
            if not (is_transient(error) or isinstance(error, UnknownBlock)):
                raise
            return True

    def to_the_head(self) -> None:
        """Until it stands there, and all that is final is booked."""
        for _ in range(1000):
            if not self.step() and self.stands() == (self.node.head, max(0, self.node.head - FINAL)):
                return
        raise AssertionError(f"it never comes to block {self.node.head}: {self.stands()}")

    def stands(self) -> tuple[int, int] | None:
        """(seen, final)."""
        rows = self.rows("SELECT seen_number, final_number FROM chain_cursors WHERE chain_id = %s", self.chain.chain_id)
        return rows[0] if rows else None

    def rows(self, query: str, *values: Any) -> list[Any]:
        with transaction(self.database) as cursor:
            cursor.execute(query, values)
            return list(cursor.fetchall())

    def must_be_right(self) -> None:
        """What was received in final blocks, to the unit; each transfer once."""
        with transaction(self.database) as cursor:
            booked = {wallet: self._booked(cursor, wallet) for wallet in self.node.wallets}
        assert booked == self.node.received(self.node.head - FINAL)
        twice = "SELECT payload ->> 'transfer_id' FROM events WHERE type = 'TransferFinalized' GROUP BY 1, stream_id HAVING count(*) > 1"
        assert self.rows(twice) == []

    def _booked(self, cursor: Cursor, wallet: str) -> int:
        state = CommandHandler(self.databases.codec, Policy()).state(cursor, self.account(wallet))
        assert isinstance(state, Account)
        return state.final_raw - self.opening

    def account(self, wallet: str) -> UUID:
        return ids.account_id(self.chain.chain_id, wallet, TOKEN)

    def _watch(self) -> None:
        handler = CommandHandler(self.databases.codec, Policy())
        with transaction(self.databases.as_role("write", "owner")) as cursor:
            for wallet in self.node.wallets:
                account_id = self.account(wallet)
                told = {
                    "account_id": account_id,
                    "kind": "settlement",
                    "wallet": wallet,
                    "token": TOKEN,
                    "chain_id": self.chain.chain_id,
                }
                order = registration(**told, card_token=None, roles_module=None, delay_module=None, spender_module=None)
                handler.handle(cursor, [Order(uuid4(), order, cause(uuid4()))])
                cursor.execute(WATCH, (account_id, self.chain.chain_id, wallet, TOKEN))


@contextmanager
def world(databases: Databases, seed: int, *faults: str, often: float = 0.3, alone: bool = True) -> Iterator[World]:
    """A chain with an id of its own, before whose node stands a proxy that spoils answers; and the node itself, if that is not alone."""
    wallets = [f"0x{uuid4().hex}{place:08x}" for place in range(WALLETS)]
    with ExitStack() as opened:
        node = opened.enter_context(running(SyntheticNode(wallets, lambda number, fork: (number * 13 + fork * 5) % 4)))
        bad = opened.enter_context(spoiling(node.url, *faults, seed=seed, often=often))
        rpc = Rpc(
            [bad.url] if alone else [bad.url, node.url], chain_id=100, pause_seconds=0.01, timeout_seconds=5, tries=10
        )
        opened.callback(rpc.close)
        yield World(
            databases, ChainSettings.model_validate(CHAIN | {"chain_id": 10_000 + uuid4().int % 10**9}), node, rpc
        )


def live(databases: Databases, death: Death, seed: int) -> None:
    draw = random.Random(seed)
    with world(databases, seed, *HARMFUL, often=0.1) as made:
        node = made.node
        for _ in range(STEPS):
            match draw.choice(("blocks",) * 5 + ("many blocks", "reorg", "death") + ("listen",) * 3):
                case "blocks":
                    node.head += draw.randint(1, 4)
                case "many blocks":
                    node.head += draw.randint(70, 120)
                case "reorg":
                    node.reorganise(draw.randint(1, DEEPEST))
                case "death":
                    if death.strikes(draw.randint(1, 9), made.step):
                        made.listener = made.another()
                case "listen":
                    for _ in range(draw.randint(1, 6)):
                        made.step()
        node.head += FINAL + 1
        made.to_the_head()
        made.must_be_right()


@pytest.mark.parametrize("seed", SEEDS)
def test_in_the_end_each_transfer_of_a_final_block_is_booked_once(
    databases: Databases, death: Death, seed: int
) -> None:
    live(databases, death, seed)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_in_the_end_each_transfer_is_booked_once_in_hundreds_of_worlds(databases: Databases, death: Death) -> None:
    for seed in MANY_SEEDS:
        live(databases, death, seed)


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "beside a good one"])
@pytest.mark.parametrize("fault", FAULTS)
def test_one_bad_node_changes_nothing_of_what_is_booked(databases: Databases, fault: str, alone: bool) -> None:
    if fault == "wrong chain id" and alone:
        pytest.skip("a node of another chain is never asked: there is none left")
    with world(databases, 7, fault, alone=alone) as made:
        for blocks in (120, 3, 1, 1, 20):
            made.node.head += blocks
            made.to_the_head()
        made.must_be_right()
