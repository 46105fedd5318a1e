"""Which relayers can pay the gas of a spend: the others' share goes to those, until they are funded again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic

import structlog

from connectors.chain.node.rpc import Rpc
from connectors.chain.sending.carrying import GAS
from connectors.chain.sending.fees import first_bid

log = structlog.get_logger(__name__)
LOOK_SECONDS = 15.0
"""So long a look at the relayers' balances is good, and a node's word that one cannot pay."""


@dataclass
class Purses:
    """Looks at the balances of several relayers; one alone has nobody to step in for it. Not safe to use from several threads.

    `_refused`: those of whom a node said that they cannot pay, until when that is believed.
    """

    _empty: frozenset[str] = frozenset()
    _look_again: float = 0.0
    _refused: dict[str, float] = field(default_factory=dict)

    def empty(self, rpc: Rpc, relayers: Sequence[str], most_wei: int) -> frozenset[str]:
        """Whom no spend is given to now: all of these, where nobody could pay, are given theirs as ever. `most_wei`: we pay for a unit of gas."""
        if len(relayers) < 2:
            return frozenset()
        now = monotonic()
        if now >= self._look_again:
            self._look_again = now + LOOK_SECONDS
            self._look(rpc, relayers, GAS["spend"] * first_bid(rpc.fees(), most_wei).max_fee_wei)
        refused = {each for each, until in self._refused.items() if until > now}
        found = self._empty | refused
        return frozenset() if found.issuperset(relayers) else frozenset(found)

    def refuse(self, address: str) -> None:
        """A node says that it cannot pay."""
        self._refused[address] = monotonic() + LOOK_SECONDS

    def _look(self, rpc: Rpc, relayers: Sequence[str], least_wei: int) -> None:
        balances = {each: rpc.native_balance(each) for each in relayers}
        empty = frozenset(each for each, wei in balances.items() if wei < least_wei)
        for each in sorted(empty - self._empty):
            log.error("relayer_empty", sender=each, balance_wei=balances[each], least_wei=least_wei)
        for each in sorted(self._empty - empty):
            log.info("relayer_funded", sender=each, balance_wei=balances[each])
        self._empty = empty
