"""Whatever people do on chain, however it is reorganised, wherever the listener dies: in the end the ledger is what the chain says.

A seed is a whole world: who does what, which blocks are dropped and what of them comes back, where the listener dies. One that
fails is run again with `make test ARGS="-k 'random and [17]'"`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from infra.devchain.values import Sent, Withdrawal
from infra.stack.supervisor import Stack
from tests.integration.customers import Customer, Shore
from tests.integration.listener_deaths import Death, mortal
from tests.integration.little_river import EUR, LittleRiver

DEPTH = 32  # blocks on top of a final one; reorgs here are less deep
DEEPEST = 30
STEPS = 24
SEEDS = (*range(20), 436)  # of the many, 436: a reorg takes back a spend, and not the limit that was set before it
MANY_SEEDS = range(20, 520)
TOGETHER = 25  # of the many, on one chain and in one store
DEATH = Death()


@pytest.fixture(scope="module")
def at() -> Iterator[Shore]:
    with fresh() as made:
        yield made


@contextmanager
def fresh() -> Iterator[Shore]:
    """A chain and a store without people, whose listener dies when it is told to."""
    with Stack(servers=("write", "read", "node"), components=()) as stack, mortal(DEATH):
        made = Shore(LittleRiver(stack, finality={"depth": DEPTH}), final=DEPTH + 1)
        made.river.chain.mine(DEPTH)
        made.river.register(None)
        made.river.chain.mint(made.river.deployment.settlement, 10_000 * EUR)
        made.settle()
        yield made


@dataclass
class World:
    """One seed's people, and what they do."""

    at: Shore
    draw: random.Random
    people: list[Customer]
    waiting: list[Withdrawal] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)

    def act(self) -> None:
        """Somebody does something, or something breaks."""
        deeds = (
            [self.spend] * 5 + [self.deposit] * 3 + [self.refund] * 2 + [self.withdraw, self.change_limit, self.execute]
        )
        self.draw.choice([*deeds, self.reorganise, self.reorganise, self.die, self.die, self.listen, self.listen])()

    def spend(self) -> None:
        self.done(self.chain.spend(self.somebody(), self.amount()))

    def deposit(self) -> None:
        self.done(self.chain.mint(self.somebody().safe, self.amount()))

    def refund(self) -> None:
        self.done(self.chain.refund(self.somebody(), self.amount()))

    def withdraw(self) -> None:
        self.wait(self.chain.enqueue_withdrawal(self.somebody(), self.chain.deployment.settlement, self.amount()))

    def change_limit(self) -> None:
        self.wait(
            self.chain.enqueue_limit(self.somebody(), self.draw.randrange(1, 50) * EUR, self.draw.choice([60, 3600]))
        )

    def execute(self) -> None:
        """Whatever waits; what a reorg took away, or what is not the head of its queue, is mined with status 0."""
        self.chain.advance_time(181)
        while self.waiting:
            self.done(self.chain.execute(self.waiting.pop(0)))

    def reorganise(self) -> None:
        """The transactions of the last blocks vanish; some reorgs bring all of them back, in other blocks."""
        depth = self.draw.randint(1, min(DEEPEST, max(1, self.chain.head - self.begun)))
        self.chain.stop_mining()
        self.chain.reorg(depth, resend=self.draw.choice(["none", "all"]))
        self.chain.mine(self.draw.randint(1, 3))
        self.chain.automine()

    def die(self) -> None:
        """The listener dies somewhere in its next writes, and another process takes its place."""
        if DEATH.strikes(self.draw.randint(1, 12), self.listen):
            self.at.river.__dict__.pop("listener")
            self.at.rows("UPDATE chain_cursors SET lease_until = now() - interval '1 second'")

    def listen(self) -> None:
        """All that stands on chain is taken, and so is what follows from it."""
        while self.at.river.listener.step():
            pass

    # -- inner parts

    @property
    def chain(self) -> Any:
        return self.at.river.chain

    def somebody(self) -> Any:
        return self.draw.choice(self.people).account

    def amount(self) -> int:
        return self.draw.choice(
            [1, EUR // 100, 3 * EUR, self.draw.randrange(1, 20) * EUR + self.draw.randrange(10**18)]
        )

    def wait(self, asked: Withdrawal) -> None:
        self.waiting.append(asked)
        self.done(asked.sent)

    def done(self, *sent: Sent) -> None:
        """Mined, whether it succeeded or not."""
        self.chain.wait_receipts(sent, good=False)

    begun: int = 0


def live(at: Shore, seed: int) -> None:
    """A world from its first day to its last. Of each account the ledger says what the chain says, and account-kit."""
    draw = random.Random(seed)
    people = [at.customer(50) for _ in range(2)]
    world = World(at, draw, people)
    world.begun = at.river.chain.head
    for _ in range(STEPS):
        world.act()
    at.settle()
    for each in people:
        account = at.state(each.account_id)
        assert account.final_raw == at.river.chain.balance(each.account.safe), f"seed {seed}: {each.account.safe}"
        assert not any(debit.seen for debit in account.debits.values()), (
            "what a reorg took for good stays reserved, and is unseen"
        )
    block = at.river.rpc.block(at.rows("SELECT final_number FROM chain_cursors")[0][0])
    assert block is not None
    for each, kit in zip(
        people, at.river.chain.account_query([p.account.safe for p in people], block=hex(block.number)), strict=True
    ):
        ours = at.state(each.account_id)
        accrued = ours.allowances.final.accrued(block.time)
        told = kit["allowance"]
        assert (accrued.balance, accrued.refill) == (int(told["balance"]), int(told["refill"])), (
            f"seed {seed}: {each.account.safe}"
        )
        assert ours.allowances.pending == ()
        assert ours.queue_empty == (kit["status"] != "DelayQueueNotEmpty")


@pytest.mark.parametrize("seed", SEEDS)
def test_in_the_end_the_ledger_is_what_the_chain_says(at: Shore, seed: int) -> None:
    live(at, seed)
    assert at.audit().differences == ()


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("first", MANY_SEEDS[::TOGETHER])
def test_in_the_end_the_ledger_is_what_the_chain_says_in_hundreds_of_worlds(first: int) -> None:
    with fresh() as at:
        for seed in range(first, first + TOGETHER):
            live(at, seed)
        assert at.audit().differences == ()
