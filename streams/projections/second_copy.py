"""A second copy of the read models, beside the one that is shown: made by the same migrations, filled by the same projector, and then in its place.

It lies in schema `anew`, where no role but the owner may look. What is written there by the projector is written by its own words: its session
looks for tables in that schema and nowhere else. Its checkpoints and parked messages lie there too, so it is filled in fenced runs, as the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from uuid import UUID

from sqlalchemy import Engine

from infra.database import Cursor, transaction
from infra.migrations.runner import files, migrate
from streams.delivered import Delivered
from streams.event_store import fingerprint
from streams.projections.gaps import Gap
from streams.projections.projector import ANEW, CHANNEL, Projector
from streams.runtime.records import Place, Record

SCHEMA = "anew"
MODELS = (
    "deliveries", "stream_versions", "payments", "balances", "ledger_postings", "ledger_accounts", "persons", "account_holders",
    "parked_messages",
)  # fmt: skip
"""What is made anew, and takes the place of what is shown; a test holds that no table is forgotten."""
KEPT = (
    "checkpoints", "lost_events", "rebuilds", "migrations", "audit_witness", "audit_closings", "audit_closed_witness",
)  # fmt: skip
"""What is no fold of events: places, and who said what."""

# One count of changes for both copies, so that a page never takes one change for another.
ONE_SEQUENCE = f"""
ALTER TABLE {SCHEMA}.payments ALTER COLUMN change SET DEFAULT nextval('public.payments_change_number');
DROP SEQUENCE {SCHEMA}.payments_change_number
"""
PLACE = f"""
INSERT INTO {SCHEMA}.checkpoints (cluster, topic_id, topic, partition, consumer, next_offset) VALUES %s
"""
# What a person discarded is dropped again. Ended waits are history.
DECIDED = f"INSERT INTO {SCHEMA}.parked_messages SELECT * FROM public.parked_messages WHERE state IN ('replayed', 'discarded')"
ASIDE = f"INSERT INTO {SCHEMA}.lost_events SELECT * FROM public.lost_events"
# When an event came, and at which place, is proof: the copy takes it over, also where the topic has forgotten the record since.
PROOF = f"""
UPDATE {SCHEMA}.deliveries AS d
SET topic = known.topic, partition = known.partition, "offset" = known."offset", delivered_at = known.delivered_at,
    headers = CASE WHEN d.topic IS NULL THEN known.headers ELSE d.headers END
FROM public.deliveries AS known
WHERE d.event_id = ANY(%s) AND known.topic IS NOT NULL
  AND (known.event_id, known.version, known.position) = (d.event_id, d.version, d.position)
  AND (d.topic IS NULL OR (d.topic, d.partition, d."offset") = (known.topic, known.partition, known."offset"))
"""
BEHIND = f"""
SELECT shown.stream_id, coalesce(made.version, 0), shown.version
FROM public.stream_versions AS shown LEFT JOIN {SCHEMA}.stream_versions AS made USING (stream_id)
WHERE coalesce(made.version, 0) < shown.version AND shown.stream_id > %s AND NOT EXISTS (
    SELECT FROM {SCHEMA}.parked_messages AS p WHERE p.key = shown.stream_id::text AND p.state IN ('parked', 'queued')
)
ORDER BY shown.stream_id LIMIT %s
"""
# What the copy came by and took, waits no longer; what it never met (Kafka has forgotten it) waits on.
TOOK = f"""
EXISTS (
    SELECT FROM {SCHEMA}.checkpoints AS c
    INNER JOIN unnest(%(topic_ids)s::text[], %(partitions)s::int[], %(firsts)s::bigint[]) AS begun (topic_id, partition, first)
        USING (topic_id, partition)
    WHERE (c.topic_id, c.partition) = (p.topic_id, p.partition) AND p."offset" >= begun.first AND p."offset" < c.next_offset
)
"""
COLUMNS = """parked_id, consumer, topic, topic_id, partition, "offset", key, headers, value, timestamp_ms"""
ENDED = f"""
INSERT INTO {SCHEMA}.parked_messages ({COLUMNS}, state, reason, error, parked_at, ended_at, ended_by, end_reason)
SELECT {COLUMNS},
    CASE WHEN over THEN 'replayed' ELSE state END, reason, error, parked_at, CASE WHEN over THEN clock_timestamp() ELSE ended_at END,
    CASE WHEN over THEN %(by)s ELSE ended_by END, CASE WHEN over THEN %(why)s ELSE end_reason END
