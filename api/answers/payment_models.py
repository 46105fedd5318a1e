"""What the API says of a payment: the read model's row, each field with its unit."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from api.answers.models import ACCOUNT_ID, PAYMENT_ID, SPENT_HASH, Answer, Instant, RawAmount


class Payment(Answer):
    """A payment on its two axes: the card leg (`state`) and the chain legs (`spend_state`, `refund_state`), and its `outcome`."""

    payment_id: UUID = Field(examples=[PAYMENT_ID])
    account_id: UUID = Field(examples=[ACCOUNT_ID])
    origin: str = Field(description="network: asked before; chain: seen after.", examples=["network"])
    outcome: str = Field(
        description="open, settled, declined, refunded, unseen, verified or unpaid.", examples=["settled"]
    )
    state: str = Field(
        description="The card leg: requested, verified, declined, authorized, partly_captured, captured, reversed, expired, "
        "corrected, disputed or refunded.",
        examples=["captured"],
    )
    spend_state: str | None = Field(
        description="Safe to settlement: planned, submitted, seen, unseen, settled or ended_unpaid.",
        examples=["settled"],
    )
    refund_state: str | None = Field(description="Settlement to Safe, the same words.", examples=[None])
    amount_minor: int = Field(description="Billing amount, minor units of `currency`.", examples=[1234])
    currency: str = Field(description="Billing currency, ISO 4217.", examples=["EUR"])
    amount_raw: RawAmount = Field(description="The same amount in raw token units, base-10.")
    decimals: int = Field(description="Decimals of the token.", examples=[18])
    captured_minor: int = Field(description="Posted by the network so far, minor units.", examples=[1234])
    authorized_minor: int = Field(description="Approved so far, minor units.", examples=[1234])
    open_minor: int = Field(description="Approved, and neither posted nor given back, minor units.", examples=[0])
    refunded_minor: int = Field(description="Given back by the merchant, minor units.", examples=[0])
    credited_minor: int = Field(description="Credited for a dispute, minor units.", examples=[0])
    due_raw: RawAmount = Field(description="What must have moved from the Safe to settlement, net, raw token units.")
    receivable_raw: RawAmount = Field(description="What the holder owes and the chain can no longer take, raw units.")
    message: str = Field(description="What opened it: authorization, advice, refund...", examples=["authorization"])
    transaction_type: str = Field(description="purchase, cash or balance_inquiry.", examples=["purchase"])
    reason: str | None = Field(description="Why it was declined, reversed or expired.", examples=[None])
    response_code: str | None = Field(description="What the network was told, ISO 8583 DE39.", examples=["00"])
    authorization_code: str | None = Field(description="Told to the network, DE38.", examples=["804113"])
    card_token: str | None = Field(description="Token of the card; never a PAN.", examples=["card-ada"])
    merchant_name: str | None = Field(description="Card acceptor, DE43.", examples=["Kaffeehaus"])
    merchant_country: str | None = Field(description="ISO 3166-1 alpha-2.", examples=["AT"])
    mcc: str | None = Field(description="Merchant category code, ISO 18245.", examples=["5814"])
    network_reference: str | None = Field(description="Retrieval reference number, DE37.", examples=["606012345678"])
    spend_tx_hash: str | None = Field(description="Transaction that carried the spend.", examples=[SPENT_HASH])
    refund_tx_hash: str | None = Field(description="Transaction that carried the refund.", examples=[None])
    block_number: int | None = Field(description="Block of the newest movement that stands in one.", examples=[41022])
    version: int = Field(description="Version of the payment's stream that this row is the fold of.", examples=[9])
    requested_at: Instant = Field(description="When it was asked or first seen, by the write server's clock.")
    changed_at: Instant = Field(description="When it last changed, by the write server's clock.")


class PaymentPage(Answer):
    """A page of payments, the newest first."""

    payments: list[Payment]
    next_cursor: str | None = Field(
        description="Send it as `cursor` for the page after this one; null: it was the last."
    )
