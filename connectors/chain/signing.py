"""Keys and what they sign: values in, bytes out. A key is in a keystore file on disk and in one object in memory, nowhere else.

The delegate signs spends and never sends (a salt does not bind a sender that is an enabled module); the relayer sends them;
settlement sends refunds.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from eth_account import Account
from eth_account.signers.local import LocalAccount
from pydantic import SecretStr

from connectors.chain.abi import checksummed
from connectors.chain.calls import signed_call, spend_hash
from infra.errors import Misconfigured


class Signer:
    """A key of ours. Shows its address and never its key."""

    __slots__ = ("_account", "address")

    def __init__(self, key: bytes | str) -> None:
        self._account: LocalAccount = Account.from_key(key)
        self.address = str(self._account.address)

    def __repr__(self) -> str:
        return f"Signer({self.address})"

    def __reduce__(self) -> str:
        raise TypeError("a signer is not pickled: its key would go along")

    def sign_hash(self, digest: bytes) -> bytes:
        """r ‖ s ‖ v (65 bytes) over 32 bytes that were made by a rule of a contract; deterministic (RFC 6979)."""
        return bytes(self._account.unsafe_sign_hash(digest).signature)

    def sign_transaction(self, order: TransactionOrder) -> SignedTransaction:
        """The transaction as bytes ready to send, and its hash."""
        signed = self._account.sign_transaction(
            {
                "type": 2,
                "chainId": order.chain_id,
                "nonce": order.nonce,
                "to": checksummed(order.to),
                "value": order.value_wei,
                "data": order.data,
                "gas": order.gas,
                "maxFeePerGas": order.max_fee_wei,
                "maxPriorityFeePerGas": min(order.tip_wei, order.max_fee_wei),
            }
        )
        return SignedTransaction("0x" + bytes(signed.hash).hex(), self.address, order, bytes(signed.raw_transaction))


@dataclass(frozen=True)
class TransactionOrder:
    """An EIP-1559 transaction before it is signed. Fees in wei per gas; `gas` is its limit."""

    chain_id: int
    nonce: int
    to: str
    data: bytes
    gas: int
    max_fee_wei: int
    tip_wei: int
    value_wei: int = 0


@dataclass(frozen=True)
class SignedTransaction:
    """What is stored before it is sent: the same bytes give the same hash wherever they are mined."""

    hash: str
    sender: str
    order: TransactionOrder
    raw: bytes = field(repr=False)


@dataclass(frozen=True)
class SignedSpend:
    """A spend that anyone may relay once: what the Spender is sent, and the hash that it will call consumed."""

    call_data: bytes = field(repr=False)
    hash: bytes
    signer: str


def sign_spend(delegate: Signer, chain_id: int, spender_module: str, call: bytes, salt: bytes) -> SignedSpend:
    """The delegate's signature behind `call` and `salt`; the same five values give the same bytes for ever."""
    digest = spend_hash(chain_id, spender_module, call, salt)
    return SignedSpend(signed_call(call, salt, delegate.sign_hash(digest)), digest, delegate.address)


def write_keystore(path: Path, key: str, password: SecretStr) -> str:
    """Encrypts `key` (0x and 64 hex digits) into a new file that only its owner reads; gives its address."""
    content = json.dumps(Account.encrypt(key, password.get_secret_value()))
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(content)
    return str(Account.from_key(key).address)


def load_signer(path: Path, password: SecretStr) -> Signer:
    """Opens a keystore file (takes about a second, on purpose). Raises `Misconfigured`, which never tells the password."""
    try:
        content = json.loads(path.read_text())
        return Signer(bytes(Account.decrypt(content, password.get_secret_value())))
    except OSError as error:
        raise Misconfigured(f"keystore {path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError) as error:
        raise Misconfigured(
            f"keystore {path} cannot be opened ({error}): wrong password, or no keystore file"
        ) from None
