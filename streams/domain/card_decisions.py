"""Decisions on the card leg. Each takes the order, the payment, its account and the circumstances, and gives the events.

No events: the order asks for what is already so, or comes too late to change it. A refusal is an event with its reason.
"""

from __future__ import annotations

from schemas.definition import Message, Raw
from schemas.messages import account_events as on_account
from schemas.messages import payment_commands as orders
from schemas.messages import payment_events as on_payment
from streams.domain import ids, screening
from streams.domain.account import Account
from streams.domain.circumstances import Circumstances
from streams.domain.money import EXPONENTS, checked_minor, raw_of
from streams.domain.payment import Payment, evolve
from streams.domain.reasons import APPROVED, response_code

Events = list[Message]


def request(
    order: orders.RequestPayment, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """Open the payment; what can be answered without a hold is answered at once. Raises BadInput for what is no amount."""
    if payment is not None:
        return []
    checked_minor(order.amount_minor)
    fits = account is not None and order.currency == account.currency and order.currency in EXPONENTS
    decimals = account.decimals if account else 0
    requested = on_payment.PaymentRequested(
        payment_id=order.payment_id,
        account_id=order.account_id,
        origin="network",
        card_token=order.card_token,
        amount_minor=order.amount_minor,
        currency=order.currency,
        amount_raw=Raw(raw_of(order.amount_minor, order.currency, decimals) if fits else 0),
        decimals=decimals,
        merchant_name=order.merchant_name,
        merchant_country=order.merchant_country,
        mcc=order.mcc,
        merchant_amount_minor=order.merchant_amount_minor,
        merchant_currency=order.merchant_currency,
        trace_number=order.trace_number,
        network_reference=order.network_reference,
        deadline=order.deadline,
    )
    if account is None or account.kind != "customer":
        return [requested, _declined(requested, "account_unknown")]
    if not fits:
        return [requested, _declined(requested, "currency_unsupported")]
    return [requested, *_verification(requested, account, circumstances)]


def _verification(requested: on_payment.PaymentRequested, account: Account, circumstances: Circumstances) -> Events:
    """A zero amount asks whether the card is good: answered at once, nothing is held."""
    if requested.amount_minor:
        return []
    reason = screening.refusal(evolve(None, requested), account, circumstances.policy)
    if reason:
        return [_declined(requested, reason)]
    return [
        on_payment.PaymentVerified(
            payment_id=requested.payment_id, account_id=requested.account_id, response_code=APPROVED
        )
    ]


def hold(
    order: orders.HoldFunds, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """Set the amount aside, if the payment is open and the account can."""
    if payment is None or not payment.open or payment.held or payment.hold_refused:
        return []
    spendable = account.spendable_raw(circumstances.chain_time) if account else 0
    reason = hold_refusal(payment, account, circumstances)
    if reason or account is None:
        return [
            on_payment.HoldRefused(
                payment_id=payment.payment_id,
                account_id=payment.account_id,
                reason=reason or "account_unknown",
                amount_raw=Raw(payment.amount_raw),
                spendable_raw=Raw(spendable),
                decimals=payment.decimals,
            )
        ]
    return [
        on_account.FundsHeld(
            account_id=account.account_id,
            payment_id=payment.payment_id,
            amount_raw=Raw(payment.amount_raw),
            currency=account.currency,
            decimals=account.decimals,
            spendable_raw=Raw(spendable),
        ),
        on_payment.PaymentHeld(
            payment_id=payment.payment_id,
            account_id=account.account_id,
            amount_raw=Raw(payment.amount_raw),
            decimals=payment.decimals,
        ),
    ]


def hold_refusal(payment: Payment, account: Account | None, circumstances: Circumstances) -> str | None:
    """Why the amount cannot be set aside, or None."""
    if account is None:
        return "account_unknown"
    if circumstances.chain_age_seconds > circumstances.policy.chain_stale_seconds:
        return "chain_stale"
    if account.integrity != "Ok":
        return "account_integrity"
    if not account.queue_empty:
        return "withdrawal_pending"
    if payment.amount_raw > account.free_funds_raw():
        return "insufficient_funds"
    if payment.amount_raw > account.free_allowance_raw(circumstances.chain_time):
        return "over_limit"
    return None


def screen(
    order: orders.ScreenPayment, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """Give the verdict, unless there is one or nobody waits for one any more."""
    if payment is None or not payment.open or payment.verdict is not None:
        return []
    reason = screening.refusal(payment, account, circumstances.policy)
    verdict = "refused" if reason else "passed"
    return [on_payment.PaymentScreened(payment_id=payment.payment_id, verdict=verdict, reason=reason)]


def authorize(
    order: orders.AuthorizePayment, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """Approve; for the network, plan the spend in the same append. The append itself refuses what is past the deadline."""
    if payment is None or not payment.open or payment.verdict != "passed":
        return []
    network = payment.origin == "network"
    if network and (not payment.held or payment.deadline is None or circumstances.now > payment.deadline):
        return []
    authorized = on_payment.PaymentAuthorized(
        payment_id=payment.payment_id,
        account_id=payment.account_id,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        amount_raw=Raw(payment.amount_raw),
        decimals=payment.decimals,
        authorization_code=f"{payment.payment_id.int % 10**6:06d}" if network else None,
        response_code=APPROVED,
    )
    return [authorized, plan(payment, "spend", "authorized")] if network else [authorized]


def decline(
    order: orders.DeclinePayment, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """Decline an open payment and release its hold together."""
    if payment is None or not payment.open:
        return []
    declined = on_payment.PaymentDeclined(
        payment_id=payment.payment_id,
        account_id=payment.account_id,
        reason=order.reason,
        response_code=response_code(order.reason),
    )
    return [declined, *release(payment, account, order.reason)]


def capture(
    order: orders.CapturePayment, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """Post the presentment of an authorized payment, in its currency; the same presentment twice is one capture."""
    if payment is None or payment.card != "authorized" or order.presentment_id in payment.presentments:
        return []
    if order.currency != payment.currency or checked_minor(order.amount_minor) == 0:
        return []
    return [
        on_payment.PaymentCaptured(
            payment_id=payment.payment_id,
            presentment_id=order.presentment_id,
            amount_minor=order.amount_minor,
            currency=order.currency,
            amount_raw=Raw(raw_of(order.amount_minor, order.currency, payment.decimals)),
            decimals=payment.decimals,
        )
    ]


def reverse(
    order: orders.ReversePayment, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """Take the authorization back. An open payment is declined; an authorized one has a spend in flight to wait for."""
    if payment is None or payment.card not in ("requested", "authorized"):
        return []
    if payment.open:
        gone = orders.DeclinePayment(payment_id=order.payment_id, account_id=order.account_id, reason="reversed")
        return decline(gone, payment, account, circumstances)
    return [
        on_payment.PaymentReversed(
            payment_id=payment.payment_id,
            reversal_id=order.reversal_id,
            amount_minor=payment.amount_minor,
            currency=payment.currency,
        )
    ]


def expire(
    order: orders.ExpirePayment, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """End an authorization that nobody captured."""
    if payment is None or payment.card != "authorized":
        return []
    return [
        on_payment.PaymentExpired(
            payment_id=payment.payment_id, amount_minor=payment.amount_minor, currency=payment.currency
        )
    ]


def plan(payment: Payment, kind: str, reason: str) -> on_payment.LegPlanned:
    """A leg of the payment's whole amount; its id follows from payment and kind, so there is one of each."""
    return on_payment.LegPlanned(
        payment_id=payment.payment_id,
        leg_id=ids.leg_id(payment.payment_id, kind),
        kind=kind,
        account_id=payment.account_id,
        amount_raw=Raw(payment.amount_raw),
        currency=payment.currency,
        decimals=payment.decimals,
        reason=reason,
    )


def release(payment: Payment, account: Account | None, reason: str) -> Events:
    """The release of the payment's hold, where there is one."""
    amount = account.holds.get(payment.payment_id) if account else None
    if amount is None or account is None:
        return []
    return [
        on_account.HoldReleased(
            account_id=account.account_id,
            payment_id=payment.payment_id,
            amount_raw=Raw(amount),
            currency=account.currency,
            decimals=account.decimals,
            reason=reason,
        )
    ]


def _declined(requested: on_payment.PaymentRequested, reason: str) -> on_payment.PaymentDeclined:
    return on_payment.PaymentDeclined(
        payment_id=requested.payment_id,
        account_id=requested.account_id,
        reason=reason,
        response_code=response_code(reason),
    )
