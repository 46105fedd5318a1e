"""Which stream is meant: a payment (as `find` knows it), or an account by its id, its wallet, its card, or a transfer it took part in."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from connectors.explain.find import find
from infra.database import Cursor
from infra.errors import BadInput, NotFound

BETWEEN = "SELECT stream_id FROM streams WHERE stream_id BETWEEN %s AND %s ORDER BY stream_id LIMIT 11"
BY_WALLET = "SELECT account_id FROM chain_wallets WHERE lower(wallet) = %s ORDER BY account_id LIMIT 11"
BY_CARD = "SELECT account_id FROM cards WHERE card_token = %s"
BY_TRANSFER = """
SELECT DISTINCT stream_id FROM events WHERE category = 'account' AND tags_of(payload, metadata) @> ARRAY['tx:' || %s]
ORDER BY stream_id LIMIT 11
"""
CATEGORY = "SELECT category FROM streams WHERE stream_id = %s"


@dataclass(frozen=True)
class Found:
    """A stream, and what it was found by."""

    stream_id: UUID
    category: str
    found_by: str


def find_stream(write: Cursor, read: Cursor, wanted: str) -> Found:
    """The one stream that is meant. Raises NotFound for none, BadInput for several."""
    text = wanted.strip()
    for looks, found_by, ask in WAYS:
        if re.fullmatch(looks, text) and (found := ask(write, text)):
            return Found(_only(found, wanted), _category(write, found[0]), found_by)
    try:
        payment_id, found_by = find(write, read, text)
    except NotFound:
        if not (by_transfer := _ids(write, BY_TRANSFER, text.lower())):
            raise NotFound(
                f"no stream is known by {wanted!r}; give the id of a payment or an account (at least 8 digits of it), a wallet's"
                " address, a card's token, the network's reference, or a transaction's hash"
            ) from None
        return Found(_only(by_transfer, wanted), "account", "a transfer in this transaction")
    return Found(payment_id, "payment", found_by)


def _by_id(write: Cursor, text: str) -> list[UUID]:
    digits = text.replace("-", "").lower()
    if not 8 <= len(digits) <= 32:
        return []
    return _ids(write, BETWEEN, UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f")))


WAYS: tuple[tuple[str, str, Callable[[Cursor, str], list[UUID]]], ...] = (
    (r"[0-9a-fA-F-]{8,36}", "its id", _by_id),
    (r"0x[0-9a-fA-F]{40}", "its wallet", lambda write, text: _ids(write, BY_WALLET, text.lower())),
    (r".+", "its card", lambda write, text: _ids(write, BY_CARD, text)),
)
"""What it must look like, what it is then, and who is asked."""


def _ids(write: Cursor, query: str, *values: object) -> list[UUID]:
    write.execute(query, values)
    return [row[0] for row in write.fetchall()]


def _category(write: Cursor, stream_id: UUID) -> str:
    write.execute(CATEGORY, (stream_id,))
    return str(write.fetchall()[0][0])


def _only(found: list[UUID], wanted: str) -> UUID:
    if len(found) > 1:
        raise BadInput(f"{wanted!r} means {len(found)} streams: {', '.join(map(str, found[:10]))}; give one of these")
    return found[0]
