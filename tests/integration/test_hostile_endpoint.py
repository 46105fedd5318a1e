"""An endpoint that asks for more patience than there is: it waits for a day at most, and everybody else is served."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from infra.database import transaction
from streams.notifications import endpoints
from streams.notifications.outgoing import Answer, Claimed
from streams.notifications.schedule import retry_after_seconds
from streams.notifications.sender import Sender
from tests.integration.conftest import Databases

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ASKED = ["9" * 12, "9" * 16, "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"]
WAITING = """
INSERT INTO webhook_messages (message_id, endpoint_id, event_id, stream_id, type, body, state, attempts)
VALUES (%s, %s, gen_random_uuid(), gen_random_uuid(), 'card.transaction.created', '{}', 'waiting', 1)
"""
PAUSED = "SELECT paused_until < now() + interval '25 hours' FROM webhook_endpoints WHERE endpoint_id = %s"
DUE = "SELECT state, next_attempt_at < now() + interval '25 hours' FROM webhook_messages WHERE message_id = %s"


@pytest.fixture
def claimed(databases: Databases) -> Iterator[Claimed]:
    """A message to an endpoint of its own, which we have tried once."""
    url, message_id = f"https://example.com/{uuid4().hex}", uuid4()
    with transaction(databases.as_role("write", "owner")) as cursor:
        endpoint, secret = endpoints.register(cursor, url, by="test")
        cursor.execute(WAITING, (message_id, endpoint.endpoint_id))
    yield Claimed(message_id, endpoint.endpoint_id, 1, 0, "{}", url, [secret], NOW)
    with transaction(databases.as_role("write", "owner")) as cursor:
        cursor.execute("DELETE FROM webhook_messages WHERE message_id = %s", (message_id,))
        for table in ("webhook_secrets", "webhook_actions", "webhook_endpoints"):
            cursor.execute(f"DELETE FROM {table} WHERE endpoint_id = %s", (endpoint.endpoint_id,))


@pytest.mark.parametrize("header", ASKED, ids=["30 000 years", "beyond W's clock", "infinity", "the last day"])
def test_nobody_is_paused_for_longer_than_a_day_however_long_it_asks_for(
    databases: Databases, claimed: Claimed, header: str
) -> None:
    """What W cannot add to its clock would end the sender, and again with each claim of this message."""
    sender = Sender(databases.as_role("write", "sender"), 1.0, frozenset())
    answer = Answer(1, 503, "HTTP 503", "http_503", retry_after_seconds(header, NOW))
    with transaction(sender.engine) as cursor:
        sender._conclude(cursor, claimed, answer)
    with transaction(databases.as_role("write", "owner")) as cursor:
        cursor.execute(PAUSED, (claimed.endpoint_id,))
        assert cursor.fetchall() == [(True,)]
        cursor.execute(DUE, (claimed.message_id,))
        assert cursor.fetchall() == [("waiting", True)]


def test_what_is_asked_for_within_a_day_counts() -> None:
    assert retry_after_seconds("120", NOW) == 120
    assert retry_after_seconds((NOW + timedelta(hours=1)).strftime("%a, %d %b %Y %H:%M:%S GMT"), NOW) == 3600
