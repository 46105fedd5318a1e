"""The RFC 8785 form of a JSON value, under every hash: by a fast writer for what ours are made of, by the book for anything else."""

from __future__ import annotations

from typing import Any

import orjson
import rfc8785

SAFE = 2**53 - 1  # RFC 8785 numbers are IEEE doubles (RFC 7493, 2.2)


def canonical(value: Any) -> bytes:
    """UTF-8 bytes. Objects with ASCII names, text, whole numbers, truth and null are written alike by both; a property test holds it.

    Raises rfc8785.CanonicalizationError for what has no such form: numbers beyond 2^53, text with lone surrogates.
    """
    if _plain(value):
        try:
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        except orjson.JSONEncodeError:
            pass
    return rfc8785.dumps(value)


def _plain(value: Any) -> bool:
    kind: type = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is int:
        return bool(-SAFE <= value <= SAFE)
    if kind is dict:
        return all(type(name) is str and name.isascii() and _plain(each) for name, each in value.items())
    return kind is list and all(map(_plain, value))
