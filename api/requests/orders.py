"""What callers may send: strict shapes with bounds, so that a wrong value is named at the door and changes nothing."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt

LARGEST_AMOUNT_MINOR = 999_999_999_999
"""ISO 8583 DE4 has twelve digits."""


def _amount(value: int) -> int:
    if not 0 <= value <= LARGEST_AMOUNT_MINOR:
        raise ValueError(
            f"an amount is a whole number of minor units from 0 to {LARGEST_AMOUNT_MINOR} (ISO 8583 DE4 has twelve digits); "
            "send one within"
        )
    return value


def _plain(value: str) -> str:
    wrong = next((character for character in value if not character.isprintable()), None)
    if wrong is not None:
        raise ValueError(f"character U+{ord(wrong):04X} is not printable; leave it out")
    return value


def _named(value: str) -> str:
    if not value.strip():
        raise ValueError("a name is more than blanks; send one")
    return value


def _ascii(value: str) -> str:
    if not value.isascii() or not value.isprintable():
        raise ValueError("an idempotency key is of printable ASCII characters; send such a one")
    return value


Amount = Annotated[
    StrictInt, AfterValidator(_amount), Field(json_schema_extra={"minimum": 0, "maximum": LARGEST_AMOUNT_MINOR})
]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code, three capitals.", examples=["EUR"])]
Category = Annotated[str, Field(pattern=r"^[0-9]{4}$")]
"""A merchant category code. `\\d` would take the digits of every script, and screening would not know 7995 in Arabic ones."""
Text = Annotated[str, Field(min_length=1, max_length=140), AfterValidator(_plain)]
Reference = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_plain)]
Key = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_ascii)]
"""The network's own id of an authorization request, wherever it is named."""
Sent = ConfigDict(extra="forbid", frozen=True)


class Merchant(BaseModel):
    """Who is paid, as the network names it."""

    model_config = Sent

    name: Text | None = Field(default=None, description="Card acceptor name, DE43.")
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = Field(
        default=None, description="ISO 3166-1 alpha-2."
    )
    mcc: Category | None = Field(default=None, description="Merchant category code, ISO 18245, DE18.")
    amount_minor: Amount | None = Field(
        default=None, description="Amount in the merchant's currency, minor units, DE4."
    )
    currency: Currency | None = Field(default=None, description="The merchant's currency, DE49.")


class Authorization(BaseModel):
    """An authorization request (ISO 8583 MTI 0100). Amount 0 asks whether the card is good and moves nothing."""

    model_config = ConfigDict(
        **Sent,
        json_schema_extra={
            "examples": [
                {
                    "card_token": "card-ada",
                    "amount_minor": 1234,
                    "currency": "EUR",
                    "merchant": {"name": "Kaffeehaus", "country": "AT", "mcc": "5814"},
                    "trace_number": "004711",
                    "network_reference": "606012345678",
                }
            ]
        },
    )

    card_token: Reference = Field(description="Token of the card; never a PAN.")
    amount_minor: Amount = Field(description="Billing amount, minor units.")
    currency: Currency = Field(description="Billing currency, ISO 4217.")
    merchant: Merchant = Field(default_factory=Merchant)
    trace_number: Reference | None = Field(default=None, description="System trace audit number, DE11.")
    network_reference: Reference | None = Field(default=None, description="Retrieval reference number, DE37.")
    transaction_type: Literal["purchase", "cash", "balance_inquiry"] = Field(
        default="purchase",
        description="DE3: 00, 01, 30. A balance inquiry is told what may be spent, and holds nothing.",
    )
    single_message: bool = Field(
        default=False, strict=True, description="A financial request (0200): posted with its approval."
    )
    partial_approval: bool = Field(
        default=False, strict=True, description="Whether the terminal takes an approval of a part (response code 10)."
    )
    deadline_ms: Annotated[StrictInt, Field(ge=1, le=60_000)] | None = Field(
        default=None, description="How long the network waits, less its way here; by default 1700 ms."
    )


class AuthorizationResult(BaseModel):
    """The answer (MTI 0110): what the payment's stream says, now and at every repeat."""

    model_config = ConfigDict(frozen=True)

    payment_id: str = Field(examples=["0b1f0a2e-6a52-5d5b-9d0a-2f7f1c3b9c11"])
    approved: bool
    response_code: str = Field(description="ISO 8583 DE39.", examples=["00"])
    reason: str | None = Field(description="Why not, in our words.", examples=[None])
    authorization_code: str | None = Field(description="DE38, where it was approved.", examples=["804113"])
    state: str = Field(description="The card leg's state.", examples=["authorized"])
    approved_minor: int = Field(default=0, description="How much was approved, minor units.", examples=[1234])
    spendable_minor: int | None = Field(
        default=None, description="What a balance inquiry is told (DE54), minor units.", examples=[None]
    )


class Capture(BaseModel):
    """The network posts the payment (presentment). The same presentment twice is one capture."""

    model_config = ConfigDict(
        **Sent,
        json_schema_extra={"examples": [{"presentment_id": "P-20260301-17", "amount_minor": 1234, "currency": "EUR"}]},
    )

    presentment_id: Reference = Field(description="The network's id of the presentment.")
    amount_minor: Amount = Field(description="Amount posted, minor units.")
    currency: Currency = Field(description="ISO 4217.")
    final: bool = Field(
        default=True, strict=True, description="False while more presentments of the same authorization are to come."
    )


class Reversal(BaseModel):
    """The network takes its authorization back, or a part of it. The same reversal twice is one."""

    model_config = ConfigDict(**Sent, json_schema_extra={"examples": [{"reversal_id": "R-20260301-3"}]})

    reversal_id: Reference = Field(description="The network's id of the reversal.")
    amount_minor: Amount | None = Field(
        default=None, description="How much is taken back, minor units; all that is open where it is left out."
    )


class CardOrder(BaseModel):
    """Why the card is frozen or made active again."""

    model_config = ConfigDict(**Sent, json_schema_extra={"examples": [{"reason": "lost"}]})

    reason: Reference = Field(description="holder, lost, stolen, compliance or another word of yours.")


class PersonDetails(BaseModel):
    """What is personal: stored under the person's own key, and nowhere in clear. One rule for the API and for the command line."""

    model_config = Sent

    name: Annotated[Text, AfterValidator(_named)] = Field(repr=False)
    email: Text | None = Field(None, repr=False, description="None where it is not known.")
    phone: Text | None = Field(None, repr=False, description="None where it is not known.")


def example(model: type[BaseModel]) -> dict[str, Any]:
    """The documented example of a request; tests send exactly this."""
    extra = model.model_config["json_schema_extra"]
    assert isinstance(extra, dict)
    examples: Any = extra["examples"]
    return dict(examples[0])
