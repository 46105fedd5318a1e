"""Decisions on an authorization, the network's question: open, hold, screen, approve or decline. Each takes the order, the payment, its
account and the circumstances, and gives the events.

No events: the order asks for what is already so, or comes too late to change it. A refusal is an event with its reason.
"""

from __future__ import annotations

from schemas.definition import Raw
from schemas.messages import payment_commands as orders
from schemas.messages import payment_events as on_payment
from streams.domain.card import screening
from streams.domain.chain.consequences import hold as hold_in_both
from streams.domain.chain.consequences import release
from streams.domain.circumstances import Circumstances
from streams.domain.money import minor_of, raw_of
from streams.domain.opening import Events, declined, opened, said
from streams.domain.reasons import APPROVED, APPROVED_IN_PART, Reason
from streams.domain.states import limits
from streams.domain.states.account import Account
from streams.domain.states.amounts import Amount
from streams.domain.states.payment import evolve
from streams.domain.states.payment_state import Payment

IN_PART = (
    Reason.INSUFFICIENT_FUNDS, Reason.OVER_LIMIT, Reason.OVER_TRANSACTION_LIMIT, Reason.OVER_DAY_LIMIT, Reason.OVER_MONTH_LIMIT,
    Reason.OVER_CASH_LIMIT, Reason.OVER_VELOCITY,
)  # fmt: skip
"""Refusals of an amount that a smaller one may not meet."""


def request(
    order: orders.RequestPayment, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """Open the payment; what can be answered without a hold is answered at once. Raises BadInput for what is no amount."""
    requested, reason = opened(order, order.message, account)
    if reason or account is None:
        return [requested, declined(requested, reason or Reason.ACCOUNT_UNKNOWN)]
    return [requested, *_verification(requested, account, circumstances)]


def _verification(requested: on_payment.PaymentRequested, account: Account, circumstances: Circumstances) -> Events:
    """A zero amount asks whether the card is good, a balance inquiry what may be spent: answered at once, nothing is held."""
    inquiry = requested.transaction_type == "balance_inquiry"
    if requested.amount_minor and not inquiry:
        return []
    reason = screening.refusal(evolve(None, requested), account, circumstances.policy)
    if reason:
        return [declined(requested, reason)]
    spendable = minor_of(account.spendable_raw(circumstances.chain_time), account.currency, account.decimals)
    return [
        on_payment.PaymentVerified(
            payment_id=requested.payment_id,
            account_id=requested.account_id,
            response_code=APPROVED,
            spendable_minor=spendable if inquiry else None,
        )
    ]


def hold(order: orders.HoldFunds, payment: Payment, account: Account | None, circumstances: Circumstances) -> Events:
    """Set the amount aside, or a part of it where the terminal takes that, if the account can."""
    if payment.held_raw or payment.hold_refused:
        return []
    reason = hold_refusal(payment, payment.amount_raw, account, circumstances)
    amount_raw = payment.amount_raw
    if reason in IN_PART and payment.partial_approval and account is not None:
        amount_raw = raw_of(affordable_minor(payment, account, circumstances), payment.currency, payment.decimals)
        reason = None if amount_raw else reason
    if reason is None:
        return hold_in_both(payment, account, amount_raw, circumstances, "approval")
    return [
        on_payment.HoldRefused(
            payment_id=payment.payment_id,
            account_id=payment.account_id,
            reason=reason,
            amount_raw=Raw(payment.amount_raw),
            spendable_raw=Raw(account.spendable_raw(circumstances.chain_time) if account else 0),
            decimals=payment.decimals,
        )
    ]


def affordable_minor(payment: Payment, account: Account, circumstances: Circumstances) -> int:
    """The most that may be approved now, in whole minor units: by what is spendable, and by the card's limits."""
    spendable = minor_of(account.spendable_raw(circumstances.chain_time), account.currency, account.decimals)
    asked = _asked(payment, circumstances)
    if limits.refusal(account.limits, account.uses, asked, 0) is not None:
        return 0
    room = limits.room(account.limits, account.uses, asked)
    return spendable if room is None else min(spendable, room[0])


def hold_refusal(
    payment: Payment, amount_raw: int, account: Account | None, circumstances: Circumstances
) -> Reason | None:
    """Why so much more cannot be set aside for the payment, or None."""
    if account is None:
        return Reason.ACCOUNT_UNKNOWN
    if circumstances.chain_age_seconds > circumstances.policy.chain_stale_seconds:
        return Reason.CHAIN_STALE
    if account.integrity != "Ok":
        return Reason.ACCOUNT_INTEGRITY
    if not account.queue_empty:
        return Reason.WITHDRAWAL_PENDING
    if amount_raw > account.free_funds_raw():
        return Reason.INSUFFICIENT_FUNDS
    if amount_raw > account.free_allowance_raw(circumstances.chain_time):
        return Reason.OVER_LIMIT
    minor = minor_of(amount_raw, account.currency, account.decimals)
    return limits.refusal(account.limits, account.uses, _asked(payment, circumstances), minor)


def _asked(payment: Payment, circumstances: Circumstances) -> limits.Asked:
    cash = payment.transaction_type == "cash"
    return limits.Asked(payment.payment_id, circumstances.now, cash, payment.amounts.authorized.minor)


def screen(
    order: orders.ScreenPayment, payment: Payment, account: Account | None, circumstances: Circumstances
) -> Events:
    """Give the verdict, unless there is one."""
    if payment.verdict is not None:
        return []
    reason = screening.refusal(payment, account, circumstances.policy)
    verdict = "refused" if reason else "passed"
    return [on_payment.PaymentScreened(payment_id=payment.payment_id, verdict=verdict, reason=reason)]


def authorize(
    order: orders.AuthorizePayment, payment: Payment, account: Account | None, circumstances: Circumstances
) -> Events:
    """Approve what is held; a financial request is posted with it. The append itself refuses what is past the deadline."""
    if payment.verdict != "passed":
        return []
    network = payment.origin == "network"
    if network and (not payment.held_raw or payment.deadline is None or circumstances.now > payment.deadline):
        return []
    whole = Amount(payment.amount_minor, payment.amount_raw)
    amount = whole if not network or payment.held_raw >= whole.raw else part_of(payment)
    authorized = on_payment.PaymentAuthorized(
        **said(payment, amount),
        account_id=payment.account_id,
        authorization_code=authorization_code(payment) if network else None,
        response_code=APPROVED if amount == whole else APPROVED_IN_PART,
    )
    if payment.message != "financial":
        return [authorized]
    return [authorized, on_payment.PaymentCaptured(**said(payment, amount), presentment_id=str(payment.payment_id))]


def part_of(payment: Payment) -> Amount:
    """What is held of a payment of which only a part could be."""
    return Amount(minor_of(payment.held_raw, payment.currency, payment.decimals), payment.held_raw)


def authorization_code(payment: Payment) -> str:
    """DE38: six digits that follow from the payment."""
    return f"{payment.payment_id.int % 10**6:06d}"


def decline(
    order: orders.DeclinePayment, payment: Payment, account: Account | None, circumstances: Circumstances
) -> Events:
    """Decline an open payment and release its hold together."""
    return [declined(payment, order.reason), *release(payment, account, order.reason)]
