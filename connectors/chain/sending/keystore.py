"""Where keys are kept: a folder with a file for each, encrypted, or naming the signer that holds it. Opened once, by the submitter."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from eth_account import Account
from pydantic import SecretStr

from connectors.chain.sending.remote_signer import RemoteSigner
from connectors.chain.sending.signing import Key, Signer
from infra.errors import Misconfigured

WORK = 2**18
"""As Web3 Secret Storage has it: about a second of a processor."""


@dataclass(frozen=True)
class Keyring:
    """Who signs and who sends. The delegate sends nothing but what takes a spend back: a salt does not bind a sender that may spend."""

    delegate: Key
    relayers: Sequence[Key]
    settlement: Key

    @property
    def signers(self) -> list[str]:
        """Whose intents can be carried out with these keys."""
        return [self.delegate.address, self.settlement.address]

    def sender(self, kind: str, leg_id: UUID, empty: Collection[str] = ()) -> Key:
        """Who sends an intent's transaction. Several relayers share the spends: each counts its own nonces, none waits for another's.

        `empty`: relayers that cannot pay; their share goes to the others, where there is one.
        """
        if kind == "spend":
            able = [each for each in self.relayers if each.address not in empty] or self.relayers
            own = self.relayers[leg_id.int % len(self.relayers)]
            return own if own in able else able[leg_id.int // len(self.relayers) % len(able)]
        return self.settlement if kind == "refund" else self.delegate

    def by_address(self, address: str) -> Key | None:
        """The sending key of this address, if it is here."""
        senders = (*self.relayers, self.settlement, self.delegate)
        return next((each for each in senders if each.address == address), None)


def open_keys(folder: Path, password: SecretStr) -> Keyring:
    """settlement.json, delegate.json, relayer.json, and any relayer-NAME.json beside it. Raises `Misconfigured`."""
    more = sorted(folder.glob("relayer-*.json"))
    relayers = [load_signer(path, password) for path in (folder / "relayer.json", *more)]
    return Keyring(
        load_signer(folder / "delegate.json", password), relayers, load_signer(folder / "settlement.json", password)
    )


def open_anchor_key(folder: Path, password: SecretStr, sender: str) -> Key:
    """The key that states the audit log's root and does nothing else. Raises Misconfigured where it is not that of `sender`."""
    signer = load_signer(folder / "anchor.json", password)
    if signer.address != sender:
        raise Misconfigured(f"anchor.json is the key of {signer.address}, the chain file says {sender}")
    return signer


def write_keystore(path: Path, key: str, password: SecretStr, work: int = WORK) -> str:
    """Encrypts `key` (0x and 64 hex digits) into a new file that only its owner reads; gives its address.

    `work`: scrypt's N, a power of 2. What it takes to open the file once is what each guess of the password takes.
    """
    content = json.dumps(Account.encrypt(key, password.get_secret_value(), kdf="scrypt", iterations=work))
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(content)
    return str(Account.from_key(key).address)


def load_signer(path: Path, password: SecretStr) -> Key:
    """Opens a keystore file (takes about a second, on purpose), or takes the signer that it names: {"address", "signer_url"}.

    Raises `Misconfigured`, which never tells the password.
    """
    try:
        content: Any = json.loads(path.read_text())
        if "signer_url" in content:
            return RemoteSigner(content["address"], SecretStr(content["signer_url"]))
        return Signer(bytes(Account.decrypt(content, password.get_secret_value())))
    except OSError as error:
        raise Misconfigured(f"keystore {path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError) as error:
        raise Misconfigured(
            f"keystore {path} cannot be opened ({error}): wrong password, or no keystore file"
        ) from None
