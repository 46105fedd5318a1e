"""Several nodes as one: the healthiest and fastest is asked, another when it fails, all of them where a vote is wanted."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import structlog
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from connectors.chain.node.endpoint import Endpoint, Question, Reads
from connectors.chain.node.errors import RpcRefused, RpcUnreachable
from connectors.chain.node.transport import NoAnswer, WebSocket
from infra.errors import Misconfigured

log = structlog.get_logger(__name__)
MAX_PAUSE_SECONDS = 5.0
EXPLORE = 0.02
"""How often another node than the best is asked, so that its latency is known."""
AGAIN_SECONDS = 1.0
"""So long a node that failed is not tried for the sake of trying."""
LAGS_BY = 3
"""Blocks behind the newest head at which a node is asked last."""
CLEARLY = 0.7
"""Another node must be faster by this to be preferred: whom we ask should not change with every answer."""


@dataclass
class Pool:
    """The nodes, the preferred one first. `chain_id`: one of another chain is never asked. Safe to use from several threads."""

    endpoints: Sequence[Endpoint]
    chain_id: int | None = None
    tries: int = 4
    pause_seconds: float = 0.1
    _current: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.tries = max(self.tries, len(self.endpoints) + 1 if len(self.endpoints) > 1 else self.tries)
        self._pause = wait_exponential_jitter(
            multiplier=self.pause_seconds, max=MAX_PAUSE_SECONDS, jitter=self.pause_seconds
        )
        self._voters: ThreadPoolExecutor | None = None

    @property
    def current(self) -> Endpoint:
        """Whom we ask now."""
        return self.endpoints[self._current]

    @property
    def answering(self) -> list[Endpoint]:
        """The nodes that may be asked now."""
        return [each for each in self.endpoints if each.banned is None and each.rests_until <= time.monotonic()]

    def close(self) -> None:
        """Let all connections go."""
        for each in self.endpoints:
            each.transport.close()
        if self._voters is not None:
            self._voters.shutdown(cancel_futures=True)

    def ask(self, questions: Sequence[Question], reads: Reads | None = None) -> list[Any]:
        """Results in the order of the questions, each as it is read; a refused one is its RpcRefused. Raises RpcUnreachable, Misconfigured.

        A node whose answer cannot be read has not answered.
        """
        failed: list[Endpoint] = []

        def once() -> list[Any]:
            endpoint = self.pick(failed, questions)
            others = [each for each in self.answering if each is not endpoint and each not in failed]
            try:
                self._check(endpoint)
                return endpoint.ask(questions, reads, last=all(each.lacks_any(questions) for each in others))
            except NoAnswer:
                failed.append(endpoint)
                raise

        try:
            return list(self._retrying()(once))
        except NoAnswer as error:
            if error.refusal is not None:  # nobody knows better
                raise error.refusal from None
            raise RpcUnreachable(f"no answer to {questions[0][0]} after {self.tries} tries; last: {error}") from None

    def pick(self, failed: Sequence[Endpoint] = (), questions: Sequence[Question] = ()) -> Endpoint:
        """The node to ask: none that rests, lags, has just failed or does not know it if there is another; then the fastest. Raises Misconfigured."""
        able = [each for each in self.endpoints if each.banned is None]
        if not able:
            said = "; ".join(f"{each.name} {each.banned}" for each in self.endpoints)
            raise Misconfigured(f"no node is left to ask: {said}; mend rpc_urls in the chain file")
        newest, now = max(each.head for each in able), time.monotonic()

        def rank(each: Endpoint) -> tuple[int, bool, bool, bool, bool, float]:
            away, lags = each.rests_until > now, newest - each.head >= LAGS_BY
            latency = each.latency * (CLEARLY if each is self.current else 1.0) if each.asked else 0.0
            return failed.count(each), away, each.lacks_any(questions), each.failures > 0, lags, latency

        best = min(able, key=rank)
        others = [
            each
            for each in able
            if each is not best and rank(each)[:3] == rank(best)[:3] and now - each.failed_at > AGAIN_SECONDS
        ]
        if others and not failed and random.random() < EXPLORE:
            return random.choice(others)
        with self._lock:
            self._current = list(self.endpoints).index(best)
        return best

    # -- all of them

    def everywhere(self, question: Question) -> dict[Endpoint, Any]:
        """What each node that can be asked says, in parallel; a refusal is its RpcRefused, one that does not answer is left out."""
        able = self.answering
        self._voters = self._voters or ThreadPoolExecutor(len(self.endpoints), thread_name_prefix="vote")

        def one(endpoint: Endpoint) -> Any:
            try:
                self._check(endpoint)
                return endpoint.ask([question])[0]
            except (NoAnswer, Misconfigured):
                return _Silent

        said = dict(zip(able, self._voters.map(one, able), strict=True))
        return {each: answer for each, answer in said.items() if answer is not _Silent}

    def vote(self, question: Question, reads: Callable[[Any], Any]) -> tuple[Any, int]:
        """(what most nodes say, how many of them). Who says otherwise is named and counted, and rests; who does not know abstains.

        `reads` takes the part of an answer that must be the same, None for one that does not know. (None, 0): nobody knows, or a tie.
        """
        votes = {
            each: read
            for each, answer in self.everywhere(question).items()
            if not isinstance(answer, RpcRefused) and (read := reads(answer)) is not None
        }
        counts = Counter(votes.values()).most_common(2)
        if not counts or (len(counts) > 1 and counts[0][1] == counts[1][1]):
            if len(counts) > 1:
                log.error(
                    "endpoints_disagree",
                    question=question[0],
                    said={each.name: str(vote) for each, vote in votes.items()},
                )
            return None, 0
        winner, count = counts[0]
        for each, vote in votes.items():
            if vote != winner:
                each.lies += 1
                log.error("endpoint_outvoted", node=each.name, says=str(vote), others_say=str(winner), of=question[0])
                each.rests_until = time.monotonic() + MAX_PAUSE_SECONDS
        return winner, count

    def heads(self, on_head: Callable[[dict[str, Any]], None]) -> bool:
        """Be told of new heads by every node that speaks over a WebSocket. False: there is none that could be reached."""
        told = False
        for each in self.endpoints:
            if isinstance(each.transport, WebSocket) and each.banned is None:
                try:
                    each.transport.heads(on_head)
                    told = True
                except NoAnswer as error:
                    log.warning("endpoint_tells_no_heads", node=each.name, why=str(error))
        return told

    # -- inner parts

    def _check(self, endpoint: Endpoint) -> None:
        """Before its first answer counts: is it of our chain? Raises NoAnswer when it is not, and never asks it again."""
        if endpoint.checked or self.chain_id is None:
            return
        (answer,) = endpoint.ask([("eth_chainId", [])])
        if isinstance(answer, RpcRefused):
            raise NoAnswer(f"{endpoint.name} does not tell which chain it is of", refusal=answer)
        said = int(answer, 16)
        if said != self.chain_id:
            endpoint.ban(f"is of chain {said}, not of chain {self.chain_id}")
            raise NoAnswer(f"{endpoint.name} {endpoint.banned}")
        endpoint.checked = True

    def _retrying(self) -> Retrying:
        return Retrying(
            stop=stop_after_attempt(self.tries),
            wait=self._wait,
            retry=retry_if_exception_type(NoAnswer),
            reraise=True,
        )

    def _wait(self, state: RetryCallState) -> float:
        """Another node that is well is asked at once; where there is none, after a pause, or after what the node itself asked for."""
        now = time.monotonic()
        if sum(each.banned is None and each.rests_until <= now and not each.failures for each in self.endpoints):
            return 0.0
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, NoAnswer) else None
        return min(asked, MAX_PAUSE_SECONDS) if asked is not None else float(self._pause(state))


class _Silent:
    """Stands for an answer that did not come."""
