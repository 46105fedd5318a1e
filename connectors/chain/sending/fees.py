"""What our transactions offer per gas (EIP-1559), and what they offer when they must be sent again. Pure; all in wei."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.chain.node.values import Fees


@dataclass(frozen=True)
class Bid:
    """`max_fee_wei`: the most for a unit of gas; `tip_wei`: of it for whoever mines."""

    max_fee_wei: int
    tip_wei: int


def first_bid(fees: Fees, most_wei: int) -> Bid:
    """A price that stays good for six full blocks, and never more than `most_wei`: dearer, it waits."""
    most = min(fees.cap_wei(), most_wei)
    return Bid(most, min(fees.tip_wei, most))


def higher_bid(old: Bid, fees: Fees, most_wei: int) -> Bid | None:
    """A bid that takes the old one's place at its nonce: pools ask for a tenth more of both, we give an eighth.

    None where that would be more than `most_wei`: the old one waits on.
    """
    least = Bid(old.max_fee_wei + old.max_fee_wei // 8 + 1, old.tip_wei + old.tip_wei // 8 + 1)
    if least.max_fee_wei > most_wei:
        return None
    max_fee_wei = max(min(fees.cap_wei(), most_wei), least.max_fee_wei)
    return Bid(max_fee_wei, min(max_fee_wei, max(fees.tip_wei, least.tip_wei)))
