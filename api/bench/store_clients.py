"""Our clients in the store's bench: each gives a command, waits for its commit, and gives the next; shared out over two processes.

Those of one process go through the same `GroupCommit` as the gateway's callers do.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from uuid import UUID, uuid4

from api.bench.store_stage import cause_of
from infra.database import engine, transaction
from schemas.messages.account_commands import FreezeCard, UnfreezeCard
from schemas.registry import load_codec
from streams.command_handler import CommandHandler
from streams.domain.circumstances import Policy
from streams.group_commit import GroupCommit
from streams.known_states import StateCache
from streams.orders import Order, Outcome

PROCESSES, WARM_UP_SECONDS = 2, 0.5


def commands(url: str, accounts: Sequence[UUID], clients: int, seconds: float) -> float:
    """Commands a second by so many clients."""
    processes = min(PROCESSES, clients)
    with get_context("spawn").Pool(processes) as pool:
        shares = [(url, accounts[n::processes], clients // processes, seconds) for n in range(processes)]
        return sum(pool.starmap(_clients, shares))


def _clients(url: str, accounts: Sequence[UUID], clients: int, seconds: float) -> float:
    """Each client has accounts of its own. No state is kept between two commands: each loads, as the peer does."""
    source = engine(url, pool_size=clients)
    with transaction(source) as cursor:
        codec = load_codec(cursor)
    handler = CommandHandler(codec, Policy(), StateCache(size=0))
    commits = GroupCommit(lambda _: transaction(source), handler.handle)
    draw = random.Random()

    def work(number: int, until: float) -> int:
        count, mine = 0, accounts[number::clients]
        while time.monotonic() < until:
            count += _turn(commits, draw.choice(mine), active)
        return count

    active: set[UUID] = set()
    with ThreadPoolExecutor(clients) as threads:
        list(threads.map(work, range(clients), [time.monotonic() + WARM_UP_SECONDS] * clients))
        began = time.monotonic()
        counts = list(threads.map(work, range(clients), [began + seconds] * clients))
        took = time.monotonic() - began
    source.dispose()
    return sum(counts) / took


def _turn(commits: GroupCommit[Order, Outcome], account_id: UUID, active: set[UUID]) -> int:
    """Freeze what is active, unfreeze what is not: always a decision with one event."""
    message = FreezeCard if account_id in active else UnfreezeCard
    command_id = uuid4()
    order = Order(command_id, message(account_id=account_id, reason="holder"), cause_of(command_id))
    outcome = commits(order)
    active ^= {account_id}
    return len(outcome.events)
