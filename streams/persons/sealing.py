"""Personal details become ciphertext at one door and text again at another: AES-256-GCM (NIST SP 800-38D) under the person's own key.

The nonce is not drawn but follows from what is sealed (an HMAC under a key that is derived beside it), so that the same order makes the
same bytes, and a repeat is known by comparing them. Two plaintexts meet under one nonce no sooner than two 96-bit MACs are equal.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass, field
from uuid import UUID

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from infra.errors import Undecodable
from streams.domain.person import Sealed

ALGORITHM = "AES-256-GCM"
SECRET_BYTES, NONCE_BYTES = 32, 12
PADDED_TO = 256
"""Bytes: a ciphertext's length tells nothing about a name's."""


@dataclass(frozen=True)
class Details:
    """What is personal: never in a log, so not in its own repr either."""

    name: str = field(repr=False)
    email: str | None = field(default=None, repr=False)
    phone: str | None = field(default=None, repr=False)


def seal(secret: bytes, key_id: UUID, person_id: UUID, revision: int, details: Details) -> Sealed:
    """The details under the person's key, bound to person, key and revision: moved elsewhere they do not open."""
    plain, bound = _padded(orjson.dumps(asdict(details))), _bound(person_id, key_id, revision)
    nonce = hmac.digest(_derived(secret, b"nonce"), bound + plain, hashlib.sha256)[:NONCE_BYTES]
    sealed = AESGCM(_derived(secret, b"seal")).encrypt(nonce, plain, bound)
    return Sealed(person_id, revision, key_id, ALGORITHM, b64encode(nonce).decode(), b64encode(sealed).decode())


def unseal(secret: bytes, sealed: Sealed) -> Details:
    """The details again. Raises Undecodable for another key, a changed byte, a ciphertext of another person or revision."""
    bound = _bound(sealed.person_id, sealed.key_id, sealed.revision)
    if sealed.algorithm != ALGORITHM:
        raise Undecodable(
            f"person {sealed.person_id} was sealed by {sealed.algorithm!r}; only {ALGORITHM} is known here"
        )
    try:
        nonce, data = b64decode(sealed.nonce, validate=True), b64decode(sealed.sealed, validate=True)
        plain = AESGCM(_derived(secret, b"seal")).decrypt(nonce, data, bound)
    except (ValueError, InvalidTag) as error:
        raise Undecodable(
            f"revision {sealed.revision} of person {sealed.person_id} does not open under key {sealed.key_id}: it was changed, or the "
            "key is another"
        ) from error
    return Details(**orjson.loads(plain))


def _derived(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), SECRET_BYTES, salt=None, info=b"payriver person " + purpose).derive(secret)


def _bound(person_id: UUID, key_id: UUID, revision: int) -> bytes:
    return f"payriver person {person_id} {key_id} {revision}".encode()


def _padded(plain: bytes) -> bytes:
    """With blanks behind, which JSON does not mind."""
    return plain.ljust(-(-len(plain) // PADDED_TO) * PADDED_TO)
