"""Kafka's files as they are after a power failure: what the broker had acknowledged, and the disk never got."""

from __future__ import annotations

from pathlib import Path

LENGTH, BEFORE = (
    slice(8, 12),
    12,
)  # a batch: its first offset, how many bytes follow, those bytes (Kafka's record batch, version 2)
ATTRIBUTES, CONTROL = 22, 0x20


def tear(data: Path, topic: str, batches: int) -> int:
    """Take so many of the newest batches of records from each partition of a topic whose broker is dead; gives from how many it did."""
    return sum(_tear(segment, batches) for segment in data.glob(f"{topic}-*/*.log"))


def _tear(segment: Path, batches: int) -> bool:
    """Cut them off, with the transactions' markers that follow them."""
    data, starts, at = segment.read_bytes(), [], 0
    while at < len(data):
        if not data[at + ATTRIBUTES] & CONTROL:
            starts.append(at)
        at += BEFORE + int.from_bytes(data[at:][LENGTH], "big")
    if len(starts) <= batches:
        return False
    segment.write_bytes(data[: starts[-batches]])
    return True
