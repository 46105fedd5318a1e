"""The river as a whole, on one full stack: two processes of each role, durable settings, one machine. No peer: the aims are ours."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from api.bench.figure import Asked, BenchFailed, Figure, cost, percentiles, rate
from api.bench.head import HeadWatch
from api.bench.network import Answer, Network, codes
from api.bench.stage import Stage, furnished
from api.demo.play import play
from api.demo.summary import booked_ms
from api.demo.view import View
from api.roots.embedded import embedded
from infra.stack.report import look
from infra.stack.supervisor import Stack

BLOCKS, BLOCK_SECONDS = 100, 0.4
ANSWERS_A_SECOND, ANSWER_SECONDS = 25, 24
PAYMENTS, CLIENTS, WARM_UP = 600, 16, 40

# What the product promises.
SEEN_MS = {"p50": 150.0, "p99": 500.0}
ANSWER_MS = {"p50": 20.0, "p99": 80.0, "most": 2000.0}
ALL_MIB, PAYMENTS_A_SECOND = 3 * 1024, 25
# What a person may expect of the demo, so that a step that grew slow is noticed; `start` holds what comes before the first step.
DEMO_SECONDS, COLD_SECONDS, STEP_SECONDS = 180, 600, 25
STEPS_SECONDS = {"fetch": 2, "start": 60, "reorg drops": 5, "statements": 5, "verify": 10}
PROCESS_MIB = {"server": 400, "component": 160}


def measure(asked: Asked) -> Iterator[Figure]:
    """All figures, each as soon as it is known. The demo comes first: it warms the river up, too."""
    with _cache(asked) as cache, embedded(asked.console, offline=asked.offline, cache=cache) as stack:
        yield from _demo(stack, asked)
        with furnished(stack, asked.console) as stage:
            network = Network(stack, [each.card_token for each in stage.customers])
            stage.until_calm(network.busily(WARM_UP, CLIENTS))
            yield from _seen(stage, asked)
            yield from _answers(stage, network, asked)
            yield from _answers_without_connect(stage, network, asked)
            yield from _payments(stage, network, asked)
            yield from _memory(stack)


@contextmanager
def _cache(asked: Asked) -> Iterator[Path | None]:
    """An empty cache of servers where one was asked for, else the machine's own."""
    if not asked.cold:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="payriver-cold-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # root's PostgreSQL runs as another user, and must reach its programs
        yield Path(folder)


def _demo(stack: Stack, asked: Asked) -> Iterator[Figure]:
    """The day as a person meets it: until everything runs, each step of the scenario, and all of it."""
    with View(asked.console, dict) as view:
        told = play(stack, view)
    if not told["verify"]["ok"]:
        raise BenchFailed(f"the day ended with differences: {told['verify']['differences'][:3]}")
    seconds = {name: took for name, took in told["seconds"].items() if name not in _parts_of_start(stack)}
    which = f"demo, {'cold' if asked.cold else 'warm'} cache"
    for name, took in seconds.items():
        yield cost(f"{which}: {name}", took, _step_aim(name, cold=asked.cold), "s")
    whole = sum(took for name, took in seconds.items() if name != "fetch")  # `start` holds it
    yield cost(f"{which}: all", whole, COLD_SECONDS if asked.cold else DEMO_SECONDS, "s")


def _parts_of_start(stack: Stack) -> set[str]:
    return stack.seconds.keys() - {"fetch", "start"}


def _step_aim(name: str, *, cold: bool) -> float:
    fetched = cold and name in ("fetch", "start")
    return COLD_SECONDS if fetched else STEPS_SECONDS.get(name, STEP_SECONDS)


def _seen(stage: Stage, asked: Asked) -> Iterator[Figure]:
    """A block, with one spend in it, mined -> the spend stands in the read model. Blocks come one at a time, at a calm rate."""
    stage.chain.stop_mining()
    with asked.console.status(f"{BLOCKS} blocks"), HeadWatch(stage.stack.url("node")) as watch:
        for number in range(BLOCKS):
            began = time.monotonic()
            sent = stage.spend(stage.customers[number % len(stage.customers)], 1_00)
            stage.chain.mine(1)
            stage.chain.wait_receipts([sent])
            time.sleep(max(0.0, BLOCK_SECONDS - (time.monotonic() - began)))
        stage.until_payment(stage.payment_of(sent), spend_state="seen")
    milliseconds = booked_ms(stage.auditor.read, watch.first_seen)
    if len(milliseconds) != BLOCKS:
        raise BenchFailed(f"of {BLOCKS} spends, {len(milliseconds)} are in the read model, each in a block of its own")
    stage.chain.interval_mining(1)
    for name, value in zip(SEEN_MS, percentiles(milliseconds), strict=True):
        yield cost(f"block mined -> seen in the read model, {name}", value, SEEN_MS[name], "ms")


def _answers(stage: Stage, network: Network, asked: Asked) -> Iterator[Figure]:
    """Authorizations at a steady rate, over many customers, while the river carries what they set off."""
    with asked.console.status(f"{ANSWERS_A_SECOND} authorizations a second for {ANSWER_SECONDS} s"):
        answers = network.steadily(ANSWERS_A_SECOND, ANSWER_SECONDS)
        stage.until_calm(answers)
    yield from _times("authorization answer at 25/s", answers, asked)


def _answers_without_connect(stage: Stage, network: Network, asked: Asked) -> Iterator[Figure]:
    """The same while nothing leaves the outbox."""
    stage.stack.freeze("connect")
    try:
        with asked.console.status("the same with Kafka Connect stopped"):
            answers = network.steadily(ANSWERS_A_SECOND, ANSWER_SECONDS)
    finally:
        stage.stack.thaw("connect")
    yield from _times("the same with Connect stopped", answers, asked)
    with asked.console.status("Connect goes on"):
        stage.until_calm(answers)


def _times(name: str, answers: list[Answer], asked: Asked) -> Iterator[Figure]:
    asked.console.print(f"  {name}: {codes(answers)}", style="dim")
    milliseconds = [each.seconds * 1000 for each in answers]
    for which, value in zip(ANSWER_MS, (*percentiles(milliseconds), max(milliseconds)), strict=True):
        yield cost(f"{name}, {which}", value, ANSWER_MS[which], "ms")


def _payments(stage: Stage, network: Network, asked: Asked) -> Iterator[Figure]:
    """Asked for as fast as they are answered, until each is settled on chain, stands so in the read model, and is announced."""
    began = time.monotonic()
    with asked.console.status(f"{PAYMENTS} payments by {CLIENTS} clients"):
        answers = network.busily(PAYMENTS, CLIENTS)
        asked.console.print(f"  answered in {time.monotonic() - began:.1f} s: {codes(answers)}", style="dim")
        settled = stage.until_settled(answers)
        a_second = settled / (time.monotonic() - began)
    yield rate("full payments, all settled and delivered", a_second, PAYMENTS_A_SECOND, "1/s")


def _memory(stack: Stack) -> Iterator[Figure]:
    """What is resident at the end of all this."""
    report = look(stack.home.folder)
    for row in report.components:
        yield cost(f"memory: {row.component} {row.worker}", row.rss_mb, PROCESS_MIB[row.kind], "MiB")
    yield cost("memory: all", report.rss_mb, ALL_MIB, "MiB")
