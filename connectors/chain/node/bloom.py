"""The block's bloom filter (Yellow Paper 4.3.1): it says for certain that a block does not hold a log, or that it may.

A node that pruned or lags answers "no logs" without an error; where the bloom says "maybe", that answer is not believed.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from eth_utils.crypto import keccak


@lru_cache(maxsize=100_000)
def bloom_bits(item: str) -> int:
    """The three bits of an address or topic (0x-text), as a 2048-bit number."""
    digest = bytes(keccak(hexstr=item))
    bits = 0
    for i in (0, 2, 4):
        bits |= 1 << (int.from_bytes(digest[i : i + 2], "big") & 2047)
    return bits


def may_hold(bloom: str, items: Iterable[str]) -> bool:
    """Whether a block with this `logsBloom` may hold a log with any of these addresses or topics."""
    number = int(bloom, 16)
    return any(number & bits == bits for bits in map(bloom_bits, items))
