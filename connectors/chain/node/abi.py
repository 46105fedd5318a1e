"""Contract calls as bytes: selectors, topics, arguments and answers, by the ABI specification. Pure.

Addresses travel in lower case here, as nodes give them; `checksummed` makes the written form (EIP-55).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

import eth_abi
from eth_abi.exceptions import DecodingError
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from infra.errors import Undecodable

ZERO_ADDRESS = "0x" + "00" * 20


@lru_cache(maxsize=200_000)
def checksummed(address: str) -> str:
    """The address with its EIP-55 checksum in the letters' case. Raises ValueError for what is no address."""
    return str(to_checksum_address(address))


@lru_cache(maxsize=256)
def selector(signature: str) -> bytes:
    """First four bytes of a call: `selector("transfer(address,uint256)")` is a9059cbb."""
    return bytes(keccak(text=signature)[:4])


@lru_cache(maxsize=256)
def topic(signature: str) -> str:
    """topic0 of an event, 0x-text."""
    return "0x" + bytes(keccak(text=signature)).hex()


@lru_cache(maxsize=256)
def argument_types(signature: str) -> tuple[str, ...]:
    """Types inside the parentheses; none of our signatures has a tuple in it."""
    return tuple(part for part in signature[signature.index("(") + 1 : -1].split(",") if part)


def call_data(signature: str, *values: Any) -> bytes:
    """The bytes of a call. bytes32 values may be 0x-text. Raises ValueError when a value does not fit its type."""
    plain = [
        bytes.fromhex(v[2:]) if isinstance(v, str) and t.startswith("bytes") else v
        for t, v in zip(argument_types(signature), values, strict=True)
    ]
    return selector(signature) + bytes(eth_abi.encode(argument_types(signature), plain))


def answers(types: Sequence[str], data: bytes) -> tuple[Any, ...]:
    """The values of a call's answer. Raises `Undecodable` when the bytes are not of these types."""
    try:
        return cast("tuple[Any, ...]", eth_abi.decode(types, data))
    except (DecodingError, OverflowError, UnicodeDecodeError) as error:
        raise Undecodable(f"{len(data)} bytes are no answer of ({', '.join(types)}): {error}") from None
