"""The key that signs exports (Ed25519): an encrypted PEM file, whose public half's fingerprint every anchor states."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import SecretStr

from infra.errors import Misconfigured


class ExportKey:
    """A key of ours that signs exports. Shows its public half and never its private one."""

    __slots__ = ("_key", "public")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        return f"ExportKey({self.public.hex()})"

    def __reduce__(self) -> str:
        raise TypeError("a key is not pickled")

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the public key (32 bytes): what an anchor states."""
        return hashlib.sha256(self.public).digest()

    def sign(self, text: bytes) -> bytes:
        """64 bytes (RFC 8032)."""
        return self._key.sign(text)


def write_export_key(path: Path, password: SecretStr) -> None:
    """A new key, encrypted (PKCS #8), in a file that only its owner reads. `openssl genpkey -algorithm ed25519 -aes256` makes one too."""
    encryption = BestAvailableEncryption(password.get_secret_value().encode())
    content = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def load_export_key(path: Path, password: SecretStr) -> ExportKey:
    """Opens the file. Raises Misconfigured, which never tells the password."""
    try:
        key = load_pem_private_key(path.read_bytes(), password.get_secret_value().encode())
    except OSError as error:
        raise Misconfigured(
            f"export key {path} cannot be read: {error.strerror}; `openssl genpkey -algorithm ed25519 -aes256 -out {path}` makes one"
        ) from None
    except (ValueError, TypeError) as error:
        raise Misconfigured(f"export key {path} cannot be opened ({error}): wrong password, or no PEM file") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise Misconfigured(f"export key {path} is no Ed25519 key")
    return ExportKey(key)
