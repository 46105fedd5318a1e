"""The chain's door beside Ponder and beside the bare node, on one anvil and one PostgreSQL server that waits for the disk.

What the two do not share. Of each transfer of the past we make an event with its hash and its tags, its outbox row for Kafka and the answer
by which a repeat is known, in one transaction with the cursor; of one at the head two events, seen and final, and a sighting. Ponder writes
the row that its function asks for, and keeps the logs, blocks and transactions that it read in a cache of its own. It calls a block final
that is 30 deep; we ask the node. The making of the logs is nobody's time, nor is the start of a process.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

from api.bench.chain_peer import PEER, running
from api.bench.chain_stage import ChainStage, staged
from api.bench.figure import Asked, BenchFailed, Figure, cost, percentiles

PEER_AIM, FLOOR_AIM, LAG_MS, COST_AIM, MEMORY_MB, FLAT = 5.0, 4.0, 50.0, 1.2, 250.0, 1.1
IN_BLOCK, WARM_UP, PATIENCE_SECONDS, TURNS = 10, 5, 30, 2
LONG_EACH = 250


@dataclass(frozen=True)
class Size:
    """`blocks` of `each` transfers are read back; so many `heads` are waited for; `long`: logs of the long backfill, 0: none."""

    blocks: int
    each: int
    heads: int
    watched: tuple[int, ...]
    long: int = 0


SIZES = {
    "small": Size(blocks=40, each=50, heads=10, watched=(100, 10_000)),
    "usual": Size(blocks=2_000, each=50, heads=100, watched=(100, 10_000, 100_000)),
    "full": Size(blocks=2_000, each=50, heads=300, watched=(100, 10_000, 100_000), long=1_000_000),
}


def measure(asked: Asked) -> Iterator[Figure]:
    """All figures, each as soon as it is known."""
    size = SIZES[asked.size]
    with staged(asked) as stage:
        yield from _beside_the_peer(stage, size)
        yield _watched(stage, size)
        if size.long:
            yield from _long(stage, size)


def _beside_the_peer(stage: ChainStage, size: Size) -> Iterator[Figure]:
    """The same logs read back by the bare node, by us and by the peer, one after the other; then new heads, by the peer and by us."""
    console, logs = stage.asked.console, size.blocks * size.each
    with console.status(f"making {logs:,} logs"):
        stage.pay(size.blocks, size.each)
    last = stage.head
    stage.bury()
    with console.status("the bare node"):
        floor = min(stage.floor_seconds(stage.first, last, logs) for _ in range(2))
    with console.status("payriver backfill"):
        ours = stage.backfill(last)
    _must_be(stage.transfers(), logs, "payriver")
    yield _memory(logs, ours.memory)
    with running(stage) as peer:
        with console.status(f"{PEER}: backfill"):
            theirs = peer.backfill_seconds()
            peer.until_live()
        _must_be(peer.stored(), logs, PEER)
        name = f"backfill of {logs:,} logs"
        yield _rates(name, logs / ours.seconds, logs / theirs, PEER, PEER_AIM)
        yield _rates(name, logs / ours.seconds, logs / floor, "eth_getLogs + JSON", 1 / FLOOR_AIM)
    yield from _heads(stage, size)


def _heads(stage: ChainStage, size: Size) -> Iterator[Figure]:
    """New heads, by the peer and by us, each alone, in turn; of each the better turn counts."""
    ours, theirs = [], []
    for _ in range(TURNS):
        with running(stage) as peer, stage.asked.console.status(f"{PEER}: heads"):
            peer.until_live()
            theirs.append(_lags(stage, size.heads, lambda block: peer.stored(block) == IN_BLOCK))
        with stage.process("listen"), stage.asked.console.status("payriver listen: heads"):
            stage.until(lambda: stage.seen() == stage.head, "at the head")
            ours.append(_lags(stage, size.heads, lambda block: stage.seen() >= block))
    yield from _beside(min(ours, key=median), min(theirs, key=median))


def _lags(stage: ChainStage, blocks: int, stored: Callable[[int], bool]) -> list[float]:
    """Milliseconds from a block of ten transfers that the node has mined until what it means is committed, as another connection sees it."""
    lags, draw = [], random.Random(1)
    for _ in range(WARM_UP + blocks):
        stage.pay(1, IN_BLOCK)
        mined = time.perf_counter()
        while not stored(stage.head):
            if time.perf_counter() > mined + PATIENCE_SECONDS:
                raise BenchFailed(f"block {stage.head} is not stored after {PATIENCE_SECONDS} s")
        lags.append((time.perf_counter() - mined) * 1000)
        time.sleep(draw.uniform(0.05, 0.15))
    return lags[WARM_UP:]


def _beside(ours: list[float], theirs: list[float]) -> Iterator[Figure]:
    (p50, p99), (their_p50, their_p99) = percentiles(ours), percentiles(theirs)
    yield cost("block mined -> events committed, p50", p50, LAG_MS, "ms")
    for name, mine, other in (("p50", p50, their_p50), ("p99", p99, their_p99)):
        ratio = round(other / mine, 3)
        yield Figure(f"block mined -> committed, {name}", round(mine, 1), round(other, 1), PEER, "ms", ratio, 1)


def _watched(stage: ChainStage, size: Size) -> Figure:
    """A block of ten transfers taken in by a listener that watches few accounts, and by one that watches very many."""
    times = dict.fromkeys(size.watched, math.inf)
    for count in size.watched * TURNS:
        with stage.asked.console.status(f"blocks with {count:,} accounts watched"):
            stage.watch_only(count)
            times[count] = min(times[count], _block_ms(stage, size.heads))
    for count, each in times.items():
        stage.asked.console.print(f"  {count:,} accounts: {each:.1f} ms a block", style="dim")
    few, many = size.watched[0], size.watched[-1]
    name = f"a block with {many:,} accounts watched"
    ratio = round(times[few] / times[many], 3)
    return Figure(
        name, round(times[many], 2), round(times[few], 2), f"with {few:,}", "ms", ratio, round(1 / COST_AIM, 3)
    )


def _block_ms(stage: ChainStage, blocks: int) -> float:
    listener = stage.listener()
    stage.until(lambda: not listener.step() and stage.seen() == stage.head, "at the head")
    took = []
    for _ in range(WARM_UP + blocks):
        stage.pay(1, IN_BLOCK)
        began = time.perf_counter()
        moved = listener.step()
        took.append((time.perf_counter() - began) * 1000)
        if not moved or stage.seen() != stage.head:
            raise BenchFailed(f"one step did not take block {stage.head} in")
    listener.rpc.close()
    return median(took[WARM_UP:])


def _long(stage: ChainStage, size: Size) -> Iterator[Figure]:
    """Many more logs than memory could hold, of few accounts: what many accounts take is not what grows with logs."""
    stage.watch_only(size.watched[0])
    with stage.asked.console.status(f"making {size.long:,} logs"):
        stage.pay(size.long // LONG_EACH, LONG_EACH)
    last = stage.head
    stage.bury()
    with stage.asked.console.status(f"payriver backfill of {size.long:,} logs"):
        memory = stage.backfill(last).memory
    yield _memory(size.long, memory)
    first, second = max(memory[: len(memory) // 2]), max(memory[len(memory) // 2 :])
    name = "memory of its second half"
    yield Figure(
        name, round(second, 1), round(first, 1), "its first half", "MB", round(first / second, 3), round(1 / FLAT, 3)
    )


def _memory(logs: int, memory: list[float]) -> Figure:
    return cost(f"memory, backfill of {logs:,} logs, most", max(memory), MEMORY_MB, "MB")


def _rates(name: str, ours: float, other: float, whose: str, aim: float) -> Figure:
    return Figure(name, round(ours), round(other), whose, "logs/s", round(ours / other, 3), aim)


def _must_be(found: int, logs: int, whose: str) -> None:
    if found != logs:
        raise BenchFailed(f"{whose} stored {found:,} transfers of {logs:,}")
