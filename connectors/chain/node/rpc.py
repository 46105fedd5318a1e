"""Asks EVM nodes over JSON-RPC: one question or many at once, tried again and at the next node when one does not answer.

Numbers are decoded here and nowhere else: what leaves is values with ints; hashes and addresses are lower-case 0x-text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import structlog
from eth_utils.crypto import keccak

from connectors.chain.node.endpoint import Endpoint, Question, Reads, good
from connectors.chain.node.errors import AlreadyKnown, RangeTooWide, RpcRefused, UnknownBlock
from connectors.chain.node.logs import Log, LogFilter
from connectors.chain.node.pool import Pool
from connectors.chain.node.transport import transport_for
from connectors.chain.node.values import At, Fees, Header, Receipt, block_parameter

log = structlog.get_logger(__name__)


class Rpc:
    """The nodes at `urls`, the first one preferred while none is clearly better. Safe to use from several threads.

    `chain_id`: a node of another chain is never asked. `a_second`: so many questions a second each node is asked at most.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        chain_id: int | None = None,
        timeout_seconds: float = 10,
        tries: int = 4,
        pause_seconds: float = 0.1,
        a_second: int | None = None,
    ) -> None:
        endpoints = [Endpoint(url, transport_for(url, timeout_seconds), a_second) for url in urls]
        self.pool = Pool(endpoints, chain_id, tries, pause_seconds)

    def close(self) -> None:
        self.pool.close()

    @property
    def node(self) -> str:
        """Host and port of the node that is asked now."""
        return self.pool.current.name

    # -- any question

    def call(self, method: str, *params: Any) -> Any:
        """The result. Raises `RpcRefused` (by name) or `RpcUnreachable`."""
        return good(self.batch([(method, params)])[0])

    def batch(self, questions: Sequence[Question], reads: Reads | None = None) -> list[Any]:
        """Results in the order of the questions, each as it is read; a refused one is its `RpcRefused`, and does not spoil the others."""
        return self.pool.ask(questions, reads) if questions else []

    # -- reading

    def chain_id(self) -> int:
        return int(self.call("eth_chainId"), 16)

    def block(self, at: At) -> Header | None:
        """The header at a number, tag (latest, safe, finalized) or hash; None when the node has no such block."""
        return self.blocks([at])[0]

    def blocks(self, places: Sequence[At]) -> list[Header | None]:
        """Many headers in one request, in order."""
        questions = [_block_question(at) for at in places]
        return list(map(good, self.batch(questions, _header)))

    def logs_of_blocks(self, block_hashes: Sequence[str], filters: Sequence[LogFilter]) -> list[Log]:
        """All logs of these blocks that any filter wants, in one request. Raises `UnknownBlock` when one was orphaned.

        Where a block has more than the node gives at once, they are read by their receipts.
        """
        wheres = [{"blockHash": each} for each in block_hashes]
        try:
            questions = [_logs_question(where, each) for where in wheres for each in filters]
            return _merged(map(good, self.batch(questions, _logs)))
        except RangeTooWide:
            return [log for each in block_hashes for log in self._of_receipts(each, filters)]

    def logs(
        self, first: int, last: int, topics: Iterable[str] = (), addresses: Sequence[str] | None = None
    ) -> list[Log]:
        """All logs of the blocks [first, last] in one request. Raises `RangeTooWide` when the node gives fewer at once."""
        return self._logs(first, last, [_by_topics(topics, addresses or ())])

    def find_logs(self, first: int, last: int, filters: Sequence[LogFilter]) -> list[Log]:
        """As `logs`, for any of several filters, in as many requests as the node wants; one block with too many is read by its receipts."""
        found: list[Log] = []
        waiting = [(first, last)]
        while waiting:
            first, last = waiting.pop()
            if first > last:
                continue
            limit = self.pool.pick().range_limit or last - first + 1
            if last - first + 1 > limit:
                waiting += [(first + limit, last), (first, first + limit - 1)]
                continue
            try:
                found += self._logs(first, last, filters)
            except RangeTooWide as error:
                if first == last:
                    found += self._of_receipts(first, filters)
                    continue
                middle = first + min(error.hint or last, (last - first + 1) // 2) - 1
                waiting += [(middle + 1, last), (first, middle)]
        return found

    def _logs(self, first: int, last: int, filters: Sequence[LogFilter]) -> list[Log]:
        where = {"fromBlock": hex(first), "toBlock": hex(last)}
        return _merged(map(good, self.batch([_logs_question(where, each) for each in filters], _logs)))

    def _of_receipts(self, at: At, filters: Sequence[LogFilter]) -> list[Log]:
        """The logs of one block that any filter wants, by its receipts: anybody may fill a block with logs that are like ours."""
        header = self.block(at)
        if header is None:
            raise UnknownBlock("eth_getBlockByNumber", 0, f"block {at} is gone")
        return [log for log in self.logs_of_receipts(header) if any(each.wants(log) for each in filters)]

    def logs_of_receipts(self, header: Header) -> list[Log]:
        """All logs of a block, by its receipts: what `eth_getLogs` is held against. Raises UnknownBlock when it is gone."""
        block = dict(self.call("eth_getBlockByHash", header.hash, False) or {})
        receipts = self.receipts(list(block.get("transactions", ())))
        if not block or None in receipts:
            raise UnknownBlock("eth_getBlockByHash", 0, f"block {header.hash} or a receipt of it is gone")
        return [each for receipt in receipts if receipt is not None for each in receipt.logs]

    def receipt(self, transaction_hash: str) -> Receipt | None:
        """The receipt, or None while (or since) it is not mined."""
        return self.receipts([transaction_hash])[0]

    def receipts(self, transaction_hashes: Sequence[str]) -> list[Receipt | None]:
        """Many receipts in one request, in order."""
        found = self.batch([("eth_getTransactionReceipt", [one]) for one in transaction_hashes], _receipt)
        return list(map(good, found))

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

    def final_nonce(self, address: str, number: int, nodes: int) -> int | None:
        """How many transactions `address` has sent up to a final block, as a majority says of all nodes that the chain file names.

        What that decides, no later word takes back; so it is a majority of all, not of those that answer, and of three nodes one may be away.
        None: too few know, or they disagree. `nodes`: what the chain file wants of a quorum; where that is 1, and of one node alone, one's word
        is all there is.
        """
        wanted = self.majority(nodes)
        if wanted < 2:
            return self.nonce(address, number)
        question = ("eth_getTransactionCount", [address, block_parameter(number)])
        said, count = self.pool.vote(question, lambda answer: int(answer, 16))
        if said is None or count < wanted:
            away = [each.name for each in self.pool.endpoints if each not in self.pool.answering]
            told = {"sender": address, "block_number": number, "nodes": count, "wanted": wanted, "away": away}
            log.error("final_nonce_not_agreed", **told)
            return None
        return int(said)

    def highest_nonce(self, address: str, number: int) -> int:
        """How many transactions `address` has sent up to a block, as the node says that knows of most: nobody hides one from us alone."""
        question = ("eth_getTransactionCount", [address, block_parameter(number)])
        said = [int(each, 16) for each in self._of_all(question)]
        return max(said) if said else self.nonce(address, number)

    def height(self, tag: str, nodes: int) -> int | None:
        """The highest block that a majority of the nodes has come to under a tag; where fewer answer, that all these have. None: none names one."""
        said = [each for each in self._of_all(_block_question(tag)) if each]
        numbers = sorted((int(each["number"], 16) for each in said), reverse=True)
        if numbers:
            return numbers[min(self.majority(nodes), len(numbers)) - 1]
        header = self.block(tag)
        return header.number if header else None

    def majority(self, nodes: int) -> int:
        """How many nodes must agree on what is for good: most of those that are ours to ask. 1 where a quorum of so many `nodes` is none."""
        able = len([each for each in self.pool.endpoints if each.banned is None])
        return able // 2 + 1 if min(nodes, able) > 1 else 1

    def _of_all(self, question: Question) -> list[Any]:
        """What the nodes answer, where there are several; refusals left out."""
        if len(self.pool.endpoints) < 2:
            return []
        return [each for each in self.pool.everywhere(question).values() if not isinstance(each, RpcRefused)]

    def native_balance(self, address: str, at: At = "latest") -> int:
        """Native coin, in wei."""
        return int(self.call("eth_getBalance", address, block_parameter(at)), 16)

    def fees(self) -> Fees:
        """What the next block asks, by the latest header and the node's own suggestion of a tip."""
        asked = [_block_question("latest"), ("eth_maxPriorityFeePerGas", [])]
        header, tip = self.batch(
            asked, lambda answer: int(answer, 16) if isinstance(answer, str) else Header.from_json(answer)
        )
        suggested = 10**9 if isinstance(tip, RpcRefused) else tip
        return Fees(base_wei=good(header).base_fee_wei or 0, tip_wei=suggested)

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


def _by_topics(topics: Iterable[str], addresses: Sequence[str] = ()) -> LogFilter:
    wanted = tuple(topics)
    return LogFilter(tuple(addresses), (wanted,) if wanted else ())


def _logs_question(where: dict[str, Any], wanted: LogFilter) -> Question:
    return "eth_getLogs", [where | wanted.as_json()]


def _header(record: Any) -> Header | None:
    return Header.from_json(record) if record else None


def _receipt(record: Any) -> Receipt | None:
    return Receipt.from_json(record) if record else None


def _logs(answer: Any) -> list[Log]:
    return list(map(Log.from_json, answer))


def _merged(answers: Iterable[Sequence[Log]]) -> list[Log]:
    """The logs of several answers in the chain's order, each once: filters may overlap, and nodes have told a log twice. None that was taken back."""
    found = {(log.block_hash, log.index): log for answer in answers for log in answer}
    return sorted((log for log in found.values() if not log.removed), key=_place)


def _place(log: Log) -> tuple[int, int]:
    return log.block_number, log.index
