"""History, many blocks at a time: the logs of final blocks, read ahead by several workers and handed over in the chain's order.

How long a stretch is follows from what comes back: long where little happens, short where much does, so that the memory it takes
and the transaction it becomes stay the same. What a node gives at once is the RPC client's affair.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from connectors.chain.listening.blocks import Forked, filters_of, must_be_whole
from connectors.chain.node.logs import Log
from connectors.chain.node.rpc import Rpc
from connectors.chain.node.values import Header
from connectors.chain.settings import ChainSettings

WORKERS = 4
LOGS_WANTED = 2_500
FIRST_SPAN, LONGEST_SPAN = 32, 100_000
SAMPLES = 8
"""Blocks of a stretch whose bloom filter is held against what came, so that a node that pruned its logs is found out."""


@dataclass(frozen=True)
class Stretch:
    """Final blocks from `first` to `last.number`, and their logs in order."""

    first: int
    last: Header
    logs: Sequence[Log]


@dataclass
class Stretches:
    """Reads one chain's history from wherever it is asked to go on. For one reader at a time."""

    rpc: Rpc
    chain: ChainSettings
    span: int = FIRST_SPAN
    _ahead: deque[tuple[int, int, Future[Stretch]]] = field(default_factory=deque)
    _pool: ThreadPoolExecutor | None = None

    def after(self, number: int, final: int) -> Stretch:
        """The next stretch after block `number`, which ends at or before `final`. The same again until it is asked to go on."""
        if self._ahead and self._ahead[0][0] <= number:
            self._ahead.popleft()
        if self._ahead and self._ahead[0][0] != number + 1:
            self.forget()
        self._read_ahead(number, final)
        first, _, future = self._ahead[0]
        try:
            found = future.result()
        except Exception:
            self.forget()
            raise
        self._adapt(len(found.logs), found.last.number - first + 1)
        return found

    def coming(self) -> Future[Stretch] | None:
        """The stretch after the one that was handed over last, if it is being read already."""
        return self._ahead[1][2] if len(self._ahead) > 1 else None

    def forget(self) -> None:
        """What was read ahead is of no use."""
        for _, _, future in self._ahead:
            future.cancel()
        self._ahead.clear()

    def close(self) -> None:
        """End the workers."""
        self.forget()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _read_ahead(self, number: int, final: int) -> None:
        self._pool = self._pool or ThreadPoolExecutor(WORKERS, thread_name_prefix="stretch")
        reached = self._ahead[-1][1] if self._ahead else number
        while len(self._ahead) < WORKERS and reached < final:
            last = min(reached + self.span, final)
            self._ahead.append((reached + 1, last, self._pool.submit(self._read, reached + 1, last)))
            reached = last

    def _read(self, first: int, last: int) -> Stretch:
        logs = self.rpc.find_logs(first, last, filters_of(self.chain))
        if len(logs) > LOGS_WANTED * 3 // 2:  # more than we want at once: the rest is read again, in shorter stretches
            last = logs[LOGS_WANTED].block_number
            logs = [each for each in logs if each.block_number <= last]
        step = max(1, (last - first + 1) // SAMPLES)
        numbers = sorted({*range(first, last + 1, step), last})
        headers = [each for each in self.rpc.blocks(numbers) if each is not None]
        if len(headers) != len(numbers):
            raise Forked(f"{self.rpc.node} does not have all of the blocks {first} to {last}, which are final")
        must_be_whole(self.rpc, self.chain, headers, logs)
        return Stretch(first, headers[-1], logs)

    def _adapt(self, logs: int, blocks: int) -> None:
        wanted = int(blocks * LOGS_WANTED / max(logs, LOGS_WANTED // 64))
        self.span = max(1, min(LONGEST_SPAN, wanted, self.span * 2))
