"""Amounts: card amounts in minor units, token amounts in raw units. Integers only; a balance is never rounded up."""

from __future__ import annotations

from infra.errors import BadInput

EXPONENTS = {"EUR": 2, "GBP": 2, "USD": 2}
"""ISO 4217 exponents of the currencies that our tokens stand for."""


MAX_MINOR = 2**63 - 1
"""The most that a message's amount in minor units can hold (an Avro long, a bigint)."""


def checked_minor(minor: int) -> int:
    """An amount that a caller named, if it is one. Raises BadInput."""
    if not 0 <= minor <= MAX_MINOR:
        raise BadInput(f"amount {minor} is not between 0 and {MAX_MINOR} minor units")
    return minor


def exponent(currency: str) -> int:
    """Minor-unit exponent (ISO 4217). Raises BadInput for a currency that no token of ours stands for."""
    try:
        return EXPONENTS[currency]
    except KeyError:
        raise BadInput(f"currency {currency!r} is not one of {', '.join(EXPONENTS)}") from None


def raw_of(minor: int, currency: str, decimals: int) -> int:
    """Minor units -> raw token units: 1 cent of an 18-decimal euro token is 10^16 raw units."""
    return minor * _factor(currency, decimals)


def minor_of(raw: int, currency: str, decimals: int) -> int:
    """Raw token units -> whole minor units, rounded down: dust stays in the ledger and is never shown as a cent.

    A uint256 may be more than a message holds: then MAX_MINOR is shown, and the raw amount beside it is what counts.
    """
    return min(raw // _factor(currency, decimals), MAX_MINOR)


def _factor(currency: str, decimals: int) -> int:
    return int(10 ** (decimals - exponent(currency)))
