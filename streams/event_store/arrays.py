"""Values as PostgreSQL array literals: one constant an array, where the driver would write one for each element and the server parse it.

Appending hundreds of events, most of the time goes there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import orjson


def plain(values: Iterable[Any]) -> str:
    """Numbers and UUIDs."""
    return f"{{{','.join(map(str, values))}}}"


def texts(values: Iterable[str]) -> str:
    """Text of any kind."""
    return f"{{{','.join(map(_quoted, values))}}}"


def blobs(values: Iterable[bytes]) -> str:
    """Bytes, for bytea[]."""
    return "{" + ",".join([f'"\\\\x{each.hex()}"' for each in values]) + "}"


def documents(values: Sequence[Any]) -> str:
    """JSON values, for jsonb[]. A JSON text has no control characters, so that its form as a JSON string is also that in an array."""
    return "{" + orjson.dumps([orjson.dumps(each).decode() for each in values]).decode()[1:-1] + "}"


@lru_cache(4096)
def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
