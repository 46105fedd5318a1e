"""What the API says, each field with its unit: minor units as integers, raw token units as base-10 strings, never a float.

Rows of the read models become these values once, here; the OpenAPI document is drawn from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, computed_field

from connectors.explain.sentences import SENTENCES, sentence

PAYMENT_ID = "0b1f0a2e-6a52-5d5b-9d0a-2f7f1c3b9c11"
ACCOUNT_ID = "5f3c9f0e-1d7b-5a44-8a55-0f1c2b3d4e5f"
SPENT_HASH = "0x5c504ed432cb51138bcf09aa5e8a410dd4a1e204ef84bfed1be16dfba1b22060"


def _raw(value: Any) -> Any:
    """numeric(78,0) comes as an exact Decimal."""
    return value if isinstance(value, str) else str(int(value))


def _utc(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


RawAmount = Annotated[
    str,
    BeforeValidator(_raw),
    Field(pattern=r"^-?\d+$", examples=["12340000000000000000"], description="Raw token units, base-10."),
]
Instant = Annotated[
    datetime,
    PlainSerializer(_utc, return_type=str, when_used="json"),
    Field(description="RFC 3339, UTC.", examples=["2026-03-01T12:00:00.120000Z"]),
]


class Answer(BaseModel):
    """What the API says. Frozen: an answer is not edited."""

    model_config = ConfigDict(frozen=True)


class Event(Answer):
    """An event of a stream, as it was stored and as it was delivered."""

    event_id: UUID
    version: int = Field(description="Its place in its stream, from 1.", examples=[1])
    position: int = Field(description="Its place among all events in the store.", examples=[20417])
    type: str = Field(examples=["PaymentRequested"])
    payload: dict[str, Any] = Field(description="What it says; amounts in raw units are strings.")
    headers: dict[str, Any] = Field(description="CloudEvents, trace and causation headers, as delivered.")
    topic: str | None = Field(
        description="Where its record stands in Kafka; null while it was only read from the store.",
        examples=["payments.events"],
    )
    partition: int | None = Field(examples=[3])
    offset: int | None = Field(examples=[611])
    recorded_at: Instant = Field(description="When it was stored, by the write server's clock.")
    delivered_at: Instant = Field(description="When the read side had it, by the read server's clock.")

    @computed_field(description="The same in a sentence, as `payriver explain` tells it; null where it has none.")
    def says(self) -> str | None:
        """What it says, for a person."""
        return sentence(self.type, self.payload) if self.type in SENTENCES else None


class EventPage(Answer):
    """Events of one stream, the oldest first."""

    stream_id: UUID
    events: list[Event]
    next_after: int | None = Field(description="Send it as `after` for the page after this one; null: it was the last.")


class Account(Answer):
    """An account: a wallet on chain in one token, under our watch."""

    account_id: UUID = Field(examples=[ACCOUNT_ID])
    kind: str = Field(description="customer or settlement.", examples=["customer"])
    wallet: str = Field(
        description="Address that holds the tokens.", examples=["0x8ba1f109551bD432803012645Ac136ddd64DBA72"]
    )
    token: str = Field(description="Token contract.", examples=["0x420CA0f9B9b604cE0fd9C18EF134C705e5Fa3430"])
    currency: str = Field(description="ISO 4217 code that the token stands for.", examples=["EUR"])
    decimals: int = Field(description="Decimals of the token.", examples=[18])
    card_token: str | None = Field(description="Token of its card.", examples=["card-ada"])
    card_state: str = Field(description="active or frozen.", examples=["active"])
    integrity: str = Field(description="Ok, or what is wrong with its modules and owners.", examples=["Ok"])
    queue_empty: bool = Field(description="Whether its Delay queue is empty; nothing is approved while it is not.")
    card_limits: dict[str, int] = Field(
        description="The card's own limits, minor units and seconds; what is not named has none.",
        examples=[{"per_day_minor": 50_000}],
    )
    blocks: dict[str, list[str]] = Field(
        description="What the card may not pay: `mccs` (merchant category codes) and `countries`.",
        examples=[{"mccs": ["7995"], "countries": []}],
    )
    block_number: int = Field(description="The last final block booked.", examples=[41018])
    version: int = Field(description="Version of the account's stream.", examples=[31])
    changed_at: Instant


class AccountPage(Answer):
    """A page of accounts, by id."""

    accounts: list[Account]
    next_cursor: str | None = Field(
        description="Send it as `cursor` for the page after this one; null: it was the last."
    )


class Allowance(Answer):
    """The spending allowance on chain that counts, accrued to `block_time`: while a change by its owner is not final, the lower one."""

    balance_raw: RawAmount = Field(description="Unused, raw units, base-10.")
    max_refill_raw: RawAmount = Field(description="The most that refilling reaches, raw units, base-10.")
    refill_raw: RawAmount = Field(description="What a period adds, raw units, base-10.")
    period_seconds: int = Field(description="Length of a period; 0: it never refills.", examples=[86400])
    next_refill_at: Instant | None = Field(description="When the next period begins; null: nothing is ever added.")


class Balance(Answer):
    """What an account holds and what of it may be spent. Minor units are rounded down, so dust is never shown as a cent."""

    account_id: UUID = Field(examples=[ACCOUNT_ID])
    currency: str = Field(examples=["EUR"])
    decimals: int = Field(examples=[18])
    total_raw: RawAmount = Field(description="What the chain says at the last final block booked, raw units, base-10.")
    total_minor: int = Field(description="The same, minor units.", examples=[50000])
    spendable_raw: RawAmount = Field(
        description="The smaller of funds and allowance, each less what is spoken for; raw units, base-10."
    )
    spendable_minor: int = Field(examples=[48766])
    pending_raw: RawAmount = Field(description="Debits on their way, not final; raw units, base-10.")
    pending_minor: int = Field(examples=[0])
    pending_in_raw: RawAmount = Field(description="Credits seen, not final: they do not count yet; raw units, base-10.")
    pending_in_minor: int = Field(examples=[0])
    held_raw: RawAmount = Field(description="Set aside for payments whose spend was not seen; raw units, base-10.")
    held_minor: int = Field(examples=[1234])
    blocked_by: str | None = Field(
        description="Why nothing would be approved now whatever is spendable: chain_stale, account_integrity, "
        "withdrawal_pending, card_frozen; null: nothing stands in the way.",
        examples=[None],
    )
    allowance: Allowance
    block_number: int = Field(description="The last final block booked.", examples=[41018])
    block_time: int = Field(description="Time of the block that the allowance is accrued to, Unix seconds.")
    version: int = Field(description="Version of the account's stream.", examples=[31])
    chain_balance_raw: RawAmount | None = Field(
        None, description="As of a block: held at its end by all that is final today."
    )


class StatementLine(Answer):
    """One booking that is final. `amount_minor` may round dust away; `amount_raw` never does."""

    booked_at: Instant = Field(description="The chain's time of the booking.")
    kind: str = Field(
        description="opening, deposit, mint, spend, refund, withdrawal or burn; settlement_in, settlement_out.",
        examples=["spend"],
    )
    amount_raw: RawAmount = Field(
        description="In (positive) or out (negative), raw units, base-10.", examples=["-12340000000000000000"]
    )
    balance_raw: RawAmount = Field(description="After this booking, raw units, base-10.")
    balance_minor: int = Field(description="The same, minor units, rounded down.", examples=[48766])
    payment_id: UUID | None
    tx_hash: str | None
    posting_id: UUID


class Statement(Answer):
    """What was booked on an account in a period: from (inclusive) to (exclusive)."""

    account_id: UUID = Field(examples=[ACCOUNT_ID])
    currency: str = Field(examples=["EUR"])
    decimals: int = Field(examples=[18])
    from_: Instant | None = Field(alias="from", description="Null: from the beginning.")
    to: Instant | None = Field(description="Null: up to now.")
    opening_raw: RawAmount = Field(description="Before the first line, raw units, base-10.")
    opening_minor: int
    closing_raw: RawAmount = Field(description="After the last line, raw units, base-10.")
    closing_minor: int
    lines: list[StatementLine]


class ProblemEntry(Answer):
    """One value that cannot be taken."""

    at: str = Field(
        description="Where: a JSON pointer into the body, or `query NAME`, `header NAME`, `path NAME`.",
        examples=["/amount_minor"],
    )
    problem: str = Field(description="What is wrong and what is wanted.", examples=["input should be a valid integer"])
    value: str | None = Field(default=None, description="What was sent, shortened.", examples=["12.34"])


class ProblemAnswer(Answer):
    """A problem (RFC 9457)."""

    type: str = Field(examples=["/problems/bad_input"])
    title: str = Field(examples=["A value cannot be taken"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["/amount_minor: input should be a valid integer"])
    instance: str = Field(examples=["/v1/authorizations"])
    remedy: str = Field(description="What to do.", examples=["Send the named value as the detail wants it."])
    errors: list[ProblemEntry] | None = None


def problem_answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of the problems that a route may answer."""
    schema: Mapping[str, Any] = {"$ref": "#/components/schemas/ProblemAnswer"}
    return {
        status: {"description": WORDS[status], "content": {"application/problem+json": {"schema": schema}}}
        for status in statuses
    }


WORDS = {
    400: "The body is not JSON.",
    401: "No key that we know.",
    403: "The key may not do this.",
    404: "There is no such thing.",
    406: "Not in that form.",
    409: "The same key came before with other business fields.",
    413: "The body is too large.",
    415: "The body is not declared as JSON.",
    422: "A value cannot be taken; nothing was changed.",
    503: "A server of ours does not answer, or rivals were faster: the same request again has its effect once.",
    504: "The deadline passed.",
}
