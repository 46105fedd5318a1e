"""Ids that follow from what they name, so that doing a thing twice makes the same ids (RFC 9562 uuid5)."""

from __future__ import annotations

from hashlib import sha1
from uuid import UUID, SafeUUID

ROOT = UUID("7e0f6a52-53a1-5d5b-9d0a-2f7f1c3b9c11")
_ROOT = sha1(ROOT.bytes, usedforsecurity=False)
_FREE, _VERSION_5 = ~(0xF000 << 64 | 0xC000 << 48), 0x5000 << 64 | 0x8000 << 48
"""Bits of an id that follow from its name, and those that say which kind of id it is (RFC 9562, 4)."""


def derived(*parts: object) -> UUID:
    """The id of something named by its parts, in order: uuid5 of ROOT and their text, ROOT hashed once.

    Four are made of a transfer. UUID's own constructor looks for a microsecond at what it was given, so it is passed by.
    """
    digest = _ROOT.copy()
    digest.update("/".join(map(str, parts)).encode())
    made = object.__new__(UUID)
    object.__setattr__(made, "int", int.from_bytes(digest.digest()[:16], "big") & _FREE | _VERSION_5)
    object.__setattr__(made, "is_safe", SafeUUID.unknown)
    return made


def account_id(chain_id: int, wallet: str, token: str) -> UUID:
    """The account of a wallet in one token on one chain."""
    return derived("account", chain_id, wallet.lower(), token.lower())


def transfer_id(chain_id: int, tx_hash: str, token: str, ordinal: int) -> UUID:
    """A transfer: the `ordinal`-th Transfer log of the token in its transaction. The same in whichever block it is mined."""
    return derived("transfer", chain_id, tx_hash.lower(), token.lower(), ordinal)


def leg_transfer_id(chain_id: int, leg: UUID) -> UUID:
    """The transfer of a leg of ours: one for ever, whichever transaction carries it (a refund sent again with a higher fee, say)."""
    return derived("transfer", chain_id, "leg", leg)


def network_payment_id(idempotency_key: str, caller: str = "network") -> UUID:
    """A payment that the card network asked for, by the caller's own key."""
    return opened_payment_id("network", idempotency_key, caller)


def opened_payment_id(kind: str, name: str, caller: str) -> UUID:
    """A payment that a message of the network opens: its key (`network`), `presentment` or `refund`, each caller's names being its own.

    `caller`: the name that the API key was given under, which stays when the key is changed.
    """
    return derived("payment", "caller", derived("caller", caller), kind, name)


def chain_payment_id(transfer: UUID) -> UUID:
    """A payment that was first seen on chain, by the transfer of its spend."""
    return derived("payment", "chain", transfer)


def leg_id(payment_id: UUID, kind: str, ordinal: int = 0) -> UUID:
    """A chain leg of a payment; as bytes32 it is the salt of a spend."""
    return derived("leg", payment_id, kind, ordinal)


def invalidation_id(leg: UUID) -> UUID:
    """The taking back of a leg's signed spend; no leg itself."""
    return derived("invalidation", leg)


def event_id(command_id: UUID, ordinal: int) -> UUID:
    """The `ordinal`-th event that a command led to."""
    return derived("event", command_id, ordinal)


def step_id(cause: UUID, step: str) -> UUID:
    """What follows from a cause: a saga's command, a webhook message."""
    return derived("step", cause, step)
