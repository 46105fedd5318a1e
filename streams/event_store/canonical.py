"""The RFC 8785 form of a JSON value, under every hash: by a fast writer for what ours are made of, by the book for anything else."""

from __future__ import annotations

from typing import Any

import orjson
import rfc8785

TEXT, NESTED = frozenset({str}), frozenset({dict, list})
ALIKE = TEXT | {int, bool, type(None)}
SORTED = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
"""RFC 8785 numbers are IEEE doubles: whole up to 2^53 (RFC 7493, 2.2)."""


def canonical(value: Any) -> bytes:
    """UTF-8 bytes. Objects with ASCII names, text, whole numbers, truth and null are written alike by both; a property test holds it.

    Raises rfc8785.CanonicalizationError for what has no such form: numbers beyond 2^53, text with lone surrogates.
    """
    return canonical_of_ours(value) if _plain([value]) else rfc8785.dumps(value)


def canonical_of_ours(value: Any) -> bytes:
    """The same of what our own classes say: known to be of such kinds, so nothing is looked through. A test holds it for every message."""
    try:
        return orjson.dumps(value, option=SORTED)
    except orjson.JSONEncodeError:
        return rfc8785.dumps(value)


def _plain(values: Any) -> bool:
    """Whether a list's or an object's values, and theirs, are all of what is written alike."""
    if type(values) is dict:
        if not (TEXT.issuperset(map(type, values)) and "".join(values).isascii()):
            return False
        values = values.values()
    others = set(map(type, values)) - ALIKE
    return not others or (others <= NESTED and all(_plain(each) for each in values if type(each) in NESTED))
