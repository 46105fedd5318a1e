"""An endpoint that answers as it is told, and what waits for it: what the tests of webhooks stand on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine
from standardwebhooks.webhooks import Webhook

from infra.database import transaction
from streams.notifications import endpoints, outgoing
from streams.notifications.agent import Notifier
from streams.notifications.endpoints import Endpoint
from streams.notifications.sender import Sender
from tests.integration.conftest import Databases
from tests.integration.read_side import a_world, records_of
from tests.worlds import World

LOOPBACK = frozenset({"127.0.0.1"})
TIMEOUT_SECONDS = 1.0


@dataclass
class Receiver:
    """An endpoint's server: answers as it is told, and keeps what it got. An answer is (status, headers, seconds to wait)."""

    server: ThreadingHTTPServer
    answers: list[tuple[int, dict[str, str], float]] = field(default_factory=list)
    got: list[tuple[str, dict[str, str], str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/hook"

    def ids(self) -> list[str]:
        return [headers["webhook-id"] for _, headers, _ in self.got]

    def verified(self, secret: str) -> list[dict[str, Any]]:
        """Every body whose signature holds; raises where one does not."""
        return [Webhook(secret).verify(body, headers) for _, headers, body in self.got]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            got = {name.lower(): value for name, value in self.headers.items()}
            made.got.append((self.path, got, body))
            status, headers, wait = made.answers.pop(0) if made.answers else (204, {}, 0.0)
            time.sleep(wait)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    made = Receiver(ThreadingHTTPServer(("127.0.0.1", 0), Hook))
    threading.Thread(target=made.server.serve_forever, args=(0.01,), daemon=True).start()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(autouse=True)
def nothing_waits(databases: Databases) -> None:
    with databases.stack.postgres("write").superuser() as cursor:
        cursor.execute(
            "TRUNCATE webhook_endpoints, webhook_secrets, webhook_actions, webhook_messages, webhook_attempts"
        )


@pytest.fixture(scope="module")
def operator(databases: Databases) -> Engine:
    return databases.as_role("write", "operator")


@pytest.fixture(scope="module")
def sender(databases: Databases) -> Sender:
    return Sender(databases.as_role("write", "sender"), TIMEOUT_SECONDS, LOOPBACK)


def register(operator: Engine, url: str, *event_types: str) -> tuple[Endpoint, str]:
    """An endpoint that is told of every world here: these were recorded long ago."""
    with transaction(operator) as cursor:
        endpoint, secret = endpoints.register(cursor, url, event_types, allowed_hosts=LOOPBACK, by="test")
        cursor.execute(
            "UPDATE webhook_endpoints SET enabled_at = '2020-01-01' WHERE endpoint_id = %s", (endpoint.endpoint_id,)
        )
    return endpoint, secret


def notify(databases: Databases, world: World) -> None:
    with transaction(databases.as_role("write", "notifications")) as cursor:
        Notifier(databases.codec).apply(cursor, records_of(databases, world.events))


def a_message(databases: Databases, operator: Engine, url: str) -> tuple[Endpoint, str]:
    """One message waits for a new endpoint."""
    endpoint, secret = register(operator, url, "card.transaction.created")
    notify(databases, a_world([("request", 0, 500)]))
    return endpoint, secret


def send(sender: Sender) -> bool:
    claimed = sender.claim()
    for each in claimed:
        sender.send(each)
    return bool(claimed)


def in_a_while(operator: Engine, seconds: float = 10**6) -> None:
    """Time passes for all that waits: a retry, a claim, a pause."""
    with transaction(operator) as cursor:
        cursor.execute(
            "UPDATE webhook_messages SET next_attempt_at = next_attempt_at - %(s)s * interval '1 second',"
            " claimed_until = claimed_until - %(s)s * interval '1 second'",
            {"s": seconds},
        )
        cursor.execute(
            "UPDATE webhook_endpoints SET paused_until = paused_until - %s * interval '1 second'", (seconds,)
        )


def the_message(operator: Engine) -> outgoing.WebhookMessage:
    with transaction(operator) as cursor:
        [message] = outgoing.find(cursor, state=None)
    return message


def tried(operator: Engine, message_id: UUID) -> list[tuple[Any, ...]]:
    with transaction(operator) as cursor:
        return [(each["status"], each["error"]) for each in outgoing.attempts(cursor, message_id)]
