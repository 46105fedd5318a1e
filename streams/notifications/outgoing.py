"""The rows of `webhook_messages` and their attempts: claimed, completed, parked, replayed. By W's clock alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from infra.database import Cursor
from infra.errors import Conflict, NotFound

IN_FLIGHT_PER_ENDPOINT = 4
"""So that an endpoint that hangs does not hold all senders."""

CLAIM = """
WITH due AS (
    SELECT m.message_id, e.url, ARRAY(
        SELECT s.secret FROM webhook_secrets AS s
        WHERE s.endpoint_id = e.endpoint_id AND (s.signs_until IS NULL OR s.signs_until > now()) ORDER BY s.number DESC
    ) AS secrets
    FROM webhook_endpoints AS e
    CROSS JOIN LATERAL (
        SELECT message_id, next_attempt_at FROM webhook_messages
        WHERE endpoint_id = e.endpoint_id AND state = 'waiting' AND next_attempt_at <= now()
            AND (claimed_until IS NULL OR claimed_until < now())
        ORDER BY next_attempt_at
        LIMIT greatest(0, %s - (
            SELECT count(*) FROM webhook_messages AS c
            WHERE c.endpoint_id = e.endpoint_id AND c.state = 'waiting' AND c.claimed_until > now()
        ))
        FOR UPDATE SKIP LOCKED
    ) AS m
    WHERE e.state = 'enabled' AND (e.paused_until IS NULL OR e.paused_until < now())
    ORDER BY m.next_attempt_at LIMIT %s
), claimed AS (
    UPDATE webhook_messages AS m
    SET attempts = m.attempts + 1, claimed_until = clock_timestamp() + %s * interval '1 second'
    FROM due WHERE m.message_id = due.message_id
    RETURNING m.message_id, m.endpoint_id, m.attempts, m.replayed_after, m.body, due.url, due.secrets
), begun AS (
    INSERT INTO webhook_attempts (message_id, attempt) SELECT message_id, attempts FROM claimed RETURNING message_id, started_at
)
SELECT claimed.*, begun.started_at FROM claimed INNER JOIN begun USING (message_id)
"""
COMPLETE = """
SET LOCAL synchronous_commit = off;
UPDATE webhook_attempts SET duration_ms = %s, status = %s, error = %s WHERE message_id = %s AND attempt = %s
"""
# `attempts`: a sender that was frozen past its claim meets a message that somebody else has tried since, and leaves it alone.
MINE = "WHERE message_id = %s AND attempts = %s"
DELIVERED = f"""
UPDATE webhook_messages SET state = 'delivered', reason = NULL, ended_at = clock_timestamp(), claimed_until = NULL
{MINE} AND state <> 'delivered'
"""
AGAIN = f"""
UPDATE webhook_messages SET next_attempt_at = clock_timestamp() + %s * interval '1 second', claimed_until = NULL
{MINE} AND state = 'waiting'
"""
PARK = f"""
UPDATE webhook_messages SET state = 'parked', reason = %s, ended_at = clock_timestamp(), claimed_until = NULL
{MINE} AND state = 'waiting'
"""
PAUSE = """
UPDATE webhook_endpoints SET paused_until = greatest(paused_until, clock_timestamp() + %s * interval '1 second') WHERE endpoint_id = %s
"""
# FOR SHARE: who disables the endpoint meanwhile waits, and then parks the message again.
ADDRESSEE = """
SELECT e.url, e.state, e.reason FROM webhook_messages AS m INNER JOIN webhook_endpoints AS e USING (endpoint_id)
WHERE m.message_id = %s FOR SHARE OF e
"""
REPLAY = """
UPDATE webhook_messages
SET state = 'waiting', reason = NULL, ended_at = NULL, replayed_after = attempts, next_attempt_at = clock_timestamp()
WHERE message_id = %s AND state = 'parked'
"""
COUNTS = "SELECT state, count(*) FROM webhook_messages WHERE endpoint_id = %s GROUP BY state ORDER BY state"
COLUMNS = (
    "message_id, endpoint_id, event_id, stream_id, type, state, attempts, next_attempt_at, reason, created_at, ended_at"
)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that is ours to send, until the claim runs out. `secrets`: that sign it, the newest first.

    `started_at`: of this attempt, by W's clock.
    """

    message_id: UUID
    endpoint_id: UUID
    attempt: int
    replayed_after: int
    body: str
    url: str
    secrets: list[str]
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """How an attempt ended: the endpoint's status, or why there is none. `retry_after`: what it asked for, seconds."""

    duration_ms: int
    status: int | None = None
    error: str | None = None
    reason: str = "delivered"
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class WebhookMessage:
    """A message as a person sees it."""

    message_id: UUID
    endpoint_id: UUID
    event_id: UUID
    stream_id: UUID
    type: str
    state: str
    attempts: int
    next_attempt_at: datetime
    reason: str | None
    created_at: datetime
    ended_at: datetime | None


