"""A small payment world for property tests: what happens is drawn, what follows is decided by the product's own decisions.

Nothing here writes an event by hand, so every history is one that the write side can really make.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from hypothesis import strategies as st

from schemas.messages import account_commands
from schemas.messages import card_controls as controls
from streams.domain.chain import facts
from streams.domain.states.allowance import Allowance
from tests.happenings import CENT
from tests.happenings_chain import ChainHappens
from tests.happenings_network import NetworkHappens

Step = tuple[str, int, int]
"""(what happens, which one of those it can happen to, how many cents)."""

ACTIONS = (
    *("request", "request", "hold", "screen", "authorize", "authorize", "authorize"),
    *("decline", "capture", "reverse", "expire", "verify", "capture_part", "reverse_part", "increment", "advise"),
    *(
        "present",
        "unlinked_refund",
        "refund",
        "undo_refund",
        "undo_capture",
        "dispute",
        "win",
        "lose",
        "collect",
        "write_off",
    ),
    *(
        "submit",
        "revert",
        "see_leg",
        "see_leg",
        "give_up",
        "end_unpaid",
        "plan_refund",
        "plan_refund",
        "refund_again",
        "close_spend",
    ),
    *("deposit", "foreign_spend", "withdrawal", "of_history", "unsee", "see_again", "finalize", "finalize", "finalize"),
    *("limit", "bar", "unbar"),
    *("freeze", "unfreeze", "queue", "empty", "empty", "broken", "mended", "mended"),
    *("consume", "raise", "cut", "cut", "reorg_limit", "finalize_raise", "wait"),
)
steps = st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 5), st.integers(0, 9_000)), max_size=60)


@dataclass
class World(NetworkHappens, ChainHappens):
    """One customer, one settlement wallet, the payments between them, and everything that was appended, in order.

    `limits`: what the contract stored, block by block, from the final one on.
    """

    limits: list[tuple[facts.Block, Allowance]] = field(default_factory=list)

    @classmethod
    def of(cls, taken: Sequence[Step], name: str = "world") -> World:
        """The world after these steps; one that cannot happen now does nothing."""
        world = cls(name)
        for action, which, cents in taken:
            getattr(world, f"_{action}")(which, cents)
        return world

    # --- the account ------------------------------------------------------------------------------------------------------

    def _freeze(self, _: int, __: int) -> None:
        self.do(account_commands.FreezeCard(account_id=self.customer, reason="holder"))

    def _unfreeze(self, _: int, __: int) -> None:
        self.do(account_commands.UnfreezeCard(account_id=self.customer, reason="holder"))

    def _limit(self, which: int, cents: int) -> None:
        limits = {"per_day_minor": cents * 3, "velocity_count": which + 1, "velocity_seconds": 3600} if which else {}
        self.do(controls.SetCardLimits(account_id=self.customer, **limits))

    def _bar(self, which: int, cents: int) -> None:
        self.do(controls.BlockMcc(account_id=self.customer, mcc=f"{which:04}", reason="holder"))
        self.do(controls.BlockCountry(account_id=self.customer, country=f"X{cents % 3}", reason="holder"))

    def _unbar(self, which: int, cents: int) -> None:
        self.do(controls.UnblockMcc(account_id=self.customer, mcc=f"{which:04}", reason="holder"))
        self.do(controls.UnblockCountry(account_id=self.customer, country=f"X{cents % 3}", reason="holder"))

    def _queue(self, which: int, _: int) -> None:
        self.do(facts.QueueWithdrawal(self.customer, which, "0xhash", "0xtoken", "0xtx", self._block()))

    def _empty(self, which: int, _: int) -> None:
        self.do(facts.EmptyDelayQueue(self.customer, which, self._block()))

    def _broken(self, _: int, __: int) -> None:
        self.do(facts.ObserveIntegrity(self.customer, "DelayMisconfigured", self._block()))

    def _mended(self, _: int, __: int) -> None:
        self.do(facts.ObserveIntegrity(self.customer, "Ok", self._block()))

    def _consume(self, _: int, cents: int) -> None:
        known = self.states[self.customer].allowances.newest()
        self._stored("consumed", known.consumed(cents * CENT, self._block().time))

    def _raise(self, _: int, cents: int) -> None:
        self._set(15_000 + cents)

    def _cut(self, _: int, cents: int) -> None:
        self._set(cents)

    def _set(self, cents: int) -> None:
        self._stored("set", Allowance(cents * CENT, cents * CENT, cents * CENT, 3600, self._block().time))

    def _stored(self, cause: str, allowance: Allowance) -> None:
        block = self._block()
        self.limits.append((block, allowance))
        self.do(facts.ObserveAllowance(self.customer, cause, allowance, block))

    def _reorg_limit(self, which: int, _: int) -> None:
        """The chain goes back by some of these blocks, never below the final one."""
        self.limits = self.limits[: max(1, len(self.limits) - which)]
        if self.limits:
            block, allowance = self.limits[-1]
            self.do(facts.ObserveAllowance(self.customer, "reorg", allowance, block))

    def _finalize_raise(self, which: int, _: int) -> None:
        """The first of these blocks, and sometimes more of them, are final."""
        self.limits = self.limits[min(which, len(self.limits) - 1) :] if self.limits else []
        if self.limits:
            self.do(facts.FinalizeAllowanceRaise(self.customer, self.limits[0][0]))

    def _wait(self, which: int, _: int) -> None:
        self.now += timedelta(minutes=20 * which)
