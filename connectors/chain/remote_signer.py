"""A key that somebody else holds: an external signer behind a URL (`eth_signTransaction`, `eth_signTypedData_v4`).

What it gives back is never trusted: it must be the very transaction, signed by the very key.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
from eth_account import Account
from pydantic import SecretStr

from connectors.chain.abi import checksummed
from connectors.chain.calls import spend_hash, typed_spend
from connectors.chain.signing import SignedTransaction, TransactionOrder, order_of
from infra.errors import Misconfigured, Unreachable

TIMEOUT_SECONDS = 8  # the submitter waits inside a transaction, which W ends when it rests for 20


class NotSigned(Unreachable):
    """The signer gave no signature. `silent`: it did not answer at all; else it refused this one."""

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
        """r ‖ s ‖ v (65 bytes) over the EIP-712 hash of the spend. Raises NotSigned, Misconfigured."""
        told = self._ask("eth_signTypedData_v4", self.address, typed_spend(chain_id, spender_module, call, salt))
        signature = bytes.fromhex(str(told).removeprefix("0x"))
        digest = spend_hash(chain_id, spender_module, call, salt)
        if len(signature) != 65 or Account._recover_hash(digest, signature=signature) != self.address:
            raise Misconfigured(
                f"the signer of {self.address} gave a signature that is not this key's, over this spend"
            )
        return signature

    def sign_transaction(self, order: TransactionOrder) -> SignedTransaction:
        """The transaction as bytes ready to send, and its hash. Raises NotSigned, Misconfigured."""
        told = self._ask("eth_signTransaction", {
            "from": self.address, "type": "0x2", "chainId": hex(order.chain_id), "nonce": hex(order.nonce),
            "to": checksummed(order.to.lower()), "value": hex(order.value_wei), "data": "0x" + order.data.hex(),
            "gas": hex(order.gas), "maxFeePerGas": hex(order.max_fee_wei), "maxPriorityFeePerGas": hex(min(order.tip_wei, order.max_fee_wei)),
        })  # fmt: skip
        raw = bytes.fromhex(str(told["raw"] if isinstance(told, dict) else told).removeprefix("0x"))
        signed = SignedTransaction.of(raw, order)
        wanted = replace(order, to=checksummed(order.to.lower()), tip_wei=min(order.tip_wei, order.max_fee_wei))
        if order_of(raw) != wanted or signed.sender != self.address:
            raise Misconfigured(f"the signer of {self.address} gave another transaction than it was asked to sign")
        return signed

    def _ask(self, method: str, *params: Any) -> Any:
        question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        try:
            answer = self._http.post(self._url.get_secret_value(), json=question).raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise NotSigned(self.address, f"does not answer: {type(error).__name__}", silent=True) from None
        if answer.get("error"):
            raise NotSigned(self.address, f"refuses {method}: {answer['error'].get('message')}", silent=False)
        return answer["result"]
