"""What a card may do: its limits, and the kinds of merchants and the countries that it may not pay in. Orders, and the facts that follow."""

from __future__ import annotations

from uuid import UUID

from schemas.definition import Message, f, message
from schemas.topics import ACCOUNT_COMMANDS, ACCOUNT_EVENTS

ACCOUNT = "The account."
MCC = "Merchant category code (ISO 18245, DE18)."
COUNTRY = "ISO 3166-1 alpha-2."


@message(ACCOUNT_COMMANDS, "account_id")
class SetCardLimits(Message):
    """Set all of the card's limits; one that is left out is none."""

    account_id: UUID = f(ACCOUNT)
    per_transaction_minor: int | None = f("The most at once, minor units; None: no such limit.", default=None)
    per_day_minor: int | None = f("The most in a day of UTC.", default=None)
    per_month_minor: int | None = f("The most in a month of UTC.", default=None)
    cash_per_transaction_minor: int | None = f("The most at once in cash.", default=None)
    cash_per_day_minor: int | None = f("The most in cash in a day of UTC.", default=None)
    velocity_count: int | None = f("The most payments within the window.", default=None)
    velocity_minor: int | None = f("The most within the window.", default=None)
    velocity_seconds: int | None = f("Length of the window, at most 31 days.", default=None)


@message(ACCOUNT_EVENTS, "account_id")
class CardLimitsSet(Message):
    """The card's limits are these, and no others."""

    account_id: UUID = f(ACCOUNT)
    per_transaction_minor: int | None = f("The most at once, minor units; None: no such limit.", default=None)
    per_day_minor: int | None = f("The most in a day of UTC.", default=None)
    per_month_minor: int | None = f("The most in a month of UTC.", default=None)
    cash_per_transaction_minor: int | None = f("The most at once in cash.", default=None)
    cash_per_day_minor: int | None = f("The most in cash in a day of UTC.", default=None)
    velocity_count: int | None = f("The most payments within the window.", default=None)
    velocity_minor: int | None = f("The most within the window.", default=None)
    velocity_seconds: int | None = f("Length of the window, at most 31 days.", default=None)


@message(ACCOUNT_COMMANDS, "account_id")
class BlockMcc(Message):
    """Let the card pay no merchant of this kind."""

    account_id: UUID = f(ACCOUNT)
    mcc: str = f(MCC)
    reason: str = f("Why: holder, compliance or another word.")


@message(ACCOUNT_EVENTS, "account_id")
class MccBlocked(Message):
    """The card pays no merchant of this kind."""

    account_id: UUID = f(ACCOUNT)
    mcc: str = f(MCC)
    reason: str = f("Why.")


@message(ACCOUNT_COMMANDS, "account_id")
class UnblockMcc(Message):
    """Let the card pay merchants of this kind again."""

    account_id: UUID = f(ACCOUNT)
    mcc: str = f(MCC)
    reason: str = f("Why.")


@message(ACCOUNT_EVENTS, "account_id")
class MccUnblocked(Message):
    """The card pays merchants of this kind again, as far as the programme does."""

    account_id: UUID = f(ACCOUNT)
    mcc: str = f(MCC)
    reason: str = f("Why.")


@message(ACCOUNT_COMMANDS, "account_id")
class BlockCountry(Message):
    """Let the card pay in this country no more."""

    account_id: UUID = f(ACCOUNT)
    country: str = f(COUNTRY)
    reason: str = f("Why: holder, compliance or another word.")


@message(ACCOUNT_EVENTS, "account_id")
class CountryBlocked(Message):
    """The card does not pay in this country."""

    account_id: UUID = f(ACCOUNT)
    country: str = f(COUNTRY)
    reason: str = f("Why.")


@message(ACCOUNT_COMMANDS, "account_id")
class UnblockCountry(Message):
    """Let the card pay in this country again."""

    account_id: UUID = f(ACCOUNT)
    country: str = f(COUNTRY)
    reason: str = f("Why.")


@message(ACCOUNT_EVENTS, "account_id")
class CountryUnblocked(Message):
    """The card pays in this country again, as far as the programme does."""

    account_id: UUID = f(ACCOUNT)
    country: str = f(COUNTRY)
    reason: str = f("Why.")
