"""At every finalized block our view of every account is what account-kit's own `accountQuery` and `eth_call` say of that block.

Finality is one block deep and blocks are mined one by one, so that each becomes the final one for a while, and the account is looked at in
each. The contracts are asked afterwards, block by block: the node remembers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from infra.devchain.values import NEWER, AccountInfo, Mastercopies, Sent, Withdrawal
from infra.stack.supervisor import Stack
from streams.domain import ids
from streams.domain.states.account import Account
from tests.integration.customers import Shore
from tests.integration.little_river import EUR, LittleRiver

REMEMBERED = 110  # blocks, of the node's 128
WEEK_SECONDS = 7 * 86_400


@dataclass(frozen=True)
class Look:
    """Our view while `final` was the final block and the next one the head.

    `quiet`: the head held no transaction. `instead`: it stands in the place of one that was seen and dropped.
    """

    final: int
    quiet: bool
    instead: bool
    accounts: Mapping[str, Account]


@dataclass
class Watch:
    """Mines block by block, lets the river flow after each, and keeps what it then says of each account."""

    at: Shore
    customers: dict[str, tuple[AccountInfo, Mastercopies | None]]
    looks: list[Look] = field(default_factory=list)

    def mined(self, *sent: Sent, good: bool = True) -> None:
        """A block with these transactions, and one without any."""
        self.block()
        self.at.river.chain.wait_receipts(sent, good=good)
        self.block()

    def block(self) -> None:
        """One block more."""
        self.at.river.chain.mine()
        self.look()

    def later(self, seconds: int) -> None:
        """The chain's clock goes on, in one block."""
        self.at.river.chain.advance_time(seconds)
        self.look()

    def look(self, *, instead: bool = False) -> None:
        """What the river says after the newest block."""
        chain = self.at.river.chain
        self.at.river.flow()
        head = chain.head
        assert self.at.rows("SELECT final_number FROM chain_cursors") == [(head - 1,)]
        assert not self.looks or self.looks[-1].final == head - 2, "a final block was passed by"
        quiet = not chain.w3.eth.get_block(head)["transactions"]
        states = {safe: self.at.state(account_id(self.at, safe)) for safe in self.customers}
        self.looks.append(Look(head - 1, quiet, instead, states))

    # -- what the contracts say

    def check(self) -> int:
        """Every look, of every account; gives how many blocks."""
        assert len(self.looks) < REMEMBERED, "the node has forgotten the first of them"
        for generation in {generation for _, generation in self.customers.values()}:
            safes = [safe for safe, (_, of) in self.customers.items() if of == generation]
            numbers = [self.looks[0].final, *(each.final + 1 for each in self.looks)]
            said = self.at.river.chain.account_queries(safes, [hex(each) for each in numbers], mastercopies=generation)
            for place, look in enumerate(self.looks):
                for safe, final, head in zip(safes, said[place], said[place + 1], strict=True):
                    self._check(look, self.customers[safe][0], final, head)
        return len(self.looks)

    def _check(self, look: Look, account: AccountInfo, final: Any, head: Any) -> None:
        ours, where = look.accounts[account.safe], f"block {look.final}, {account.safe}"
        assert ours.final_raw == self._call(
            look.final, self.at.river.deployment.token, "balanceOf(address)", account.safe
        ), where
        emptied = [self._queue_is_empty(number, account) for number in (look.final, look.final + 1)]
        held = look.instead and not ours.queue_empty  # an entry that was seen counts until a final block has none
        assert held or ours.queue_empty == all(emptied), f"{where}: a queue fills when seen, and is empty when final"
        self._allowance(ours.allowances.newest(), look.final + 1, head, where)
        if look.quiet:
            self._allowance(ours.allowances.final, look.final, final, where)
            empty = ours.queue_empty or held
            status = ours.integrity if empty or ours.integrity != "Ok" else "DelayQueueNotEmpty"
            assert status == final["status"], where
            assert ours.allowances.pending == (), f"{where}: a raise counts when it is final"

    def _allowance(self, ours: Any, number: int, kit: Any, where: str) -> None:
        block, told = self.at.river.rpc.block(number), kit["allowance"]
        assert block is not None
        accrued = ours.accrued(block.time)
        found = (accrued.balance, accrued.refill, accrued.period_seconds)
        assert found == tuple(int(told[name]) for name in ("balance", "refill", "period")), where

    def _queue_is_empty(self, number: int, account: AccountInfo) -> bool:
        return bool(self._call(number, account.delay, "txNonce()") == self._call(number, account.delay, "queueNonce()"))

    def _call(self, number: int, to: str, signature: str, *values: Any) -> int:
        return int(self.at.river.chain.read(to, signature, "uint256", *values, block=number))


def account_id(at: Shore, safe: str) -> UUID:
    return ids.account_id(at.river.settings.chain_id, safe, at.river.deployment.token)


@pytest.fixture(scope="module", params=[False, True], ids=["plain token", "twin token"])
def at(request: pytest.FixtureRequest) -> Iterator[Shore]:
    """A river that finds accounts by itself, where a block is final as soon as another stands on it."""
    with Stack(servers=("write", "read", "node"), components=()) as stack:
        made = Shore(LittleRiver(stack, discovery=True, twin=request.param, finality={"depth": 1}), final=2)
        made.river.chain.mine(3)
        made.settle()
        yield made


