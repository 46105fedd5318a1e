"""What an account may spend when its owner's limit changes: lower at once, higher when it is final, whatever a reorg drops."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st

from schemas.messages.account_events import AllowanceObserved
from streams.domain.chain import facts
from streams.domain.states.allowance import Allowance
from tests.given import (
    CENT,
    CUSTOMER,
    NOON_UNIX,
    approved,
    block,
    elsewhere,
    opened,
    seen,
    transfer,
)  # fmt: skip


def limit(cents: int, number: int, cause: str = "set", **changes: int) -> facts.ObserveAllowance:
    """The owner's limit is `cents` a day from this block on."""
    raw = cents * CENT
    told = Allowance(raw, raw, raw, 86_400, block(number).time)
    return facts.ObserveAllowance(CUSTOMER, cause, replace(told, **changes), block(number))


def test_a_lower_limit_counts_when_it_is_seen() -> None:
    assert opened().given(limit(300, 11)).spendable_cents() == 300


def test_a_higher_limit_counts_when_it_is_final() -> None:
    streams = opened().given(limit(9_000, 11))
    assert streams.spendable_cents() == 8_000
    streams.when(facts.FinalizeAllowanceRaise(CUSTOMER, block(11)))
    assert streams.spendable_cents() == 9_000


def test_a_limit_that_gives_back_what_was_spent_today_counts_when_it_is_final_though_it_lowers_the_rest() -> None:
    """Setting a limit resets today's use: 1 of 80 euros left becomes 5 of 5."""
    spent = limit(8_000, 11, "consumed", balance=100 * CENT)
    streams = opened().given(spent, limit(500, 12))
    assert streams.spendable_cents() == 100
    streams.when(facts.FinalizeAllowanceRaise(CUSTOMER, block(12)))
    assert streams.spendable_cents() == 500


def test_a_limit_whose_block_a_reorg_drops_never_counted() -> None:
    streams = opened().given(limit(9_000, 12), limit(8_000, 11, "reorg"))
    assert streams.when(facts.FinalizeAllowanceRaise(CUSTOMER, block(12))) == []
    assert streams.spendable_cents() == 8_000


def test_a_limit_below_the_fork_is_still_not_final_after_the_reorg() -> None:
    streams = opened().given(limit(9_000, 11), limit(9_000, 12, "consumed", balance=8_900 * CENT))
    assert streams.spendable_cents() == 7_900
    (told,) = streams.when(limit(9_000, 11, "reorg"))
    assert isinstance(told, AllowanceObserved) and told.cause == "unspent"
    assert streams.spendable_cents() == 8_000, "the spend is given back, the raise is not final"
    streams.when(facts.FinalizeAllowanceRaise(CUSTOMER, block(11)))
    assert streams.spendable_cents() == 9_000


def test_a_raise_is_final_with_its_own_block_and_not_with_an_earlier_one() -> None:
    streams = opened().given(limit(9_000, 12))
    assert streams.when(facts.FinalizeAllowanceRaise(CUSTOMER, block(11))) == []


def test_a_spend_uses_up_the_limit_that_counts_and_the_one_that_will() -> None:
    streams = opened().given(limit(9_000, 11))
    streams.when(facts.ConsumeAllowance(CUSTOMER, 8_600 * CENT, block(12)))
    assert streams.spendable_cents() == 7_600
    assert streams.customer.allowances.newest().balance == 8_600 * CENT
    streams.when(facts.FinalizeAllowanceRaise(CUSTOMER, block(11)))
    assert streams.spendable_cents() == 8_600


def test_a_cut_counts_until_the_raise_after_it_is_final() -> None:
    streams = opened().given(limit(300, 11), limit(9_000, 12))
    assert streams.spendable_cents() == 300
    streams.when(facts.FinalizeAllowanceRaise(CUSTOMER, block(11)))
    assert streams.spendable_cents() == 300
    streams.when(facts.FinalizeAllowanceRaise(CUSTOMER, block(12)))
    assert streams.spendable_cents() == 9_000


def test_of_two_raises_the_first_counts_when_it_is_final_though_a_reorg_drops_the_second() -> None:
    streams = opened().given(limit(8_500, 11), limit(9_000, 12))
    (told,) = streams.when(limit(8_500, 11, "reorg"))
    assert isinstance(told, AllowanceObserved) and told.cause == "unspent", "the first still stands, and is not final"
    assert streams.spendable_cents() == 8_000
    assert streams.when(facts.FinalizeAllowanceRaise(CUSTOMER, block(10))) == []
    streams.when(facts.FinalizeAllowanceRaise(CUSTOMER, block(11)))
    assert streams.spendable_cents() == 8_500


