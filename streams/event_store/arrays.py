"""Many values as one constant: a PostgreSQL array literal, or a JSON text, where the driver would write a constant for each element."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson


def numbers(values: Iterable[int]) -> str:
    """For int[] of any width."""
    return f"{{{','.join(map(str, values))}}}"


def uuids(values: Iterable[UUID]) -> str:
    """For uuid[]: as hex, since dashes take Python as long as all the rest."""
    return f"{{{','.join([each.hex for each in values])}}}"


def texts(values: Iterable[str]) -> str:
    """Text of any kind."""
    return f"{{{','.join(map(_quoted, values))}}}"


def blobs(values: Iterable[bytes]) -> str:
    """Bytes, for bytea[]."""
    return "{" + ",".join([f'"\\\\x{each.hex()}"' for each in values]) + "}"


def documents(values: Sequence[Any]) -> str:
    """JSON values, for jsonb_array_elements: one text that is read in one go, and quotes nothing twice."""
    return orjson.dumps(values).decode()


@lru_cache(4096)
def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
