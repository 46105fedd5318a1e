"""The events that the chain's facts become. A fact is not a request: nothing here refuses."""

from __future__ import annotations

from itertools import chain

from schemas.definition import Raw
from schemas.messages import account_events as on_account
from schemas.messages import payment_events as on_payment
from streams.domain.chain.facts import (
    ConsumeAllowance,
    EmptyDelayQueue,
    FinalizeAllowanceRaise,
    FinalizeTransfer,
    ObserveAllowance,
    ObserveDrift,
    ObserveIntegrity,
    QueueWithdrawal,
    SeeTransfer,
    Transfer,
    UnseeTransfer,
)
from streams.domain.chain.leg_decisions import ended_transfer, seen_again
from streams.domain.circumstances import Circumstances
from streams.domain.money import minor_of
from streams.domain.opening import Events
from streams.domain.states.account import Account
from streams.domain.states.payment import Payment
from streams.domain.values import replace


def see(fact: SeeTransfer, payment: Payment | None, account: Account | None, _: Circumstances) -> Events:
    """A debit counts from now on, once; a hold for it becomes the debit in this same append."""
    transfer = fact.transfer
    assert account is not None, f"account {transfer.account_id} is watched but has no stream"
    debit = account.debits.get(transfer.transfer_id) if transfer.direction == "out" else None
    if debit is not None and debit.seen:
        return []
    hold = 0 if debit is not None else _hold_used(transfer, account)
    seen = on_account.TransferSeen(
        account_id=account.account_id,
        transfer_id=transfer.transfer_id,
        direction=transfer.direction,
        kind=transfer.kind,
        counterparty=transfer.counterparty,
        amount_raw=Raw(transfer.amount_raw),
        currency=account.currency,
        decimals=account.decimals,
        again=debit is not None if transfer.direction == "out" else fact.again,
        payment_id=transfer.payment_id,
        leg_id=transfer.leg_id,
        hold_used_raw=Raw(hold),
        tx_hash=transfer.tx_hash,
        log_index=transfer.log_index,
        block_number=transfer.block.number,
        block_hash=transfer.block.hash,
        block_time=transfer.block.time,
    )
    return [seen, *_leg_seen(transfer, payment, account)]


def _hold_used(transfer: Transfer, account: Account) -> int:
    """What was set aside for the spend; the payment's other spends keep theirs."""
    if transfer.payment_id is None or transfer.leg_kind != "spend":
        return 0
    return min(account.holds.get(transfer.payment_id, 0), transfer.amount_raw)


def _leg_seen(transfer: Transfer, payment: Payment | None, account: Account) -> Events:
    if transfer.payment_id is None or transfer.leg_id is None or transfer.leg_kind is None:
        return []
    leg = on_payment.LegSeen(
        payment_id=transfer.payment_id,
        leg_id=transfer.leg_id,
        kind=transfer.leg_kind,
        account_id=account.account_id,
        transfer_id=transfer.transfer_id,
        amount_raw=Raw(transfer.amount_raw),
        decimals=account.decimals,
        tx_hash=transfer.tx_hash,
        block_number=transfer.block.number,
        block_hash=transfer.block.hash,
        block_time=transfer.block.time,
    )
    if payment is None:
        return [_opened_by_chain(transfer, account), leg]
    known = payment.legs.get(leg.leg_id)
    return seen_again(payment, leg) if known and known.closed else [leg]


def _opened_by_chain(transfer: Transfer, account: Account) -> on_payment.PaymentRequested:
    """A spend that nobody asked us about opens a payment of origin chain."""
    assert transfer.payment_id is not None
    return on_payment.PaymentRequested(
        payment_id=transfer.payment_id,
        account_id=account.account_id,
        origin="chain",
        amount_minor=minor_of(transfer.amount_raw, account.currency, account.decimals),
        currency=account.currency,
        amount_raw=Raw(transfer.amount_raw),
        decimals=account.decimals,
        card_token=account.card_token,
        tx_hash=transfer.tx_hash,
    )


def unsee(fact: UnseeTransfer, payment: Payment | None, account: Account | None, _: Circumstances) -> Events:
    """A debit stays reserved, for the transaction may be mined again; a credit had not counted yet."""
    transfer = fact.transfer
    assert account is not None, f"account {transfer.account_id} is watched but has no stream"
    if not _on_its_way(transfer, account, seen=True):
        return []
    unseen = on_account.TransferUnseen(
        account_id=account.account_id,
        transfer_id=transfer.transfer_id,
        direction=transfer.direction,
        kind=transfer.kind,
        amount_raw=Raw(transfer.amount_raw),
        currency=account.currency,
        decimals=account.decimals,
        payment_id=transfer.payment_id,
        tx_hash=transfer.tx_hash,
        block_number=transfer.block.number,
        block_hash=transfer.block.hash,
    )
    if payment is None or transfer.leg_id is None or transfer.leg_kind is None:
        return [unseen]
    leg = on_payment.LegUnseen(
        payment_id=payment.payment_id,
        leg_id=transfer.leg_id,
        kind=transfer.leg_kind,
        tx_hash=transfer.tx_hash,
        block_number=transfer.block.number,
        block_hash=transfer.block.hash,
    )
    return [unseen, leg]


