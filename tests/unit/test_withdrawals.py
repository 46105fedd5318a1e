"""What the owner withdraws through the Delay queue: reserved when it is seen, free again when the queue shows that it never comes."""

from __future__ import annotations

from dataclasses import replace

from streams.domain import ids
from streams.domain.chain import facts
from tests.given import CUSTOMER, Streams, block, deposit, elsewhere, names, opened, seen

QUEUED = facts.QueueWithdrawal(CUSTOMER, 4, "0xqueued", "0xToken", "0xenqueue", block(11))
EMPTIED = facts.EmptyDelayQueue(CUSTOMER, 5, block(20))


def withdrawal(tx_hash: str, number: int = 12) -> facts.Transfer:
    """The queue's head, carried out by this transaction: 50 euros."""
    transfer_id = ids.transfer_id(100, tx_hash, "0xtoken", 0)
    moved = deposit(5_000, number, transfer_id=transfer_id, tx_hash=tx_hash)
    return replace(moved, direction="out", kind="withdrawal", counterparty="0xSomebody")


def vanished() -> Streams:
    """Seen in a block that a reorg dropped."""
    return opened().given(QUEUED, seen(withdrawal("0xfirst")), facts.UnseeTransfer(withdrawal("0xfirst")))


def test_one_that_vanished_and_that_another_transaction_carried_is_reserved_until_the_queue_is_empty() -> None:
    other = withdrawal("0xother", 13)
    streams = vanished().given(seen(other), facts.FinalizeTransfer(other))
    assert (streams.customer.final_raw, streams.customer.debits_raw) == (5_000 * 10**16, 5_000 * 10**16)
    told = streams.when(EMPTIED)
    assert names(told) == ["DelayQueueEmptied", "TransferEnded"]
    assert (streams.customer.debits_raw, streams.customer.free_funds_raw()) == (0, 5_000 * 10**16)


def test_one_that_nobody_carries_and_that_expires_is_free_again_too() -> None:
    assert vanished().given(EMPTIED).customer.free_funds_raw() == 10_000 * 10**16


def test_one_that_comes_back_after_all_was_queued_again_and_counts_again() -> None:
    streams = vanished().given(EMPTIED, replace(QUEUED, block=block(30)))
    streams.given(seen(elsewhere(withdrawal("0xfirst"), 40), again=True))
    assert streams.customer.debits_raw == 5_000 * 10**16
    streams.given(facts.FinalizeTransfer(elsewhere(withdrawal("0xfirst"), 40)))
    assert (streams.customer.debits_raw, streams.customer.final_raw) == (0, 5_000 * 10**16)


def test_one_that_stands_in_a_block_is_not_over_because_the_queue_is_empty() -> None:
    assert names(opened().given(QUEUED, seen(withdrawal("0xfirst"))).when(EMPTIED)) == ["DelayQueueEmptied"]


def test_what_left_without_the_queue_may_come_again_without_it_and_stays_reserved() -> None:
    """Somebody whom the Safe gave an ERC-20 allowance takes; a spend needs no queue either."""
    taken = withdrawal("0xtaken")
    spent = replace(withdrawal("0xspent"), kind="spend")
    streams = opened().given(seen(taken), QUEUED, seen(spent), facts.UnseeTransfer(taken), facts.UnseeTransfer(spent))
    assert names(streams.when(EMPTIED)) == ["DelayQueueEmptied"]
    assert streams.customer.debits_raw == 2 * 5_000 * 10**16
