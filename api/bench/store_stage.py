"""The stage of the store's bench: one durable PostgreSQL W, our tables in it, a database of its own for the peer, and many accounts."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import md5
from pathlib import Path
from string import Template
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import Engine, make_url

from api.bench.figure import Asked, BenchFailed
from infra.database import engine, reading, transaction
from infra.migrations.runner import migrate
from infra.peers import EVENTSOURCING, PEERS
from infra.stack import access
from infra.stack.fetch import fetch
from infra.stack.side_environment import python
from infra.stack.supervisor import Stack
from schemas.codec import Codec
from schemas.definition import Raw
from schemas.messages.account_events import AccountRegistered, CardFrozen
from schemas.registry import load_codec, remember_all
from streams.command_handler import CommandHandler
from streams.domain.circumstances import Policy
from streams.event_store import snapshots, store
from streams.event_store.recorded import Cause, NewEvent, new_event
from streams.event_store.states import state_at
from streams.known_states import StateCache

SCRIPT = Path(__file__).with_name("command.pgbench")
EVENTS_EACH, TOGETHER = 10, 100
TPS = re.compile(r"tps = ([0-9.]+) \(without")
FILL = """
INSERT INTO events (position, event_id, stream_id, version, category, type, schema_version, payload, metadata, recorded_at, hash)
SELECT nextval('event_positions'), gen_random_uuid(), md5('fill-' || n / 20)::uuid, n %% 20 + 1, e.category, e.type, e.schema_version,
       jsonb_set(e.payload, '{account_id}', to_jsonb(md5('fill-' || n / 20)::uuid)),
       jsonb_set(e.metadata, '{correlation_id}', to_jsonb(md5('story-' || n / 5)::uuid)), clock_timestamp(), e.hash
FROM generate_series(%s, %s) AS n, (SELECT * FROM events WHERE type = 'CardFrozen' LIMIT 1) AS e
"""
SIZES = """
SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class AS c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND (c.relname LIKE 'events%%' OR c.relname LIKE 'outbox%%')
"""


def account_id(number: int) -> UUID:
    """The number's account; pgbench makes the same from its number."""
    return UUID(md5(f"bench-{number}".encode(), usedforsecurity=False).hexdigest())


def commit_seconds(folder: Path, times: int = 200) -> float:
    """What the disk takes to make one page of a log durable, the median: no commit of anybody's can be faster."""
    took = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(times):
            file.write(bytes(8192))
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    return statistics.median(took)


def cause_of(event_id: UUID) -> Cause:
    """A story of its own."""
    return Cause(event_id, event_id, f"00-{event_id.hex}-{event_id.hex[:16]}-01", "bench")


def events_of(stream_id: UUID, count: int) -> list[NewEvent]:
    """An account that was registered, and frozen again and again: so many events."""
    opened = AccountRegistered(
        account_id=stream_id, kind="customer", chain_id=100, wallet="0x" + "a" * 40, token="0x" + "b" * 40, currency="EUR",
        decimals=18, settlement_address="0x" + "c" * 40, card_token="card_0123456789ab", opening_balance_raw=Raw(10**20),
        allowance_balance_raw=Raw(10**20), allowance_max_refill_raw=Raw(10**20), allowance_refill_raw=Raw(10**18),
        allowance_period_seconds=86_400, allowance_timestamp=1_790_000_000, queue_empty=True, integrity="Ok",
        block_number=10, block_hash="0x" + "d" * 64, block_time=1_790_000_000,
    )  # fmt: skip
    frozen = CardFrozen(account_id=stream_id, card_token="card_0123456789ab", reason="holder")
    told = [opened, *[frozen] * (count - 1)]
    ids = [uuid5(stream_id, str(version)) for version in range(1, count + 1)]
    return [
        new_event(event_id, version, message, cause_of(event_id).metadata(type(message).__name__))
        for version, (event_id, message) in enumerate(zip(ids, told, strict=True), 1)
    ]