def finalize(fact: FinalizeTransfer, payment: Payment | None, account: Account | None, _: Circumstances) -> Events:
    """The balance moved for good; at first sight nothing was on its way before."""
    transfer = fact.transfer
    assert account is not None, f"account {transfer.account_id} is watched but has no stream"
    if not (fact.at_first_sight or _on_its_way(transfer, account)):
        return []
    final = on_account.TransferFinalized(
        account_id=account.account_id,
        transfer_id=transfer.transfer_id,
        direction=transfer.direction,
        kind=transfer.kind,
        counterparty=transfer.counterparty,
        amount_raw=Raw(transfer.amount_raw),
        currency=account.currency,
        decimals=account.decimals,
        payment_id=transfer.payment_id,
        tx_hash=transfer.tx_hash,
        block_number=transfer.block.number,
        block_hash=transfer.block.hash,
        block_time=transfer.block.time,
        at_first_sight=fact.at_first_sight,
        log_index=transfer.log_index,
    )
    if payment is None or transfer.leg_id is None or transfer.leg_kind is None:
        return [final]
    leg = on_payment.LegSettled(
        payment_id=payment.payment_id,
        leg_id=transfer.leg_id,
        kind=transfer.leg_kind,
        amount_raw=Raw(transfer.amount_raw),
        decimals=account.decimals,
        tx_hash=transfer.tx_hash,
        block_number=transfer.block.number,
        block_hash=transfer.block.hash,
        block_time=transfer.block.time,
    )
    return [final, leg]


def _on_its_way(transfer: Transfer, account: Account, *, seen: bool = False) -> bool:
    """A debit that the account knows of: what is gone is gone once. Credits are not kept before they are final."""
    debit = account.debits.get(transfer.transfer_id)
    return transfer.direction == "in" or (debit is not None and (debit.seen or not seen))


def consume_allowance(
    fact: ConsumeAllowance, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """What is stored after a spend: accrued to the block's time, with the balance that the log tells."""
    assert account is not None, f"account {fact.account_id} is watched but has no stream"
    before = account.allowances.newest().accrued(fact.block.time)
    stored = replace(before, balance=fact.new_balance_raw)
    return observe_allowance(
        ObserveAllowance(fact.account_id, "consumed", stored, fact.block), payment, account, circumstances
    )


def observe_allowance(
    fact: ObserveAllowance, payment: Payment | None, account: Account | None, _: Circumstances
) -> Events:
    """The stored struct, as it is after the log.

    A reorg below which something that the owner set still stands, and is not final, is `unspent`: it only takes back what came above.
    """
    stands = account is not None and bool(account.allowances.up_to(fact.block.number))
    return [
        on_account.AllowanceObserved(
            account_id=fact.account_id,
            cause="unspent" if fact.cause == "reorg" and stands else fact.cause,
            balance_raw=Raw(fact.allowance.balance),
            max_refill_raw=Raw(fact.allowance.max_refill),
            refill_raw=Raw(fact.allowance.refill),
            period_seconds=fact.allowance.period_seconds,
            timestamp=fact.allowance.timestamp,
            block_number=fact.block.number,
            block_hash=fact.block.hash,
            block_time=fact.block.time,
        )
    ]


def finalize_raise(
    fact: FinalizeAllowanceRaise, payment: Payment | None, account: Account | None, _: Circumstances
) -> Events:
    """A raise that is final counts; one that was taken back meanwhile, or came later, does not."""
    if account is None or not account.allowances.up_to(fact.block.number):
        return []
    return [
        on_account.AllowanceRaiseFinalized(
            account_id=fact.account_id, block_number=fact.block.number, block_hash=fact.block.hash
        )
    ]


def queue_withdrawal(
    fact: QueueWithdrawal, payment: Payment | None, account: Account | None, _: Circumstances
) -> Events:
    """Nothing is approved from now on."""
    return [
        on_account.WithdrawalQueued(
            account_id=fact.account_id,
            queue_nonce=fact.queue_nonce,
            queued_hash=fact.queued_hash,
            target=fact.target,
            tx_hash=fact.tx_hash,
            block_number=fact.block.number,
            block_hash=fact.block.hash,
            block_time=fact.block.time,
        )
    ]


def empty_queue(fact: EmptyDelayQueue, payment: Payment | None, account: Account | None, _: Circumstances) -> Events:
    """Approvals may go on. A withdrawal out of the queue that a reorg dropped is over: another transaction carried it, or it was skipped.

    To come again it must be queued again, and then nothing is approved.
    """
    if account is None or account.queue_empty:
        return []
    emptied = on_account.DelayQueueEmptied(
        account_id=fact.account_id,
        queue_nonce=fact.queue_nonce,
        block_number=fact.block.number,
        block_hash=fact.block.hash,
    )
    over = sorted(transfer_id for transfer_id, debit in account.debits.items() if debit.queued and not debit.seen)
    ended = (ended_transfer(account, transfer_id, "queue_emptied", None, None) for transfer_id in over)
    return [emptied, *chain.from_iterable(ended)]


def observe_drift(fact: ObserveDrift, payment: Payment | None, account: Account | None, _: Circumstances) -> Events:
    """The alarm is an event; whoever reads the chain tells beside it what is taken from now on."""
    return [
        on_account.DriftObserved(
            account_id=fact.account_id,
            what=fact.what,
            booked=fact.booked,
            found=fact.found,
            block_number=fact.block.number,
            block_hash=fact.block.hash,
        )
    ]


def observe_integrity(
    fact: ObserveIntegrity, payment: Payment | None, account: Account | None, _: Circumstances
) -> Events:
    """Only a change is an event."""
    if account is None or account.integrity == fact.integrity:
        return []
    return [
        on_account.IntegrityObserved(
            account_id=fact.account_id,
            integrity=fact.integrity,
            block_number=fact.block.number,
            block_hash=fact.block.hash,
        )
    ]
