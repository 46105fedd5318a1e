"""A key that somebody else holds: an external signer behind a URL (`eth_signTransaction`, `eth_signTypedData_v4`).

What it gives back is never trusted: it must be the very transaction, signed by the very key.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
from eth_account import Account
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError
from pydantic import SecretStr
from rlp.exceptions import RLPException  # type: ignore[import-untyped]

from connectors.chain.contracts.calls import spend_hash, typed_spend
from connectors.chain.node.abi import checksummed
from connectors.chain.sending.signing import SignedTransaction, TransactionOrder, order_of
from infra.errors import Unreachable

TIMEOUT_SECONDS = 8  # the submitter waits inside a transaction, which W ends when it rests for 20


UNREADABLE = (ValueError, TypeError, LookupError, RLPException, BadSignature, ValidationError)
"""What the libraries raise over bytes that are no signature, or no transaction."""


class NotSigned(Unreachable):
    """The signer gave no signature of use. `silent`: nothing can be had of it now; else it refused this one."""

    def __init__(self, address: str, why: str, *, silent: bool) -> None:
        super().__init__(f"the signer of {address} {why}")
        self.address, self.silent = address, silent


class RemoteSigner:
    """A key behind a URL. Shows its address, and never its URL, which may hold a login."""

    def __init__(self, address: str, url: SecretStr) -> None:
        self.address = checksummed(address.lower())
        self._url = url
        self._http = httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False)

    def __repr__(self) -> str:
        return f"RemoteSigner({self.address})"

    def sign_spend(self, chain_id: int, spender_module: str, call: bytes, salt: bytes) -> bytes:
        """r ‖ s ‖ v (65 bytes) over the EIP-712 hash of the spend. Raises NotSigned."""
        told = self._ask("eth_signTypedData_v4", self.address, typed_spend(chain_id, spender_module, call, salt))
        with self._reading():
            r_s, v = _split(bytes.fromhex(str(told).removeprefix("0x")))
            signature = r_s + bytes([v % 27 + 27])  # some count it from 0, as transactions do; contracts from 27
            signer = Account._recover_hash(spend_hash(chain_id, spender_module, call, salt), signature=signature)
        if signer != self.address:
            raise self._useless("gave a signature that is not this key's, over this spend")
        return signature

    def sign_transaction(self, order: TransactionOrder) -> SignedTransaction:
        """The transaction as bytes ready to send, and its hash. Raises NotSigned."""
        told = self._ask("eth_signTransaction", {
            "from": self.address, "type": "0x2", "chainId": hex(order.chain_id), "nonce": hex(order.nonce),
            "to": checksummed(order.to.lower()), "value": hex(order.value_wei), "data": "0x" + order.data.hex(),
            "gas": hex(order.gas), "maxFeePerGas": hex(order.max_fee_wei), "maxPriorityFeePerGas": hex(min(order.tip_wei, order.max_fee_wei)),
        })  # fmt: skip
        wanted = replace(order, to=checksummed(order.to.lower()), tip_wei=min(order.tip_wei, order.max_fee_wei))
        with self._reading():
            raw = bytes.fromhex(str(told["raw"] if isinstance(told, dict) else told).removeprefix("0x"))
            signed, ordered = SignedTransaction.of(raw, order), order_of(raw)
        if ordered != wanted or signed.sender != self.address:
            raise self._useless("gave another transaction than it was asked to sign")
        return signed

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except UNREADABLE as error:
            raise self._useless(f"gave what cannot be read: {type(error).__name__}") from None

    def _useless(self, why: str) -> NotSigned:
        return NotSigned(self.address, why, silent=True)

    def _ask(self, method: str, *params: Any) -> Any:
        question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        try:
            answer = self._http.post(self._url.get_secret_value(), json=question).raise_for_status().json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise self._useless(f"does not answer: {type(error).__name__}") from None
        told = answer if isinstance(answer, dict) else {}
        refusal = told.get("error")
        if isinstance(refusal, dict):
            raise NotSigned(self.address, f"refuses {method}: {refusal.get('message')}", silent=False)
        if refusal or told.get("result") is None:
            raise self._useless(f"says {str(answer)[:100]!r} to {method}")
        return told["result"]


def _split(signature: bytes) -> tuple[bytes, int]:
    if len(signature) != 65:
        raise ValueError(f"{len(signature)} bytes are no signature")
    return signature[:64], signature[64]
