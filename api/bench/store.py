"""The event store beside its peers, side by side on one PostgreSQL server: `eventsourcing` of the same language, and PostgreSQL itself.

Each pair is measured one right after the other, twice or more, and the better of each counts: what the machine does meanwhile is nobody's.
A command loads its account of some ten events, decides, and appends with outbox row and stored answer; no state is kept between two.

Clients of one process go through `GroupCommit`, as the gateway's callers do: those that arrive while others are at work share one transaction of
look and append. The peer has no such thing, and saves each command alone, as does pgbench.

What the two do not share. The peer writes the event alone, as JSON: no outbox row, no answer by which a repeat is known, no hash, no tags,
no bytes for Kafka, no deadline, no lock on what it decides on; two indexes where we keep six. It appends under a lock on the whole table and
with a NOTIFY, so its commits go one after the other however many clients there are, and ours wait for the disk together. It has psycopg 3, which
prepares and pipelines: a command is two or three round trips for it, and three for us. In a batch it applies each event that it makes, and ours
are hashed and encoded; a load is one statement for it, and for us a transaction. What an append's time goes into: infra/decisions/0027.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

from api.bench.figure import Asked, Figure, cost
from api.bench.store_clients import commands
from api.bench.store_stage import (
    EVENTS_EACH,
    SIZES,
    StoreStage,
    account_id,
    cause_of,
    commit_seconds,
    events_of,
    staged,
)
from infra.database import transaction
from schemas.messages.account_events import CardFrozen
from streams.aggregates import AGGREGATES
from streams.event_store.recorded import NewEvent, new_event
from streams.event_store.subscription import Subscription

CLIENTS, SECONDS, ACCOUNTS, TURNS = (1, 8, 32), 4, 640, 2
BATCH, BATCHES, LOADED, LONG, LOADS = 500, 20, 100, 100_000, 100
SMALL, LARGE = 100_000, 1_000_000
APPENDS = 400
COMMANDS_AIM, PGBENCH_AIM, BATCH_AIM, LOAD_AIM, LONG_AIM, COPY_AIM, GROWTH_AIM = 4.0, 0.4, 3.0, 5.0, 1.2, 0.25, 1.3
BYTES_AIM = 3000
PEER = "eventsourcing"


def measure(asked: Asked) -> Iterator[Figure]:
    """All figures, each as soon as it is known. The tables grow from one to the next: to a million events at the end."""
    with staged(asked) as stage:
        for clients in CLIENTS:
            yield from _commands(stage, clients)
        yield _batch(stage)
        yield from _growth(stage)
        yield from _loads(stage)
        yield _read_all(stage)
        yield _bytes(stage)


def _commands(stage: StoreStage, clients: int) -> Iterator[Figure]:
    """Commands a second, on new accounts each time: whoever is faster must not pay for the events that it added before."""
    ours, peer, bare = [], [], []
    with stage.asked.console.status(f"commands by {clients} clients"):
        for _ in range(TURNS):
            ours.append(commands(stage.url, list(map(account_id, stage.accounts(ACCOUNTS))), clients, SECONDS))
            peer.append(stage.peer("commands", clients, SECONDS, ACCOUNTS, EVENTS_EACH))
            bare.append(stage.pgbench(clients, SECONDS, stage.accounts(ACCOUNTS)))
    waits = commit_seconds(stage.stack.home.path()) * 1000
    stage.asked.console.print(f"  {clients} clients; this disk makes a page durable in {waits:.2f} ms", style="dim")
    name = f"commands, {clients} client{'s' * (clients > 1)}"
    yield beside(name, max(ours), max(peer), PEER, "1/s", COMMANDS_AIM)
    yield beside(name, max(ours), max(bare), "pgbench, same statements", "1/s", PGBENCH_AIM)


def _batch(stage: StoreStage) -> Figure:
    """500 events of one account made, hashed, encoded and appended with their outbox rows; the peer makes and saves as many."""
    with stage.asked.console.status(f"batches of {BATCH}"):
        ours, peer = turns(
            lambda: median(lambda: stage.append(events_of(uuid4(), BATCH)), BATCHES),
            lambda: stage.peer("batch", BATCH, BATCHES),
        )
    return beside(f"append of {BATCH} events, with outbox", BATCH / ours, BATCH / peer, PEER, "events/s", BATCH_AIM)


def _loads(stage: StoreStage) -> Iterator[Figure]:
    """An account of 100 events, from its first to its state; and one of 100,000, whose snapshot is as far behind as our policy lets it be."""
    short, long = events_of(uuid4(), LOADED), uuid4()
    stage.append(short)
    with stage.asked.console.status(f"an account of {LONG:,} events"):
        stage.long_account(long, LONG, behind=AGGREGATES["account"].snapshot_every - 1)
    with stage.asked.console.status(f"loads of {LOADED} events"):
        ours, peer = turns(
            lambda: median(lambda: stage.load(short[0].stream_id), LOADS), lambda: stage.peer("load", LOADED, LOADS)
        )
        again, kept = turns(
            lambda: median(lambda: stage.load(short[0].stream_id), LOADS),
            lambda: median(lambda: stage.load(long), LOADS),
        )
    yield beside(f"load of {LOADED} events", 1 / ours, 1 / peer, PEER, "1/s", LOAD_AIM)
    name = f"load of {LONG:,} events, with snapshot"
    yield beside(name, 1 / kept, 1 / again, f"of {LOADED} events", "1/s", round(1 / LONG_AIM, 3))


def _growth(stage: StoreStage) -> Iterator[Figure]:
    """The median time of one append to a new place in a table of 10^5 and of 10^6 events; each commit waits for the same disk."""
    times, counts = [], []
    for count in (SMALL, LARGE):
        with stage.asked.console.status(f"filling the table to {count:,} events"):
            counts.append(stage.fill_to(count))
        with stage.asked.console.status("appends"):
            times.append(min(append_seconds(stage) for _ in range(3)))
    grown = times[1] / times[0]
    yield Figure(
        f"time of an append at {counts[1]:,} events", round(times[1] * 1000, 3), round(times[0] * 1000, 3),
        f"at {counts[0]:,} events", "ms", round(1 / grown, 3), round(1 / GROWTH_AIM, 3),
    )  # fmt: skip


def append_seconds(stage: StoreStage) -> float:
    """The median of appends of one event each to new streams."""
    each = iter([_frozen() for _ in range(APPENDS + 1)])
    return median(lambda: stage.append([next(each)]), APPENDS)


def _frozen() -> NewEvent:
    event_id, message = uuid4(), CardFrozen(account_id=uuid4(), card_token="card_0123456789ab", reason="holder")
    return new_event(event_id, 1, message, cause_of(event_id).metadata("FreezeCard"))


def _read_all(stage: StoreStage) -> Figure:
    """All events through a subscription, each a value with its payload, beside COPY of the same columns to nowhere."""
    count = stage.one("SELECT count(*) FROM events")

    def read() -> float:
        began, told = time.perf_counter(), 0
        reader = Subscription(stage.commands)
        while batch := reader.next_batch():
            told += len(batch)
        assert told == count
        return time.perf_counter() - began

    def copy() -> float:
        began = time.perf_counter()
        with transaction(stage.owner) as cursor, Path(os.devnull).open("wb") as nowhere:
            cursor.copy_expert("COPY (SELECT * FROM events) TO STDOUT", nowhere)
        return time.perf_counter() - began

    with stage.asked.console.status(f"reading {count:,} events"):
        ours, peer = turns(read, copy)
    return beside(f"read all, {count:,} events", count / ours, count / peer, "COPY", "events/s", COPY_AIM)


def _bytes(stage: StoreStage) -> Figure:
    """What an event takes on disk, with its row, indexes, tags; and its outbox row where it was appended with one."""
    count, outbox = stage.one("SELECT count(*) FROM events"), stage.one("SELECT count(*) FROM outbox")
    events = stage.one(SIZES.replace("OR c.relname LIKE 'outbox%%'", "").replace("%%", "%"))
    rows = stage.one(SIZES.replace("c.relname LIKE 'events%%' OR", "").replace("%%", "%"))
    stage.asked.console.print(
        f"  events {events / count:.0f} bytes each, outbox rows {rows / outbox:.0f} bytes each", style="dim"
    )
    return cost(
        "an event on disk, with outbox row and indexes", float(events / count + rows / outbox), BYTES_AIM, "bytes"
    )


def turns(ours: Callable[[], float], peer: Callable[[], float], times: int = TURNS) -> tuple[float, float]:
    """The least seconds of each, measured in turn."""
    told = [(ours(), peer()) for _ in range(times)]
    return min(each[0] for each in told), min(each[1] for each in told)


def median(work: Callable[[], object], times: int) -> float:
    """Median seconds, after one that does not count."""
    work()
    took = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def beside(name: str, ours: float, peer: float, peer_name: str, unit: str, aim: float) -> Figure:
    """A rate beside a peer's rate."""
    return Figure(name, round(ours, 1), round(peer, 1), peer_name, unit, round(ours / peer, 3), aim)