@pytest.fixture
def watch(at: Shore) -> Watch:
    """Two accounts of the older generation and one of the newer, with money, cards and the settlement address's refunds."""
    chain = at.river.chain
    ana, bo = chain.create_accounts(2)
    (eve,) = chain.create_accounts(1, mastercopies=NEWER)
    at.mined(*(chain.mint(each.safe, 500 * EUR) for each in (ana, bo, eve)))
    at.mined(chain.mint(chain.deployment.settlement, 100 * EUR))
    at.settle()
    chain.stop_mining()
    registrar = at.river.registrar("operator")
    for name, each in (("ana", ana), ("bo", bo)):
        registrar.bind_card(account_id(at, each.safe), f"card-{name}", "test")
    made = Watch(at, {ana.safe: (ana, None), bo.safe: (bo, None), eve.safe: (eve, NEWER)})
    made.block()
    return made


def test_at_every_finalized_block_our_view_of_every_account_is_what_the_contracts_say(at: Shore, watch: Watch) -> None:
    ana, bo, eve = (account for account, _ in watch.customers.values())
    for flow in (_spends, _card, _limits, _withdrawals, _reorganised, _expired, _misconfigured):
        flow(at, watch, ana, bo, eve)
    assert watch.check() >= 50
    assert at.audit().differences == ()


def _spends(at: Shore, watch: Watch, ana: AccountInfo, bo: AccountInfo, eve: AccountInfo) -> None:
    """Top-ups, spends that others sent, one that is too large, a deposit; several in one block too."""
    chain = at.river.chain
    watch.mined(
        chain.mint(ana.safe, 5 * EUR), chain.spend(ana, 30 * EUR), chain.spend(bo, 7 * EUR), chain.spend(eve, EUR)
    )
    watch.mined(chain.spend(bo, 2_000 * EUR), good=False)
    watch.mined(chain.mint(_outsider(at), 9 * EUR))
    watch.mined(chain.transfer(chain.deployment.outsider_key, bo.safe, 9 * EUR))
    watch.later(3_600)


def _card(at: Shore, watch: Watch, ana: AccountInfo, bo: AccountInfo, eve: AccountInfo) -> None:
    """What the card network asks is spent by us; what a frozen card spent is paid back."""
    del eve
    assert at.river.authorize(f"bought-{id(watch)}", "card-ana", 1_500).approved
    at.river.gateway.freeze_card(account_id(at, bo.safe), "stolen", "test")
    at.river.flow()
    watch.mined()
    watch.mined(at.river.chain.spend(bo, 3 * EUR))
    for _ in range(3):
        watch.mined()
    kinds = [
        getattr(each, "kind", "")
        for each in at.events(account_id(at, bo.safe))
        if type(each).__name__ == "TransferFinalized"
    ]
    assert kinds.count("refund") == 1
    assert at.saga(at.payments(account_id(at, ana.safe))[-1])[0] == "settled"


def _limits(at: Shore, watch: Watch, ana: AccountInfo, bo: AccountInfo, eve: AccountInfo) -> None:
    """One is raised, one is cut, and both are spent from."""
    chain = at.river.chain
    raised, cut = chain.enqueue_limit(ana, 3_000 * EUR), chain.enqueue_limit(eve, 20 * EUR, 3_600)
    watch.mined(raised.sent, cut.sent)
    watch.later(181)
    watch.mined(chain.execute(raised), chain.execute(cut))
    watch.mined(chain.spend(ana, 40 * EUR), chain.spend(eve, 15 * EUR))
    watch.later(3_601)
    watch.later(3_600)
    del bo


def _withdrawals(at: Shore, watch: Watch, ana: AccountInfo, bo: AccountInfo, eve: AccountInfo) -> None:
    """One waits while its account goes on, two stand in one queue."""
    chain = at.river.chain
    asked = _enqueue(at, bo, 4), _enqueue(at, bo, 6), _enqueue(at, eve, 2)
    watch.mined(*(each.sent for each in asked))
    watch.later(181)
    watch.mined(chain.execute(asked[0]))
    watch.mined(chain.execute(asked[1]), chain.execute(asked[2]), chain.spend(ana, EUR))


def _reorganised(at: Shore, watch: Watch, ana: AccountInfo, bo: AccountInfo, eve: AccountInfo) -> None:
    """A block that was only seen goes, with a spend and a limit; the same come again, in another block."""
    del bo, eve
    chain = at.river.chain
    sent = chain.spend(ana, 11 * EUR), _enqueue(at, ana, 1).sent
    watch.block()
    chain.wait_receipts(sent)
    gone = chain.reorg(1)
    watch.looks.pop()  # its head is no more, and nobody can be asked of it
    watch.look(instead=True)
    watch.block()
    for each in gone.dropped:
        chain.resend(each.raw)
    watch.mined(*sent)
    watch.later(181)


def _expired(at: Shore, watch: Watch, ana: AccountInfo, bo: AccountInfo, eve: AccountInfo) -> None:
    """What nobody carried out expires, and is skipped: neither leaves a log."""
    del bo, eve
    watch.later(WEEK_SECONDS + 1)
    watch.block()
    watch.mined(at.river.chain.skip_expired(ana))


def _misconfigured(at: Shore, watch: Watch, ana: AccountInfo, bo: AccountInfo, eve: AccountInfo) -> None:
    """An owner has its Safe trust a module of its own: the account is in order no longer."""
    del ana, bo
    chain = at.river.chain
    asked = chain.enqueue(eve, eve.safe, chain.call("enableModule(address)", _outsider(at)))
    watch.mined(asked.sent)
    watch.later(181)
    watch.mined(chain.execute(asked))
    watch.mined(chain.mint(eve.safe, EUR))


def _enqueue(at: Shore, account: AccountInfo, euros: int) -> Withdrawal:
    chain = at.river.chain
    return chain.enqueue_withdrawal(account, chain.deployment.settlement, euros * EUR)


def _outsider(at: Shore) -> str:
    return str(at.river.chain.w3.eth.account.from_key(at.river.deployment.outsider_key).address)
