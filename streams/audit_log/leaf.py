"""The leaf of an event: its stored row as canonical JSON (RFC 8785), which anyone with the row can make again.

The fields are the columns of `events` but `archived`, which says where the row lies and changes when it moves: whole numbers as numbers,
UUIDs as text, the hash in hex, the transaction's id as text (it may pass 2^53), the time in UTC with six digits of a second, payload and
metadata as the JSON that they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import rfc8785

from infra.errors import Stop

COLUMNS = (
    "position", "event_id", "stream_id", "version", "category", "type", "schema_version", "payload", "metadata",
    "recorded_at", "transaction_id::text", "hash",
)  # fmt: skip
SELECT = ", ".join(COLUMNS)
"""Columns of `events` in the order in which `leaf` takes them."""
SAFE = 2**53


class NoLeaf(Stop):
    """A stored row has no canonical form: it was not written by us."""

    reason = "no_leaf"


def leaf(row: Sequence[Any]) -> bytes:
    """The leaf of a row of `SELECT`. Raises NoLeaf for a payload that holds what no message of ours does, such as 1e999."""
    told = {
        "position": row[0],
        "event_id": str(row[1]),
        "stream_id": str(row[2]),
        "version": row[3],
        "category": row[4],
        "type": row[5],
        "schema_version": row[6],
        "payload": row[7],
        "metadata": row[8],
        "recorded_at": moment(row[9]),
        "transaction_id": row[10],
        "hash": bytes(row[11]).hex(),
    }
    if _plain(told):
        return orjson.dumps(told, option=orjson.OPT_SORT_KEYS)
    try:
        return rfc8785.dumps(told)
    except (rfc8785.CanonicalizationError, RecursionError) as error:
        raise NoLeaf(
            f"the event at position {row[0]} has no canonical form ({error}); `payriver verify` looks at it"
        ) from None


def moment(at: datetime) -> str:
    """A time as leaves and exports write it: 2026-03-01T12:00:00.000000Z."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def _plain(value: Any) -> bool:
    """Whether a fast JSON writer with sorted names gives RFC 8785's form: texts, small whole numbers, ASCII names."""
    kind = type(value)
    if kind is dict:
        return all(map(str.isascii, value)) and all(type(each) is str or _plain(each) for each in value.values())
    if kind is int:
        return bool(-SAFE < value < SAFE)
    return kind is str or kind is bool or value is None or (kind is list and all(map(_plain, value)))
