"""The peer: the `eventsourcing` library on the same PostgreSQL server, doing as its documentation says. Run by its own environment's Python.

It asks nothing of payriver. Its database comes in POSTGRES_*, what to measure as arguments; the answer is one line of JSON on stdout.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from uuid import UUID, uuid4

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

PROCESSES, WARM_UP_SECONDS, TOGETHER = 2, 0.5, 100


class Account(Aggregate):
    """As much of an account as a freeze needs: the same decision, and an event that says the same."""

    def __init__(self, wallet: str, token: str, currency: str, card_token: str) -> None:
        self.wallet, self.token, self.currency, self.card_token = wallet, token, currency, card_token
        self.frozen = False

    def turn(self, reason: str, correlation_id: str) -> None:
        """Freeze what is not frozen, unfreeze what is."""
        if self.frozen:
            self.unfreeze(self.id, self.card_token, reason, correlation_id)
        else:
            self.freeze(self.id, self.card_token, reason, correlation_id)

    @event("CardFrozen")
    def freeze(self, account_id: UUID, card_token: str, reason: str, correlation_id: str) -> None:
        """The card stops working."""
        self.frozen = True

    @event("CardUnfrozen")
    def unfreeze(self, account_id: UUID, card_token: str, reason: str, correlation_id: str) -> None:
        """It works again."""
        self.frozen = False


class Accounts(Application[UUID]):
    """Saves with an application sequence, and without snapshots or cache: each command loads, decides and saves."""


def opened(events: int) -> Account:
    """A new account with so many events."""
    told = {"wallet": "0x" + "a" * 40, "token": "0x" + "b" * 40, "currency": "EUR", "card_token": "card_0123456789ab"}
    account: Account = Account(**told)
    for _ in range(events - 1):
        account.turn("holder", str(uuid4()))
    return account


def filled(app: Accounts, streams: int, events: int) -> list[UUID]:
    """So many accounts, each with so many events."""
    ids: list[UUID] = []
    for _ in range(0, streams, TOGETHER):
        accounts = [opened(events) for _ in range(min(TOGETHER, streams - len(ids)))]
        app.save(*accounts)
        ids += [account.id for account in accounts]
    return ids


def commands(clients: int, seconds: float, streams: int, events: int) -> float:
    """Commands a second by so many clients, shared out over two processes."""
    app = Accounts()
    ids = filled(app, streams, events)
    app.close()
    processes = min(PROCESSES, clients)
    with get_context("spawn").Pool(processes) as pool:
        done = pool.starmap(_clients, [(ids[n::processes], clients // processes, seconds) for n in range(processes)])
    return sum(done)


def _clients(ids: list[UUID], clients: int, seconds: float) -> float:
    """Each client has accounts of its own, so that nobody waits for anybody."""
    app = Accounts()
    draw = random.Random()

    def work(number: int, until: float) -> int:
        count, mine = 0, ids[number::clients]
        while time.monotonic() < until:
            account: Account = app.repository.get(draw.choice(mine))
            account.turn("holder", str(uuid4()))
            app.save(account)
            count += 1
        return count

    with ThreadPoolExecutor(clients) as threads:
        list(threads.map(work, range(clients), [time.monotonic() + WARM_UP_SECONDS] * clients))
        began = time.monotonic()
        counts = list(threads.map(work, range(clients), [began + seconds] * clients))
        took = time.monotonic() - began
    app.close()
    return sum(counts) / took


def batch(events: int, times: int) -> float:
    """Seconds to make and save so many events at once, the median."""
    app = Accounts()

    def save() -> None:
        app.save(opened(events))

    return _median(save, times)


def load(events: int, times: int) -> float:
    """Seconds to load an aggregate of so many events, the median."""
    app = Accounts()
    (one,) = filled(app, 1, events)
    return _median(lambda: app.repository.get(one), times)


def _median(work: Callable[[], object], times: int) -> float:
    work()
    took = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def main() -> None:
    """`eventsourcing_peer.py commands 8 5 1000 10`, `batch 500 20`, `load 100 50`."""
    name, *values = sys.argv[1:]
    measures: dict[str, Callable[..., float]] = {"commands": commands, "batch": batch, "load": load}
    sys.stdout.write(json.dumps(measures[name](*map(int, values))) + "\n")


if __name__ == "__main__":
    main()
