"""Keys and what they sign: values in, bytes out. A key is in a keystore file on disk and in one object in memory, nowhere else.

The delegate signs spends and never sends (a salt does not bind a sender that is an enabled module); the relayer sends them;
settlement sends refunds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_account.typed_transactions import TypedTransaction
from eth_utils.crypto import keccak
from hexbytes import HexBytes

from connectors.chain.contracts.calls import signed_call, spend_hash
from connectors.chain.node.abi import checksummed


class Key(Protocol):
    """A key, wherever it is kept: in a file of ours, or with a signer behind a URL."""

    address: str

    def sign_spend(self, chain_id: int, spender_module: str, call: bytes, salt: bytes) -> bytes:
        """r ‖ s ‖ v (65 bytes) behind a spend."""

    def sign_transaction(self, order: TransactionOrder) -> SignedTransaction:
        """The transaction as bytes ready to send, and its hash."""


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

    def sign_spend(self, chain_id: int, spender_module: str, call: bytes, salt: bytes) -> bytes:
        """r ‖ s ‖ v (65 bytes) over the spend's EIP-712 hash; deterministic (RFC 6979)."""
        return bytes(self._account.unsafe_sign_hash(spend_hash(chain_id, spender_module, call, salt)).signature)

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
        return SignedTransaction.of(bytes(signed.raw_transaction), order)


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

    @classmethod
    def of(cls, raw: bytes, order: TransactionOrder) -> SignedTransaction:
        """Hash and sender as the bytes themselves say them."""
        return cls("0x" + bytes(keccak(raw)).hex(), str(Account.recover_transaction(raw)), order, raw)


def order_of(raw: bytes) -> TransactionOrder:
    """What signed bytes order."""
    told = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
    return TransactionOrder(
        chain_id=told["chainId"],
        nonce=told["nonce"],
        to=checksummed("0x" + bytes(told["to"]).hex()),
        data=bytes(told["data"]),
        gas=told["gas"],
        max_fee_wei=told["maxFeePerGas"],
        tip_wei=told["maxPriorityFeePerGas"],
        value_wei=told["value"],
    )


@dataclass(frozen=True)
class SignedSpend:
    """A spend that anyone may relay once: what the Spender is sent, and the hash that it will call consumed."""

    call_data: bytes = field(repr=False)
    hash: bytes
    signer: str


def sign_spend(delegate: Key, chain_id: int, spender_module: str, call: bytes, salt: bytes) -> SignedSpend:
    """The delegate's signature behind `call` and `salt`; the same five values give the same bytes for ever."""
    signature = delegate.sign_spend(chain_id, spender_module, call, salt)
    digest = spend_hash(chain_id, spender_module, call, salt)
    return SignedSpend(signed_call(call, salt, signature), digest, delegate.address)
