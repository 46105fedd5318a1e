"""What the network may tell of a payment after its first answer, or without a question: strict shapes, as in `orders.py`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.requests.orders import Amount, Category, Currency, Key, Merchant, Reference, Sent, Text

Positive = Annotated[Amount, Field(gt=0, description="Amount, minor units.")]
Reversing = Annotated[Reference, Field(description="The network's id of the reversal.")]


def _shown(**example: Any) -> ConfigDict:
    return ConfigDict(**Sent, json_schema_extra={"examples": [example]})


MONEY: dict[str, Any] = {"amount_minor": 400, "currency": "EUR"}
SWIPE: dict[str, Any] = {
    "card_token": "card-ada",
    **MONEY,
    "merchant": {"name": "Kaffeehaus", "country": "AT", "mcc": "5814"},
}


class Increment(BaseModel):
    """More is asked for on the same authorization (incremental 0100). The same request twice is one."""

    model_config = _shown(increment_id="I-20260301-1", **MONEY)

    increment_id: Reference = Field(description="The network's id of the request.")
    amount_minor: Positive
    currency: Currency
    deadline_ms: Annotated[int, Field(strict=True, ge=1, le=60_000)] | None = Field(
        default=None, description="How long the network waits, less its way here; by default 1700 ms."
    )


class CaptureReversal(BaseModel):
    """The network takes a presentment back, all of it. The same reversal twice is one."""

    model_config = _shown(presentment_id="P-20260301-17", reversal_id="CR-20260303-1")

    presentment_id: Reference = Field(description="The presentment.")
    reversal_id: Reversing


class Refund(BaseModel):
    """The merchant gives back. More than was captured is given back too, and flagged. The same refund twice is one."""

    model_config = _shown(refund_id="F-20260305-2", **MONEY)

    refund_id: Reference = Field(description="The network's id of the refund.")
    amount_minor: Positive
    currency: Currency


class RefundReversal(BaseModel):
    """The network takes a refund back, all of it. The same reversal twice is one."""

    model_config = _shown(refund_id="F-20260305-2", reversal_id="FR-20260306-1")

    refund_id: Reference = Field(description="The refund.")
    reversal_id: Reversing


class Dispute(BaseModel):
    """The holder disputes what was captured, and is credited provisionally. The same dispute twice is one."""

    model_config = _shown(dispute_id="D-20260310-1", reason="fraud", **MONEY)

    dispute_id: Reference = Field(description="The network's id of the dispute.")
    amount_minor: Positive
    currency: Currency
    reason: Reference = Field(
        description="fraud, not_as_described, not_received, processing_error or the network's word."
    )


class DisputeResolution(BaseModel):
    """The dispute was decided: won, the credit stays and the network pays; lost, it is taken back."""

    model_config = _shown(outcome="won")

    outcome: Literal["won", "lost"]


class Told(BaseModel):
    """A swipe that nobody was asked about."""

    model_config = Sent

    card_token: Reference = Field(description="Token of the card; never a PAN.")
    amount_minor: Positive
    currency: Currency
    merchant: Merchant = Field(default_factory=Merchant)
    network_reference: Reference | None = Field(default=None, description="Retrieval reference number, DE37.")


class Advice(Told):
    """The network approved in our stead (stand-in, 0120): it stands. The same advice twice is one."""

    model_config = _shown(advice_id="A-20260301-9", authorization="visa-2026-03-01-0000017", **SWIPE)

    advice_id: Reference = Field(description="The network's id of the advice.")
    authorization: Key = Field(description="Idempotency key of the authorization request that it answered.")


class Presentment(Told):
    """The network posts what nobody was asked about (a force post without an authorization). The same presentment twice is one."""

    model_config = _shown(presentment_id="P-20260301-99", **SWIPE)

    presentment_id: Reference = Field(description="The network's id of the presentment.")


class UnlinkedRefund(Told):
    """A refund that names no payment of ours: a payment of its own, that is nothing but a credit. The same refund twice is one."""

    model_config = _shown(refund_id="F-20260305-77", **SWIPE)

    refund_id: Reference = Field(description="The network's id of the refund.")


class RefundAgain(BaseModel):
    """Why a refund that ended unpaid is planned anew; its leg keeps the reason."""

    model_config = _shown(reason="the settlement key has gas again")

    reason: Text


class SpendClosing(BaseModel):
    """Why nobody waits any longer for a spend by the holder's own hand that a reorg dropped; its stream keeps it."""

    model_config = _shown(reason="the holder has sent another in its place")

    reason: Text


class EarlyReversal(BaseModel):
    """A reversal (0400, 0420) by the key of its authorization, which may still be on its way here. The same reversal twice is one."""

    model_config = _shown(
        reversal_id="R-20260301-4", authorization="visa-2026-03-01-0000099", card_token="card-ada", **MONEY
    )

    reversal_id: Reversing
    authorization: Key = Field(description="Idempotency key of the authorization request.")
    card_token: Reference = Field(description="Token of the card.")
    amount_minor: Positive
    currency: Currency


class MessageResult(BaseModel):
    """Whether the message was taken, now and at every repeat; and how the payment stands, amounts in minor units."""

    model_config = ConfigDict(frozen=True)

    payment_id: str = Field(examples=["0b1f0a2e-6a52-5d5b-9d0a-2f7f1c3b9c11"])
    accepted: bool
    response_code: str = Field(description="ISO 8583 DE39.", examples=["00"])
    reason: str | None = Field(description="Why not, in our words.", examples=[None])
    authorization_code: str | None = Field(description="DE38, where it was approved.", examples=["804113"])
    state: str = Field(description="The card leg's state.", examples=["captured"])
    authorized_minor: int = Field(description="Approved so far.", examples=[1234])
    open_minor: int = Field(description="Approved, and neither posted nor given back.", examples=[0])
    captured_minor: int = Field(description="Posted so far.", examples=[1234])
    refunded_minor: int = Field(description="Given back so far.", examples=[0])


Limit = Amount | None


class CardLimits(BaseModel):
    """All of the card's limits, minor units: one that is left out is none. Days and months are UTC's."""

    model_config = _shown(per_day_minor=50_000, cash_per_day_minor=20_000, velocity_count=10, velocity_seconds=3_600)

    per_transaction_minor: Limit = Field(default=None, description="The most at once.")
    per_day_minor: Limit = Field(default=None, description="The most in a day.")
    per_month_minor: Limit = Field(default=None, description="The most in a month.")
    cash_per_transaction_minor: Limit = Field(default=None, description="The most at once in cash.")
    cash_per_day_minor: Limit = Field(default=None, description="The most in cash in a day.")
    velocity_count: Annotated[int, Field(strict=True, ge=0, le=10_000)] | None = Field(
        default=None, description="The most payments within the window."
    )
    velocity_minor: Limit = Field(default=None, description="The most within the window.")
    velocity_seconds: Annotated[int, Field(strict=True, ge=1, le=31 * 86_400)] | None = Field(
        default=None, description="Length of the window."
    )


class MerchantBlock(BaseModel):
    """What the card may not pay: a kind of merchant, or a country. One of the two."""

    model_config = _shown(mcc="7995", reason="holder")

    mcc: Category | None = Field(default=None, description="ISO 18245, DE18.")
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = Field(
        default=None, description="ISO 3166-1 alpha-2."
    )
    reason: Reference = Field(description="holder, compliance or another word of yours.")

    @model_validator(mode="after")
    def _one_of_two(self) -> MerchantBlock:
        if (self.mcc is None) == (self.country is None):
            raise ValueError("name a mcc or a country, one of the two")
        return self
