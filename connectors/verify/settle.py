"""Waits, for a bounded time, until a river in motion has come to rest: all delivered, all taken up, all carried out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Engine

from infra.database import Cursor, transaction
from schemas.topics import SUBSCRIPTIONS

PAUSE_SECONDS = 0.1
STORED = "SELECT count(*) FROM events"
LOGGED = "SELECT coalesce(max(leaf_index) + 1, 0) FROM audit_leaves"
FINAL = "SELECT coalesce(max(final_number), 9223372036854775807) FROM chain_cursors"
ON_WRITE = {
    "sagas behind their payment": """
        SELECT count(*) FROM streams AS s LEFT JOIN sagas AS g ON g.saga_id = s.stream_id
        WHERE s.category = 'payment' AND g.handled IS DISTINCT FROM s.version
    """,
    "commands not carried out": """
        SELECT count(*) FROM outbox AS o WHERE o.topic IN ('payments.commands', 'accounts.commands')
        AND NOT EXISTS (SELECT 1 FROM command_answers AS a WHERE a.command_id = o.id)
        AND NOT EXISTS (SELECT 1 FROM parked_messages AS p WHERE coalesce(p.headers ->> 'ce_id', p.headers ->> 'id') = o.ce_id)
    """,
    "legs the submitter has not met": """
        SELECT count(*) FROM outbox AS o WHERE o.topic = 'chain.commands'
        AND NOT EXISTS (SELECT 1 FROM chain_intents AS i WHERE i.payment_id::text = o.key
                        AND CASE i.kind WHEN 'spend' THEN 'SubmitSpend' WHEN 'refund' THEN 'SubmitRefund'
                            ELSE 'InvalidateSpend' END = o.type)
        AND NOT EXISTS (SELECT 1 FROM parked_messages AS p WHERE coalesce(p.headers ->> 'ce_id', p.headers ->> 'id') = o.ce_id)
    """,
    "transactions whose end is not written down": """
        SELECT count(*) FROM chain_transactions AS t INNER JOIN chain_intents AS i USING (leg_id)
        INNER JOIN chain_cursors AS c ON c.chain_id = t.chain_id
        WHERE (t.state IN ('mined', 'reverted') AND t.block_number <= c.final_number)
           OR (t.state = 'broadcast' AND i.state = 'final' AND NOT EXISTS (
                   SELECT 1 FROM chain_transactions AS o WHERE o.leg_id = t.leg_id AND o.state IN ('mined', 'final')))
    """,
    "anchors whose end is not written down": """
        SELECT count(*) FROM audit_transactions AS t INNER JOIN chain_cursors AS c ON c.chain_id = t.chain_id
        WHERE t.state = 'mined' AND t.block_number <= c.final_number
    """,
    "timeouts past due": """
        SELECT count(*) FROM saga_timeouts WHERE state = 'waiting' AND due_at < clock_timestamp()
    """,
}
ON_READ = {
    "events delivered": "SELECT count(*) FROM deliveries WHERE topic IS NOT NULL",
    "streams known": "SELECT coalesce(sum(version), 0)::bigint FROM stream_versions",
    "leaves witnessed": "SELECT coalesce(max(leaf_index) + 1, 0) FROM audit_witness",
    "final block": "SELECT coalesce(max(block_number), 0) FROM balances",
}
NEWEST = """SELECT topic, partition, max("offset") FROM deliveries WHERE topic IS NOT NULL GROUP BY topic, partition"""
STANDING = "SELECT consumer, topic, partition, max(next_offset) FROM checkpoints WHERE topic = ANY(%s) GROUP BY 1, 2, 3"
READERS = tuple((each.component, topic) for each in SUBSCRIPTIONS for topic in each.topics)


@dataclass(frozen=True)
class Motion:
    """What still moves: words and how many. Empty: the river rests."""

    waits: Mapping[str, int]

    @property
    def at_rest(self) -> bool:
        """Nothing moves."""
        return not self.waits

    def __str__(self) -> str:
        return ", ".join(f"{count} {what}" for what, count in self.waits.items()) or "at rest"


def settle(write: Engine, read: Engine, timeout: float = 30.0) -> Motion:
    """Wait until nothing moves, or until the time is over; gives what moves then. Legs may still wait for their block or finality."""
    until = time.monotonic() + timeout
    while True:
        moving = motion(write, read)
        if moving.at_rest or time.monotonic() > until:
            return moving
        time.sleep(PAUSE_SECONDS)


def motion(write: Engine, read: Engine) -> Motion:
    """What moves now."""
    with transaction(read) as cursor:
        told = {name: _count(cursor, query) for name, query in ON_READ.items()}
        cursor.execute(NEWEST)
        newest = {(topic, partition): offset for topic, partition, offset in cursor.fetchall()}
        standing = _standing(cursor)
    with transaction(write) as cursor:
        waits = {name: _count(cursor, query) for name, query in ON_WRITE.items()}
        stored, logged, final = (_count(cursor, query) for query in (STORED, LOGGED, FINAL))
        standing |= _standing(cursor)
    behind = [key for key, next_offset in standing.items() if next_offset <= newest.get(key[1:], -1)]
    waits |= {
        "events not delivered": stored - told["events delivered"],
        "events not projected": stored - told["streams known"],
        "partitions that a consumer has not read": len(behind),
        # after a restore of W, which R does not share:
        "events that the audit log has not taken again": max(0, told["leaves witnessed"] - logged),
        "blocks that the listener has not read again": max(0, told["final block"] - final),
    }
    return Motion({name: count for name, count in waits.items() if count})


def _count(cursor: Cursor, query: str) -> int:
    cursor.execute(query)
    ((count,),) = cursor.fetchall()
    return int(count)


def _standing(cursor: Cursor) -> dict[tuple[str, str, int], int]:
    cursor.execute(STANDING, ([topic for _, topic in READERS],))
    return {
        (consumer, topic, partition): offset
        for consumer, topic, partition, offset in cursor.fetchall()
        if (consumer, topic) in READERS
    }