FROM (SELECT p.*, p.state IN ('parked', 'queued') AND {TOOK} AS over FROM public.parked_messages AS p) AS shown
ON CONFLICT DO NOTHING
"""
DISCARDED = f"""
UPDATE {SCHEMA}.parked_messages AS p
SET state = shown.state, ended_at = shown.ended_at, ended_by = shown.ended_by, end_reason = shown.end_reason
FROM public.parked_messages AS shown
WHERE shown.parked_id = p.parked_id AND shown.state = 'discarded' AND p.state IN ('parked', 'queued')
"""
PAGE = 500


@cache
def code() -> bytes:
    """sha256 over all that decides what a read model says: the projector's sources, and the tables' migrations."""
    modules = fingerprint.reached(["streams.projections.projector", *fingerprint.ALWAYS], ("streams.", "schemas."))
    return fingerprint.digest([*(fingerprint.path_of(name) for name in modules), *files("read")])


def there(cursor: Cursor) -> bool:
    """Whether there is one, finished or not."""
    cursor.execute("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = %s)", (SCHEMA,))
    return bool(cursor.fetchall()[0][0])


def throw_away(cursor: Cursor) -> None:
    """As if there had never been one."""
    cursor.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")


def make_tables(read: Engine, copy: Engine) -> None:
    """Empty tables, as the migrations make them. `read`: R as role owner; `copy`: the same, looking into the schema."""
    with transaction(read) as cursor:
        throw_away(cursor)
        cursor.execute(f"CREATE SCHEMA {SCHEMA}")
    migrate(copy, "read")


def begin(cursor: Cursor, consumer: str, firsts: Mapping[Place, int]) -> None:
    """What the copy begins with: its places, one count of changes, what persons decided, what was put aside."""
    cursor.execute(ONE_SEQUENCE)
    told = [
        (each.cluster, each.topic_id, each.topic, each.partition, consumer, first) for each, first in firsts.items()
    ]
    cursor.postpone_values(PLACE, told)
    cursor.postpone(DECIDED)
    cursor.postpone(ASIDE)


@dataclass(frozen=True)
class Copyist:
    """The projector's handler on the copy."""

    projector: Projector

    def apply(self, cursor: Cursor, records: Sequence[Record]) -> None:
        """As the projector takes them. Raises what it raises."""
        self.take(cursor, self.projector.decoded(records))

    def take(self, cursor: Cursor, events: Sequence[Delivered]) -> None:
        """The same for events, from wherever they come."""
        written = [*events, *self.projector.take(cursor, events)]
        cursor.postpone(PROOF, ([event.event_id for event in written],))


def behind(cursor: Cursor, after: UUID) -> list[Gap]:
    """A page of streams of which less stands in the copy than is shown, by stream from `after` on: the topics have them no more."""
    cursor.execute(BEHIND, (after, PAGE))
    return [Gap(stream_id, known, version + 1) for stream_id, known, version in cursor.fetchall()]


def lock(cursor: Cursor) -> None:
    """Nobody reads or writes the models until this transaction ends. Raises LockNotAvailable where somebody else does so for too long."""
    cursor.execute(f"LOCK TABLE {', '.join(f'public.{name}' for name in MODELS)} IN ACCESS EXCLUSIVE MODE")


def take_its_place(cursor: Cursor, firsts: Mapping[Place, int], by: str, why: str) -> None:
    """The copy is what is shown from this transaction's commit on, and the first is gone; after `lock`, where both stand at the same offsets."""
    begun = {
        "topic_ids": [place.topic_id for place in firsts],
        "partitions": [place.partition for place in firsts],
        "firsts": list(firsts.values()),
    }
    cursor.postpone(ENDED, {"by": by, "why": why, **begun})
    cursor.postpone(DISCARDED)
    for name in MODELS:
        cursor.postpone(f"DROP TABLE public.{name}; ALTER TABLE {SCHEMA}.{name} SET SCHEMA public")
    throw_away(cursor)
    cursor.postpone("SELECT pg_notify(%s, %s)", (CHANNEL, ANEW))
