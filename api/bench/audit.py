"""The audit log's bench: events a second into the log and its witness; the milliseconds and bytes of a proof among a million events."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from rich.progress import track
from sqlalchemy import Engine

from api.bench.figure import Asked, Figure, cost, percentiles
from infra.audit.check import Head
from infra.database import engine, transaction
from infra.migrations.runner import migrate
from infra.stack import access
from infra.stack.supervisor import Stack
from streams.audit_log import log, merkle, proofs
from streams.audit_log.filler import Filler

EVENTS, ROUND, PROOFS, SEED = 1_000_000, 50_000, 500, 6962
SHARE_OF_READING, PROOF_MS, PROOF_BYTES, BYTES = 0.1, 50, 5_000, 250
STORE = """
INSERT INTO events (position, event_id, stream_id, version, category, type, schema_version, payload, metadata, hash)
SELECT nextval('event_positions'), gen_random_uuid(), gen_random_uuid(), 1, 'payment', 'PaymentAuthorized', 1,
       jsonb_build_object('payment_id', gen_random_uuid(), 'account_id', gen_random_uuid(), 'amount_minor', n, 'currency', 'EUR',
                          'merchant_name', 'Café Lumière', 'merchant_country', 'FR', 'mcc', '5812', 'approval_code', n::text),
       jsonb_build_object('causation_id', gen_random_uuid(), 'correlation_id', gen_random_uuid(), 'actor', 'bench',
                          'command', 'AuthorizePayment', 'traceparent', '00-' || repeat('ab', 16) || '-' || repeat('cd', 8) || '-01'),
       sha256(n::text::bytea)
FROM generate_series(1, %s) AS n
"""
READ = "SELECT * FROM events ORDER BY position DESC LIMIT %s"
SIZES = "SELECT pg_total_relation_size('audit_leaves') + pg_total_relation_size('audit_nodes')"


def measure(asked: Asked) -> Iterator[Figure]:
    """Two PostgreSQL that wait for the disk, as in production, and a million events of usual size."""
    with Stack(
        servers=("write", "read"), components=(), throwaway=False, cache=asked.cache, offline=asked.offline
    ) as stack:
        owner = _door(stack, "write", "owner")
        migrate(owner, "write")
        migrate(_door(stack, "read", "owner"), "read")
        yield from _filling(asked, owner, Filler(_door(stack, "write", "audit"), _door(stack, "read", "audit")))
        yield from _proving(_door(stack, "write", "auditor"))


def _door(stack: Stack, server: str, role: str) -> Engine:
    return engine(access.database_url(stack.home, server, role))


def _filling(asked: Asked, owner: Engine, filler: Filler) -> Iterator[Figure]:
    """Stored in rounds; in each, the same events are read as they are and taken into the log."""
    reading = seconds = 0.0
    for _ in track(range(EVENTS // ROUND), "a million events", console=asked.console, transient=True):
        with transaction(owner) as cursor:
            cursor.execute(STORE, (ROUND,))
        began = time.monotonic()
        with transaction(owner) as cursor:
            cursor.execute(READ, (ROUND,))
            cursor.fetchall()
        reading += time.monotonic() - began
        began = time.monotonic()
        filler.catch_up(60)
        seconds += time.monotonic() - began
    yield Figure(
        name="audit log: events taken, witness and all",
        ours=round(EVENTS / seconds, 1),
        peer=round(EVENTS / reading, 1),
        peer_name="reading them",
        unit="1/s",
        ratio=round(reading / seconds, 3),
        aim=SHARE_OF_READING,
    )
    with transaction(owner) as cursor:
        cursor.execute(SIZES)
        ((size,),) = cursor.fetchall()
    yield cost("audit log: on disk, an event", size / EVENTS, BYTES, "bytes")


def _proving(auditor: Engine) -> Iterator[Figure]:
    """Each proof by itself, nothing kept from the one before, checked before it is handed out."""
    draw, times, sizes = random.Random(SEED), [], []
    with transaction(auditor) as cursor:
        size = log.end(cursor).size
        head = Head(log.log_id(cursor), size, merkle.root(size, log.Hashes(cursor)), bytes(32))
        for _ in range(PROOFS):
            position = draw.randint(1, EVENTS)
            began = time.monotonic()
            sizes.append(len(proofs.prove(cursor, position, head)))
            times.append((time.monotonic() - began) * 1000)
    p50, p99 = percentiles(times)
    yield cost(f"audit log: a proof among {size:,} events, p50", p50, PROOF_MS, "ms")
    yield cost(f"audit log: a proof among {size:,} events, p99", p99, 2 * PROOF_MS, "ms")
    yield cost(f"audit log: a proof among {size:,} events, largest", max(sizes), PROOF_BYTES, "bytes")