@dataclass
class StoreStage:
    """What the bench asks of the stack."""

    stack: Stack
    asked: Asked
    codec: Codec = field(init=False)
    made: int = 0
    filled: int = 0

    def __post_init__(self) -> None:
        self.owner = engine(access.database_url(self.stack.home, "write", "owner"))
        self.url = access.database_url(self.stack.home, "write", "commands")
        self.commands = engine(self.url)
        migrate(self.owner, "write")
        with transaction(self.owner) as cursor:
            remember_all(cursor)
            self.codec = load_codec(cursor)
            cursor.execute(
                "INSERT INTO chain_cursors (chain_id, seen_number, seen_hash, seen_time, final_number) VALUES (100, 9, '0x', %s, 1)",
                (int(time.time()),),
            )
        with self.stack.postgres("write").superuser("postgres") as cursor:
            cursor.execute("CREATE DATABASE peer OWNER owner")

    def accounts(self, count: int, events: int = EVENTS_EACH) -> range:
        """The numbers of so many new accounts, each with so many events."""
        numbers = range(self.made, self.made + count)
        for first in numbers[::TOGETHER]:
            some = numbers[first - self.made :][:TOGETHER]
            self.append([event for number in some for event in events_of(account_id(number), events)])
        self.made += count
        return numbers

    def append(self, events: Sequence[NewEvent]) -> None:
        """One transaction."""
        with transaction(self.commands) as cursor:
            store.append(cursor, self.codec, events)

    def long_account(self, stream_id: UUID, count: int, behind: int) -> None:
        """An account of so many events, with a snapshot that lacks the newest `behind` of them."""
        events = events_of(stream_id, count)
        for first in range(0, count, 500):
            self.append(events[first : first + 500])
        with transaction(self.commands) as cursor:
            at = state_at(cursor, stream_id, count - behind)
            assert at is not None
            snapshots.save(cursor, [at.kept])

    def load(self, stream_id: UUID) -> None:
        """An account's state, by a process that knows nothing of it yet."""
        with reading(self.commands) as cursor:
            CommandHandler(self.codec, Policy(), StateCache(size=0)).state(cursor, stream_id)

    def fill_to(self, count: int) -> int:
        """Rows of events behind everybody's back, until the table has so many at least: streams of 20 events, as large as a real event's row.

        Gives how many there are.
        """
        missing = max(0, count - self.one("SELECT count(*) FROM events"))
        with transaction(self.owner) as cursor:
            cursor.execute(FILL, (self.filled, self.filled + missing - 1))
        self.filled += missing
        with self.stack.postgres("write").superuser() as cursor:
            cursor.execute("VACUUM ANALYZE events")
            cursor.execute("CHECKPOINT")
        return int(self.one("SELECT count(*) FROM events"))

    def one(self, query: str, source: Engine | None = None) -> Any:
        """The one value of a question."""
        with transaction(source or self.owner) as cursor:
            cursor.execute(query)
            return cursor.fetchall()[0][0]

    def peer(self, *what: str | int) -> float:
        """What the peer measures of itself, in its own environment and database, on this server."""
        packages = PEERS.ready(self.asked.cache, offline=self.asked.offline)
        door = make_url(access.database_url(self.stack.home, "write", "owner"))
        told = {
            **os.environ, "PYTHONPATH": str(packages), "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": "peer", "POSTGRES_HOST": str(door.host), "POSTGRES_PORT": str(door.port),
            "POSTGRES_USER": str(door.username), "POSTGRES_PASSWORD": str(door.password),
            "POSTGRES_POOL_SIZE": "16", "POSTGRES_MAX_OVERFLOW": "16",
        }  # fmt: skip
        command = [python(), str(EVENTSOURCING), *map(str, what)]
        done = subprocess.run(command, env=told, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode:
            raise BenchFailed(f"eventsourcing {what}: {done.stderr.strip()[-600:]}")
        return float(json.loads(done.stdout.splitlines()[-1]))

    def pgbench(self, clients: int, seconds: int, accounts: range) -> float:
        """Transactions a second of the same statements, prepared and without Python. pgbench is PostgreSQL's own, of the same package."""
        door = make_url(self.url)
        sample = events_of(account_id(0), 2)[1]
        values = {
            "first": accounts.start,
            "each": len(accounts) // clients,
            "payload": json.dumps(sample.payload),
            "metadata": json.dumps(sample.metadata),
            "record": self.codec.encode(sample.message).hex(),
        }
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder, "command.pgbench")
            script.write_text(Template(SCRIPT.read_text()).substitute(values))
            where = ["-h", str(door.host), "-p", str(door.port), "-U", str(door.username)]
            what = ["-n", "-M", "prepared", "-f", str(script)]
            load = ["-c", str(clients), "-j", str(min(clients, 2)), "-T", str(seconds)]
            command = [str(fetch().postgres / "pgbench"), *where, *what, *load, str(door.database)]
            environment = {**os.environ, "PGPASSWORD": str(door.password)}
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        found = TPS.search(done.stdout)
        if done.returncode or found is None:
            raise BenchFailed(f"pgbench: {(done.stderr + done.stdout).strip()[-600:]}")
        return float(found[1])


@contextmanager
def staged(asked: Asked) -> Iterator[StoreStage]:
    """W alone, durable: every commit waits for the disk."""
    with Stack(servers=("write",), components=(), throwaway=False, cache=asked.cache, offline=asked.offline) as stack:
        yield StoreStage(stack, asked)