def claim(cursor: Cursor, seconds: float, limit: int) -> list[Claimed]:
    """Take the messages that have been due longest, `limit` at most, for `seconds`."""
    cursor.execute(CLAIM, (IN_FLIGHT_PER_ENDPOINT, limit, seconds))
    return [Claimed(*row) for row in cursor.fetchall()]


def complete(cursor: Cursor, claimed: Claimed, answer: Answer) -> None:
    """Write down how the attempt ended. The transaction's commit waits for no disk: were it forgotten, the message is sent again."""
    values = answer.duration_ms, answer.status, answer.error, claimed.message_id, claimed.attempt
    cursor.postpone(COMPLETE, values)


def delivered(cursor: Cursor, claimed: Claimed) -> None:
    """The endpoint took it, also if it was disabled meanwhile."""
    cursor.postpone(DELIVERED, (claimed.message_id, claimed.attempt))


def again(cursor: Cursor, claimed: Claimed, seconds: float) -> None:
    """Try once more, after a pause."""
    cursor.postpone(AGAIN, (seconds, claimed.message_id, claimed.attempt))


def park(cursor: Cursor, claimed: Claimed, reason: str) -> None:
    """No more by itself: it waits for a person."""
    cursor.postpone(PARK, (reason, claimed.message_id, claimed.attempt))


def pause(cursor: Cursor, endpoint_id: UUID, seconds: float) -> None:
    """The endpoint is overloaded: nothing more for it for a while."""
    cursor.postpone(PAUSE, (seconds, endpoint_id))


def find(
    cursor: Cursor, *, state: str | None = "parked", stream_id: UUID | None = None, limit: int = 1000
) -> list[WebhookMessage]:
    """Messages in a state, or of a payment or account, oldest first."""
    cursor.execute(
        f"SELECT {COLUMNS} FROM webhook_messages WHERE state = coalesce(%s, state) AND stream_id = coalesce(%s, stream_id)"
        " ORDER BY created_at, message_id LIMIT %s",
        (state, stream_id, limit),
    )
    return [WebhookMessage(*row) for row in cursor.fetchall()]


def one(cursor: Cursor, message_id: UUID) -> WebhookMessage | None:
    """A message by its id, in whatever state."""
    cursor.execute(f"SELECT {COLUMNS} FROM webhook_messages WHERE message_id = %s", (message_id,))
    row = cursor.fetchone()
    return WebhookMessage(*row) if row else None


def counts(cursor: Cursor, endpoint_id: UUID) -> dict[str, int]:
    """How many messages of an endpoint are in each state."""
    cursor.execute(COUNTS, (endpoint_id,))
    return dict(cursor.fetchall())


def attempts(cursor: Cursor, message_id: UUID) -> list[dict[str, Any]]:
    """Every attempt of a message, in order: started_at, duration_ms, status, error."""
    cursor.execute(
        "SELECT attempt, started_at, duration_ms, status, error FROM webhook_attempts WHERE message_id = %s ORDER BY attempt",
        (message_id,),
    )
    return [
        dict(zip(("attempt", "started_at", "duration_ms", "status", "error"), row, strict=True))
        for row in cursor.fetchall()
    ]


def replay(cursor: Cursor, message_id: UUID) -> None:
    """Let a parked message be sent again, under its old id, with the whole schedule before it. Raises NotFound, Conflict."""
    cursor.execute(ADDRESSEE, (message_id,))
    row = cursor.fetchone()
    if row is None:
        raise NotFound(f"no webhook message {message_id}")
    url, state, reason = row
    if state == "removed":
        raise Conflict(
            f"{url}, to which webhook message {message_id} goes, was removed ({reason}): nothing goes there any more"
        )
    if state != "enabled":
        raise Conflict(
            f"{url}, to which webhook message {message_id} goes, is disabled ({reason}); enable it first: meanwhile the message stays parked"
        )
    cursor.execute(REPLAY, (message_id,))
    if cursor.rowcount != 1:
        raise Conflict(f"webhook message {message_id} is not parked; only a parked one is replayed")
