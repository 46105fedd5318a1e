"""One node of several: how it has answered lately, whether it may be asked now, and how much it gives at once."""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import structlog
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from connectors.chain.node.errors import RangeTooWide, RpcRefused, refused
from connectors.chain.node.transport import NoAnswer, Transport
from infra.errors import Undecodable

log = structlog.get_logger(__name__)
Question = tuple[str, Sequence[Any]]
Reads = Callable[[Any], Any]
"""What an answer is; raises Undecodable where it is none. A refusal is not read."""
FAILURES_TO_OPEN = 3
FIRST_REST_SECONDS, LONGEST_REST_SECONDS = 1.0, 60.0
LACKS_SECONDS = 600.0
"""So long a node that did not know a method is asked last for it: it may be mended, or another stand at its address."""
WEIGHT = 0.2
"""Of the newest answer in the running mean of the latency."""
WIDEN_AFTER = 50
"""Good answers after which a limit that we only guessed is tried a little wider."""


@dataclass(eq=False)
class Endpoint:
    """A node. `banned`: why it is never asked again (another chain); `lies`: how often the others outvoted it.

    `lacks`: methods that it did not know, until when it is asked last for them.
    """

    url: str
    transport: Transport
    a_second: int | None = None
    range_limit: int | None = None
    latency: float = 0.0
    asked: int = 0
    failed: int = 0
    failures: int = 0
    failed_at: float = 0.0
    rests_until: float = 0.0
    head: int = 0
    lies: int = 0
    banned: str | None = None
    checked: bool = False
    last_error: str = ""
    lacks: dict[str, float] = field(default_factory=dict)
    _told: bool = True
    _good: int = 0
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage()) if self.a_second else None
        self._rate = RateLimitItemPerSecond(self.a_second or 1)

    @property
    def name(self) -> str:
        """Host and port, and nothing that may be a key."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @property
    def state(self) -> str:
        """In a word: well, resting (its circuit is open), trying, lagging is told by its head, banned."""
        if self.banned is not None:
            return "banned"
        if self.rests_until > time.monotonic():
            return "resting"
        return "trying" if self.failures else "well"

    def lacks_any(self, questions: Sequence[Question]) -> bool:
        """Whether it did not know one of these methods, a short while ago."""
        now = time.monotonic()
        return any(self.lacks.get(method, now) > now for method, _ in questions)

    def ask(self, questions: Sequence[Question], reads: Reads | None = None, *, last: bool = True) -> list[Any]:
        """Results in the order of the questions, each as it is read; a refused one is its RpcRefused. Raises NoAnswer, and remembers it.

        `last`: nobody else could know a method that it does not; else that is no answer.
        """
        self._wait_for_turn(len(questions))
        numbers = [next(self._numbers) for _ in questions]
        body = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}
            for number, (method, params) in zip(numbers, questions, strict=True)
        ]
        began = time.monotonic()
        try:
            answers = _by_number(self.transport.post(body if len(body) > 1 else body[0]), numbers)
            found = [_result(method, answers[number]) for number, (method, _) in zip(numbers, questions, strict=True)]
            self._must_know(questions, found, last=last)
            told = [_read(answer, reads) for answer in found] if reads else found
        except NoAnswer as error:
            self._failed(error)
            raise NoAnswer(
                f"{self.name}: {error}", error.retry_after, busy=error.busy, refusal=error.refusal, lacks=error.lacks
            ) from None
        self._well(time.monotonic() - began)
        for question, answer in zip(questions, found, strict=True):
            self._learn(question, answer)
        return told

    def _must_know(self, questions: Sequence[Question], found: Sequence[Any], *, last: bool) -> None:
        """Methods that it does not know are remembered. Raises NoAnswer where another may."""
        for (method, _), answer in zip(questions, found, strict=True):
            if isinstance(answer, RpcRefused) and answer.code == METHOD_NOT_FOUND:
                if method not in self.lacks:
                    log.warning("endpoint_lacks", node=self.name, method=method)
                self.lacks[method] = time.monotonic() + LACKS_SECONDS
                if not last:
                    raise NoAnswer(f"does not know {method}", lacks=True)
            else:
                self.lacks.pop(method, None)

    def ban(self, why: str) -> None:
        """Never ask it again."""
        if self.banned is None:
            log.error("endpoint_banned", node=self.name, why=why)
        self.banned = why

    def _wait_for_turn(self, count: int) -> None:
        """As many questions a second as we were told it takes; a batch counts each of its questions."""
        while self._limiter is not None and not self._limiter.hit(
            self._rate, self.name, cost=min(count, self._rate.amount)
        ):
            time.sleep(0.02)

    def _well(self, seconds: float) -> None:
        with self._lock:
            self.latency = seconds if not self.asked else self.latency + WEIGHT * (seconds - self.latency)
            self.asked += 1
            self.failures = 0
            self._good += 1
            if self.range_limit is not None and not self._told and self._good % WIDEN_AFTER == 0:
                self.range_limit += max(1, self.range_limit // 4)

    def _failed(self, error: NoAnswer) -> None:
        """The circuit: after some failures in a row it rests, twice as long each time; one that is only busy rests as long as it asked."""
        if error.lacks:
            return  # of all else it knows what it knew
        with self._lock:
            self.failed, self.failed_at = self.failed + 1, time.monotonic()
            self.last_error = str(error)
            if error.busy:
                self.rests_until = time.monotonic() + min(error.retry_after or FIRST_REST_SECONDS, LONGEST_REST_SECONDS)
                return
            self.failures += 1
            self.checked = False  # what comes back at its address may be another node
            if self.failures >= FAILURES_TO_OPEN:
                rest = min(FIRST_REST_SECONDS * 2 ** (self.failures - FAILURES_TO_OPEN), LONGEST_REST_SECONDS)
                self.rests_until = time.monotonic() + min(max(rest, error.retry_after or 0), LONGEST_REST_SECONDS)
                log.warning("endpoint_rests", node=self.name, seconds=rest, why=self.last_error)

    def _learn(self, question: Question, answer: Any) -> None:
        """How many blocks it gives at once, by its own words or by halving (a limit of results is no limit of blocks); and its head."""
        if question[0] == "eth_getBlockByNumber" and question[1][0] == "latest" and isinstance(answer, dict):
            self.head = int(answer["number"], 16)
        if not isinstance(answer, RangeTooWide) or question[0] != "eth_getLogs":
            return
        asked = span_of(question)
        if asked is None or answer.counted:
            return
        with self._lock:
            told = answer.limit if answer.limit and answer.limit < asked else None
            self._told, self._good = told is not None, 0
            self.range_limit = min(told or max(1, asked // 2), self.range_limit or asked)
        log.info("endpoint_range_learnt", node=self.name, blocks=self.range_limit, said=answer.message)


def span_of(question: Question) -> int | None:
    """How many blocks an eth_getLogs asks about, by their heights."""
    wanted = question[1][0]
    try:
        return int(wanted["toBlock"], 16) - int(wanted["fromBlock"], 16) + 1
    except (KeyError, ValueError):
        return None


def _by_number(answers: Any, numbers: Sequence[int]) -> dict[int, dict[str, Any]]:
    listed = answers if isinstance(answers, list) else [answers]
    found = {each["id"]: each for each in listed if isinstance(each, dict) and each.get("id") in numbers}
    if len(found) != len(numbers):
        if len(listed) == 1 and isinstance(listed[0], dict) and _is_busy(listed[0].get("error")):
            raise NoAnswer(f"refused: {listed[0]['error'].get('message')}", busy=True)
        raise NoAnswer(f"left answers out: {str(answers)[:200]}")
    if any(_is_busy(each.get("error")) for each in found.values()):
        raise NoAnswer("too many requests", busy=True)
    return found


def _is_busy(error: Any) -> bool:
    """Some providers answer HTTP 200 and say it in the JSON: -32005 of EIP-1474, 429, or in words."""
    if not isinstance(error, dict):
        return False
    said = str(error.get("message", "")).lower()
    rate = "rate limit" in said or "too many requests" in said or "requests per second" in said
    return error.get("code") == 429 or rate


METHOD_NOT_FOUND = -32601
INTERNAL_ERROR = -32603
"""JSON-RPC 2.0: the node is in trouble. Some say it of a revert too; what has a name of its own is an answer."""


def _result(method: str, answer: dict[str, Any]) -> Any:
    """What it says, or its refusal. Raises NoAnswer where it is neither: another node may know."""
    if error := answer.get("error"):
        if not isinstance(error, dict):
            raise NoAnswer(f"says {str(error)[:100]!r} in place of an error")
        refusal = refused(method, error)
        if refusal.code == INTERNAL_ERROR and type(refusal) is RpcRefused:
            raise NoAnswer(f"in trouble: {refusal.message}", refusal=refusal)
        return refusal
    result = answer.get("result")
    if not SHAPES.get(method, _anything)(result):
        raise NoAnswer(f"says {str(result)[:100]!r} to {method}")
    return result


def _read(answer: Any, reads: Reads) -> Any:
    """Raises NoAnswer where it is not what was asked for."""
    try:
        return answer if isinstance(answer, RpcRefused) else reads(answer)
    except Undecodable as error:
        raise NoAnswer(f"talks nonsense: {error}") from None


def _anything(_: Any) -> bool:
    return True


def _number(result: Any) -> bool:
    return isinstance(result, str) and NUMBER.fullmatch(result) is not None


def _bytes(result: Any) -> bool:
    return isinstance(result, str) and BYTES.fullmatch(result) is not None


def _record(result: Any) -> bool:
    return result is None or isinstance(result, dict)


def _block(result: Any) -> bool:
    return result is None or (isinstance(result, dict) and _number(result.get("number")) and _bytes(result.get("hash")))


NUMBER, BYTES = re.compile("0x[0-9a-fA-F]+"), re.compile("0x(?:[0-9a-fA-F]{2})*")
SHAPES: Mapping[str, Callable[[Any], bool]] = {
    "eth_chainId": _number,
    "eth_blockNumber": _number,
    "eth_getTransactionCount": _number,
    "eth_getBalance": _number,
    "eth_maxPriorityFeePerGas": _number,
    "eth_call": _bytes,
    "eth_sendRawTransaction": _bytes,
    "eth_getLogs": lambda result: isinstance(result, list),
    "eth_getTransactionReceipt": _record,
    "eth_getTransactionByHash": _record,
    "eth_getBlockByNumber": _block,
    "eth_getBlockByHash": _block,
}
"""What an answer is at least, by the method; what is inside is read by what who asked gave for it."""


def good(answer: Any) -> Any:
    """The answer. Raises it where it is a refusal."""
    if isinstance(answer, RpcRefused):
        raise answer
    return answer
