"""Asks EVM nodes over JSON-RPC: one question or many at once, tried again and at the next node when one does not answer.

Numbers are decoded here and nowhere else: what leaves is values with ints; hashes and addresses are lower-case 0x-text.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson
from eth_utils.crypto import keccak
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from connectors.chain.chain_values import At, Fees, Header, Receipt, block_parameter
from connectors.chain.logs import Log
from connectors.chain.rpc_errors import AlreadyKnown, RpcRefused, RpcUnreachable, refused

Question = tuple[str, Sequence[Any]]
MAX_PAUSE_SECONDS = 5.0


class _NoAnswer(Exception):
    """A node did not answer well this time; `retry_after` seconds where it said so."""

    def __init__(self, why: str, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class Rpc:
    """The nodes at `urls`, the first one preferred. One connection pool; safe to use from several threads."""

    def __init__(
        self, urls: Sequence[str], *, timeout_seconds: float = 10, tries: int = 4, pause_seconds: float = 0.1
    ) -> None:
        self._urls = tuple(urls)
        self._current = 0
        self._tries = max(tries, len(self._urls))
        self._pause = wait_exponential_jitter(multiplier=pause_seconds, max=MAX_PAUSE_SECONDS, jitter=pause_seconds)
        self._numbers = itertools.count(1)
        self._switching = threading.Lock()
        self._http = httpx.Client(
            timeout=timeout_seconds, trust_env=False, headers={"content-type": "application/json"}
        )

    def close(self) -> None:
        self._http.close()

    @property
    def node(self) -> str:
        """Host and port of the node that is asked now."""
        return _shown(self._urls[self._current])

    # -- any question

    def call(self, method: str, *params: Any) -> Any:
        """The result. Raises `RpcRefused` (by name) or `RpcUnreachable`."""
        answer = self.batch([(method, params)])[0]
        if isinstance(answer, RpcRefused):
            raise answer
        return answer

    def batch(self, questions: Sequence[Question]) -> list[Any]:
        """Results in the order of the questions; a refused one is its `RpcRefused`, and does not spoil the others."""
        if not questions:
            return []
        try:
            return list(self._retrying()(self._ask, questions))
        except _NoAnswer as error:
            raise RpcUnreachable(f"no answer to {questions[0][0]} after {self._tries} tries; last: {error}") from None

    def _retrying(self) -> Retrying:
        return Retrying(
            stop=stop_after_attempt(self._tries),
            wait=self._wait,
            retry=retry_if_exception_type(_NoAnswer),
            before_sleep=lambda _: self._next_node(),
            reraise=True,
        )

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, _NoAnswer) else None
        return min(asked, MAX_PAUSE_SECONDS) if asked is not None else float(self._pause(state))

    def _next_node(self) -> None:
        with self._switching:
            self._current = (self._current + 1) % len(self._urls)

    def _ask(self, questions: Sequence[Question]) -> list[Any]:
        url = self._urls[self._current]
        numbers = [next(self._numbers) for _ in questions]
        body = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}
            for number, (method, params) in zip(numbers, questions, strict=True)
        ]
        answers = self._post(url, body if len(body) > 1 else body[0])
        by_number = {
            a.get("id"): a for a in (answers if isinstance(answers, list) else [answers]) if isinstance(a, dict)
        }
        if set(by_number) != set(numbers):
            raise _NoAnswer(f"{_shown(url)} left answers out: {str(answers)[:200]}")
        return [_result(method, by_number[number]) for number, (method, _) in zip(numbers, questions, strict=True)]

    def _post(self, url: str, body: Any) -> Any:
        try:
            response = self._http.post(url, content=orjson.dumps(body))
        except httpx.TransportError as error:
            raise _NoAnswer(f"{_shown(url)}: {type(error).__name__} {error}") from None
        if response.status_code != 200:
            raise _NoAnswer(f"{_shown(url)} answered HTTP {response.status_code}", _retry_after(response))
        try:
            return orjson.loads(response.content)
        except orjson.JSONDecodeError:
            raise _NoAnswer(f"{_shown(url)} answered {len(response.content)} bytes that are no JSON") from None

    # -- reading

    def chain_id(self) -> int:
        return int(self.call("eth_chainId"), 16)

    def block(self, at: At) -> Header | None:
        """The header at a number, tag (latest, safe, finalized) or hash; None when the node has no such block."""
        return self.blocks([at])[0]

    def blocks(self, places: Sequence[At]) -> list[Header | None]:
        """Many headers in one request, in order."""
        questions = [_block_question(at) for at in places]
        return [Header.from_json(record) if record else None for record in map(_good, self.batch(questions))]

    def logs_of_block(self, block_hash: str, topics: Iterable[str] = ()) -> list[Log]:
        """All logs of one block by its hash, with any of these topic0s. Raises `UnknownBlock` when it was orphaned."""
        return self._logs({"blockHash": block_hash}, topics, None)

    def logs(
        self, first: int, last: int, topics: Iterable[str] = (), addresses: Sequence[str] | None = None
    ) -> list[Log]:
        """All logs of the blocks [first, last]. Raises `RangeTooWide` when the node gives fewer at once."""
        return self._logs({"fromBlock": hex(first), "toBlock": hex(last)}, topics, addresses)

    def _logs(self, where: dict[str, Any], topics: Iterable[str], addresses: Sequence[str] | None) -> list[Log]:
        wanted = list(topics)
        filters = where | ({"topics": [wanted]} if wanted else {}) | ({"address": list(addresses)} if addresses else {})
        return [Log.from_json(record) for record in self.call("eth_getLogs", filters)]

    def receipt(self, transaction_hash: str) -> Receipt | None:
        """The receipt, or None while (or since) it is not mined."""
        return self.receipts([transaction_hash])[0]

    def receipts(self, transaction_hashes: Sequence[str]) -> list[Receipt | None]:
        """Many receipts in one request, in order."""
        found = self.batch([("eth_getTransactionReceipt", [one]) for one in transaction_hashes])
        return [Receipt.from_json(record) if record else None for record in map(_good, found)]

    def transaction(self, transaction_hash: str) -> dict[str, Any] | None:
        """The transaction as the node tells it, mined or waiting; None when it knows of none."""
        found = self.call("eth_getTransactionByHash", transaction_hash)
        return dict(found) if found else None

    def eth_call(self, to: str, data: bytes, at: At = "latest", *, sender: str | None = None) -> bytes:
        """A view call at a block, by nobody or by `sender`. Raises `CallReverted`, `UnknownBlock`."""
        answer = self.eth_calls([(to, data)], at, sender=sender)[0]
        if isinstance(answer, RpcRefused):
            raise answer
        return answer

    def eth_calls(
        self, calls: Sequence[tuple[str, bytes]], at: At = "latest", *, sender: str | None = None
    ) -> list[bytes | RpcRefused]:
        """Many view calls at one block in one request, in order."""
        where, by = block_parameter(at), {"from": sender} if sender else {}
        found = self.batch([("eth_call", [by | {"to": to, "data": "0x" + data.hex()}, where]) for to, data in calls])
        return [one if isinstance(one, RpcRefused) else bytes.fromhex(one[2:]) for one in found]

    def nonce(self, address: str, at: At = "pending") -> int:
        """How many transactions `address` has sent: its next nonce."""
        return int(self.call("eth_getTransactionCount", address, block_parameter(at)), 16)

    def native_balance(self, address: str, at: At = "latest") -> int:
        """Native coin, in wei."""
        return int(self.call("eth_getBalance", address, block_parameter(at)), 16)

    def fees(self) -> Fees:
        """What the next block asks, by the latest header and the node's own suggestion of a tip."""
        header, tip = self.batch([_block_question("latest"), ("eth_maxPriorityFeePerGas", [])])
        suggested = 10**9 if isinstance(tip, RpcRefused) else int(tip, 16)
        return Fees(base_wei=Header.from_json(_good(header)).base_fee_wei or 0, tip_wei=suggested)

    # -- writing

    def send_raw(self, raw: bytes) -> str:
        """Hands signed bytes to a node and gives their hash; sending them twice is no error.

        Raises `NonceTooLow` (perhaps by this very transaction: look for its receipt), `Underpriced`, `NoFunds`.
        """
        try:
            return str(self.call("eth_sendRawTransaction", "0x" + raw.hex())).lower()
        except AlreadyKnown:
            return "0x" + bytes(keccak(raw)).hex()


def _block_question(at: At) -> Question:
    by_hash = isinstance(at, str) and len(at) == 66
    return (
        "eth_getBlockByHash" if by_hash else "eth_getBlockByNumber",
        [hex(at) if isinstance(at, int) else at, False],
    )


def _result(method: str, answer: dict[str, Any]) -> Any:
    return refused(method, answer["error"]) if answer.get("error") else answer.get("result")


def _good(answer: Any) -> Any:
    if isinstance(answer, RpcRefused):
        raise answer
    return answer


def _retry_after(response: httpx.Response) -> float | None:
    said = response.headers.get("retry-after", "")
    return float(said) if said.isdigit() else None


def _shown(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