def test_several_that_are_final_at_once_are_the_last_of_them() -> None:
    streams = opened().given(limit(300, 11), limit(9_000, 12))
    streams.when(facts.FinalizeAllowanceRaise(CUSTOMER, block(12)))
    assert streams.spendable_cents() == 9_000
    assert streams.when(facts.FinalizeAllowanceRaise(CUSTOMER, block(12))) == []


def test_a_spend_that_only_the_raised_limit_covered_gives_back_no_more_than_it_took() -> None:
    """1 of 80 euros is left, the limit is raised to 90, 5 are spent: dropped, they leave the 1 that there was."""
    streams = opened().given(limit(8_000, 11, "consumed", balance=100 * CENT), limit(9_000, 12))
    streams.when(facts.ConsumeAllowance(CUSTOMER, 8_500 * CENT, block(13)))
    assert streams.spendable_cents() == 0
    streams.when(limit(9_000, 12, "reorg"))
    assert streams.spendable_cents() == 100


@dataclass
class Contract:
    """What the Roles modifier stored in each block, as a node remembers it: a reorg goes back to any block that is not final."""

    stored: dict[int, Allowance]
    changes: list[int] = field(default_factory=list)
    spends: list[tuple[int, int]] = field(default_factory=list)
    final: int = 10
    now: int = NOON_UNIX

    @property
    def head(self) -> facts.Block:
        return self.block(max(self.stored))

    def block(self, number: int) -> facts.Block:
        return facts.Block(number, f"0x{number}", self.now)

    def mined(self, stored: Allowance) -> None:
        self.stored[self.head.number + 1] = stored

    def back_to(self, number: int) -> None:
        self.stored = {each: stored for each, stored in self.stored.items() if each <= number}
        self.changes = [each for each in self.changes if each <= number]
        self.spends = [(each, raw) for each, raw in self.spends if each <= number]

    def least(self) -> int:
        """What is left if a reorg drops any number of the owner's changes, and what was spent above is spent all the same."""
        points = [*(each - 1 for each in self.changes if each > self.final), self.head.number]
        left = [
            self.stored[point].accrued(self.now).balance - sum(raw for number, raw in self.spends if number > point)
            for point in points
        ]
        return max(0, min(left))


@given(
    st.lists(
        st.tuples(st.sampled_from(("set", "spend", "spend", "wait", "final", "reorg")), st.integers(0, 12_000)),
        max_size=25,
    )
)
def test_what_counts_is_the_least_that_any_reorg_may_leave(taken: list[tuple[str, int]]) -> None:
    streams = opened()
    contract = Contract({10: streams.customer.allowances.final})
    for what, drawn in taken:
        contract.now += 5 if what != "wait" else drawn * 5
        stored, head = contract.stored[contract.head.number].accrued(contract.now), contract.head.number
        if what == "set":
            contract.mined(Allowance(drawn * CENT, drawn * CENT, drawn * CENT, 3_600, contract.now))
            contract.changes.append(contract.head.number)
            streams.when(facts.ObserveAllowance(CUSTOMER, "set", contract.stored[head + 1], contract.head))
        elif what == "spend":
            raw = min(drawn * CENT, stored.balance)
            contract.mined(stored.consumed(raw, contract.now))
            contract.spends.append((contract.head.number, raw))
            streams.when(facts.ConsumeAllowance(CUSTOMER, stored.balance - raw, contract.head))
        elif what == "final":
            before, contract.final = contract.final, min(head, contract.final + 1 + drawn % 3)
            for number in range(before + 1, contract.final + 1):
                streams.when(facts.FinalizeAllowanceRaise(CUSTOMER, contract.block(number)))
        elif what == "reorg":
            contract.back_to(max(contract.final, head - drawn % 4))
            stored = contract.stored[contract.head.number]
            streams.when(facts.ObserveAllowance(CUSTOMER, "reorg", stored, contract.head))
        assert streams.customer.free_allowance_raw(contract.now) == contract.least()
        assert streams.customer.allowances.newest() == contract.stored[contract.head.number]


def test_a_spend_that_vanished_still_counts_against_the_limit_that_the_reorg_gave_back() -> None:
    consumed = facts.ConsumeAllowance(CUSTOMER, 7_000 * CENT, block(11))
    streams = approved().given(seen(transfer()), consumed)
    assert streams.spendable_cents() == 7_000
    streams.given(facts.UnseeTransfer(transfer()), limit(8_000, 10, "reorg"))
    assert streams.spendable_cents() == 7_000
    streams.given(seen(elsewhere(transfer(), 12)), facts.ConsumeAllowance(CUSTOMER, 7_000 * CENT, block(12)))
    assert streams.spendable_cents() == 7_000
