"""The development node as one's own: send, mine, stop, travel in time, and break the chain on purpose (reorg)."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Literal

from eth_account import Account
from web3 import HTTPProvider, Web3
from web3.exceptions import TransactionNotFound

from infra.devchain.values import Reorg, Sent
from infra.errors import PayriverError

ALWAYS_THERE = Web3.to_checksum_address("0x4e59b44847b379578588920ca78fbf26c0b4956c")  # anvil's own CREATE2 deployer
FEES = {"maxFeePerGas": 100 * 10**9, "maxPriorityFeePerGas": 10**9}


class ChainScriptError(PayriverError):
    """The development chain was asked for something that it cannot do now."""

    reason = "devchain"


class DevNode:
    """An anvil at `rpc_url`. Amounts are wei or raw token units, times are seconds, hashes are 0x-text.

    Transactions are signed here and sent with explicit gas, so one that reverts is mined with status 0, not refused.
    Safe to use from several threads.
    """

    def __init__(self, rpc_url: str) -> None:
        self.rpc_url = rpc_url
        self.w3 = Web3(HTTPProvider(rpc_url, request_kwargs={"timeout": 30}))
        self._sending = threading.Lock()

    @property
    def socket_url(self) -> str:
        """The same node over a WebSocket, where it also tells of new heads: anvil listens for both at one port."""
        return self.rpc_url.replace("http", "ws", 1)

    def ask(self, method: str, *params: Any) -> Any:
        """One JSON-RPC call, also of anvil's own methods. Raises `ChainScriptError` with the node's words."""
        answer = self.w3.provider.make_request(method, list(params))
        if answer.get("error"):
            raise ChainScriptError(f"{method}: {answer['error'].get('message')}")
        return answer["result"]

    # -- sending

    def send(self, key: str, to: str, data: bytes = b"", *, value: int = 0, gas: int = 400_000) -> Sent:
        """Signs with `key` at its next pending nonce and hands it to the node; does not wait for a block."""
        account = Account.from_key(key)
        with self._sending:
            nonce = self.w3.eth.get_transaction_count(account.address, "pending")
            order = {
                "type": 2,
                "chainId": self.chain_id,
                "nonce": nonce,
                "to": to,
                "data": data,
                "value": value,
                "gas": gas,
            }
            signed = account.sign_transaction(order | FEES)
            return self.resend(bytes(signed.raw_transaction))

    def resend(self, raw: bytes) -> Sent:
        """Hands signed bytes to the node again: the same transaction hash, perhaps in another block."""
        return Sent(self.w3.to_hex(self.w3.eth.send_raw_transaction(raw)), raw)

    def raw_transaction(self, transaction_hash: str) -> bytes:
        """The signed bytes of a mined or pending transaction."""
        return bytes(self.w3.eth.get_raw_transaction(transaction_hash))

    def wait_receipts(self, sent: Iterable[Sent | str], *, timeout_seconds: float = 30, good: bool = True) -> list[Any]:
        """The receipts, in order. Raises `ChainScriptError` if one does not come, or (when `good`) if one has status 0."""
        deadline = time.monotonic() + timeout_seconds
        receipts = [self._receipt(one.hash if isinstance(one, Sent) else one, deadline) for one in sent]
        failed = [self.w3.to_hex(r["transactionHash"]) for r in receipts if r["status"] != 1]
        if good and failed:
            raise ChainScriptError(f"reverted: {', '.join(failed)}")
        return receipts

    def _receipt(self, transaction_hash: str, deadline: float) -> Any:
        while True:
            try:
                return self.w3.eth.get_transaction_receipt(transaction_hash)
            except TransactionNotFound:
                if time.monotonic() > deadline:
                    raise ChainScriptError(f"no receipt of {transaction_hash}; is mining stopped?") from None
                time.sleep(0.01)

    # -- blocks and time

    @property
    def chain_id(self) -> int:
        return int(self.w3.eth.chain_id)

    @property
    def head(self) -> int:
        return int(self.w3.eth.block_number)

    def mine(self, blocks: int = 1) -> None:
        """Mines `blocks` blocks now; the first takes the waiting transactions."""
        self.ask("anvil_mine", hex(blocks))

    def automine(self) -> None:
        """A block for each transaction, at once."""
        self.ask("anvil_setIntervalMining", 0)
        self.ask("evm_setAutomine", True)

    def interval_mining(self, seconds: int) -> None:
        """A block every `seconds`, empty or not."""
        self.ask("evm_setAutomine", False)
        self.ask("anvil_setIntervalMining", seconds)

    def stop_mining(self) -> None:
        """No block but by `mine()`; returns when none is under way any more."""
        self.ask("evm_setAutomine", False)
        self.ask("anvil_setIntervalMining", 0)
        before = -1
        while before != (now := self.head):
            before = now
            time.sleep(0.03)

    def advance_time(self, seconds: int) -> None:
        """Moves the chain's clock on and mines a block. Every later block is ahead of the machine's clock."""
        self.ask("evm_increaseTime", seconds)
        self.mine()

    def resume_clock(self) -> None:
        """After anvil was started from kept state: its clock fell back to the machine's, and later blocks must not be older."""
        last = int(self.w3.eth.get_block("latest")["timestamp"])
        if last > time.time():
            self.ask("evm_setTime", last)

    # -- reorg

    def reorg(self, depth: int, *, resend: Literal["none", "all"] | Collection[str] = "none") -> Reorg:
        """Replaces the last `depth` blocks by empty ones; their transactions vanish, save those that are sent again.

        Stop mining first and wait for every receipt: a reorg that races a block leaves logs without their state.
        What is sent again waits for the next `mine()`. Of one sender, resend all or the last ones only: a gap in its
        nonces would hold the later ones back; and what a dropped transfer paid for is refused until that one is mined.
        A node started from kept state cannot go back behind that start.
        """
        if self.ask("anvil_getAutomine") or self.ask("anvil_getIntervalMining"):
            raise ChainScriptError("stop_mining() before a reorg")
        head = self.head
        first = head - depth + 1
        dropped = tuple(self._transactions(range(first, head + 1)))
        self.ask("anvil_reorg", depth, [])
        if not self.w3.eth.get_code(ALWAYS_THERE):
            raise ChainScriptError(f"the chain lost its state: block {first - 1} is older than the node's last start")
        wanted = dropped if resend == "all" else [s for s in dropped if resend != "none" and s.hash in resend]
        for one in wanted:
            self.resend(one.raw)
        return Reorg(first, head, dropped)

    def _transactions(self, numbers: Sequence[int]) -> Iterable[Sent]:
        for number in numbers:
            for transaction_hash in self.w3.eth.get_block(number)["transactions"]:
                text = self.w3.to_hex(transaction_hash)
                yield Sent(text, self.raw_transaction(text))
