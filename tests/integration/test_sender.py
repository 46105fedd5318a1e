"""Webhooks over real HTTP to a real receiver that checks each signature: at least once, under one id, whatever dies in between."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine
from standardwebhooks.webhooks import Webhook

from infra.database import transaction
from infra.errors import BadInput, Conflict, NotFound
from infra.settings import Settings
from infra.stack import access
from streams.notifications import endpoints, outgoing
from streams.notifications.agent import Notifier
from streams.notifications.endpoints import Endpoint
from streams.notifications.schedule import DELAYS_SECONDS
from streams.notifications.sender import CLAIM_MARGIN_SECONDS, Sender, run
from tests.integration.conftest import Databases
from tests.integration.test_projector import a_world, records_of
from tests.worlds import World

LOOPBACK = frozenset({"127.0.0.1"})
TIMEOUT_SECONDS = 1.0
POINTS = [
    *[(point, 204) for point in ("after_claim", "after_send", "after_attempt", "before_commit", "after_conclusion")],
    ("after_pause", 429),
    ("before_commit", 410),
]
"""Where the sender dies, and what the endpoint had answered."""


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
        cursor.execute("TRUNCATE webhook_endpoints, webhook_messages, webhook_attempts")


@pytest.fixture(scope="module")
def operator(databases: Databases) -> Engine:
    return databases.as_role("write", "operator")


@pytest.fixture(scope="module")
def sender(databases: Databases) -> Sender:
    return Sender(databases.as_role("write", "sender"), TIMEOUT_SECONDS, LOOPBACK)


def register(operator: Engine, url: str, *event_types: str) -> tuple[Endpoint, str]:
    """An endpoint that is told of every world here: these were recorded long ago."""
    with transaction(operator) as cursor:
        endpoint, secret = endpoints.register(cursor, url, event_types, allowed_hosts=LOOPBACK)
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


def rows(operator: Engine, query: str, *values: Any) -> list[tuple[Any, ...]]:
    with transaction(operator) as cursor:
        cursor.execute(query, values)
        return cursor.fetchall()


def until(true: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.05)


# --- the way it should go -----------------------------------------------------------------------------------------------


def test_a_swipe_is_announced_signed_and_in_our_words(
    databases: Databases, operator: Engine, sender: Sender, receiver: Receiver
) -> None:
    _, secret = register(operator, receiver.url, "card.transaction")
    world = a_world()
    notify(databases, world)
    while send(sender):
        pass
    told = receiver.verified(secret)
    assert sorted(each["type"] for each in told) == [
        *("card.transaction.authorized", "card.transaction.confirmed", "card.transaction.created"),
    ]
    assert {each["data"]["stream_id"] for each in told} == {str(world.payments[0])}
    path, headers, body = receiver.got[0]
    assert (path, headers["content-type"], json.loads(body)["data"]["event"]) == (
        "/hook",
        "application/json",
        "PaymentRequested",
    )
    assert rows(operator, "SELECT DISTINCT state, attempts FROM webhook_messages") == [("delivered", 1)]


def test_delivered_again_from_the_beginning_nobody_is_told_twice(
    databases: Databases, operator: Engine, sender: Sender, receiver: Receiver
) -> None:
    register(operator, receiver.url)
    world = a_world()
    for _ in range(3):
        notify(databases, world)
        while send(sender):
            pass
    assert len(receiver.ids()) == len(set(receiver.ids())) > 3


def test_a_newcomer_is_not_told_what_came_before_it(databases: Databases, operator: Engine, receiver: Receiver) -> None:
    with transaction(operator) as cursor:
        endpoints.register(cursor, receiver.url, allowed_hosts=LOOPBACK)
    notify(databases, a_world())
    assert rows(operator, "SELECT count(*) FROM webhook_messages") == [(0,)]


def test_each_endpoint_is_told_what_it_asked_for(databases: Databases, operator: Engine, receiver: Receiver) -> None:
    one, _ = register(operator, receiver.url, "account.balance")
    two, _ = register(operator, receiver.url + "/two", "card.transaction.created", "account.registered")
    notify(databases, a_world())
    found = rows(operator, "SELECT endpoint_id, type, count(*)::int FROM webhook_messages GROUP BY 1, 2 ORDER BY 2")
    assert set(found) == {
        (one.endpoint_id, "account.balance.changed", 2),
        (two.endpoint_id, "account.registered", 2),
        (two.endpoint_id, "card.transaction.created", 1),
    }


# --- failures -----------------------------------------------------------------------------------------------------------


def test_a_failure_is_tried_again_on_the_schedule_under_the_same_id(
    databases: Databases, operator: Engine, sender: Sender, receiver: Receiver
) -> None:
    _, secret = a_message(databases, operator, receiver.url)
    receiver.answers[:] = [(500, {}, 0.0), (404, {}, 0.0)]
    assert send(sender) and not send(sender)
    waits = the_message(operator).next_attempt_at
    [(soon,)] = rows(operator, "SELECT %s - clock_timestamp()", waits)
    assert timedelta(seconds=3) < soon < timedelta(seconds=6)
    for _ in range(2):
        in_a_while(operator)
        assert send(sender)
    assert len(receiver.verified(secret)) == 3 and len(set(receiver.ids())) == 1
    assert the_message(operator).state == "delivered"
    assert tried(operator, the_message(operator).message_id) == [(500, "HTTP 500"), (404, "HTTP 404"), (204, None)]


def test_after_the_last_try_it_is_parked_and_a_person_may_replay_it(
    databases: Databases, operator: Engine, sender: Sender, receiver: Receiver
) -> None:
    a_message(databases, operator, receiver.url)
    tries = len(DELAYS_SECONDS) + 1
    receiver.answers[:] = [(500, {}, 0.0)] * (tries + 1)
    while send(sender):
        in_a_while(operator)
    message = the_message(operator)
    assert (message.state, message.reason, message.attempts) == ("parked", "http_500", tries)
    with transaction(operator) as cursor:
        outgoing.replay(cursor, message.message_id)
    assert send(sender) and the_message(operator).state == "waiting"  # the whole schedule is before it again
    in_a_while(operator)
    assert send(sender) and the_message(operator).state == "delivered"
    assert len(set(receiver.ids())) == 1
    with transaction(operator) as cursor, pytest.raises(Conflict, match="only a parked one"):
        outgoing.replay(cursor, message.message_id)
    with transaction(operator) as cursor, pytest.raises(NotFound):
        outgoing.replay(cursor, uuid4())


def test_a_redirect_is_a_failure_and_is_not_followed(
    databases: Databases, operator: Engine, sender: Sender, receiver: Receiver
) -> None:
    a_message(databases, operator, receiver.url)
    receiver.answers[:] = [(307, {"location": "/elsewhere"}, 0.0)]
    send(sender)
    assert [path for path, _, _ in receiver.got] == ["/hook"]
    assert tried(operator, the_message(operator).message_id) == [(307, "HTTP 307")]


def test_what_is_gone_is_disabled_and_all_that_waits_for_it_is_parked(
    databases: Databases, operator: Engine, sender: Sender, receiver: Receiver
) -> None:
    endpoint, _ = register(operator, receiver.url)
    notify(databases, a_world())
    receiver.answers[:] = [(410, {}, 0.0)]
    assert send(sender) and not send(sender)
    with transaction(operator) as cursor:
        known = endpoints.get(cursor, endpoint.endpoint_id)
    assert (known.state, known.reason) == ("disabled", "gone")
    assert rows(operator, "SELECT DISTINCT state, reason FROM webhook_messages") == [("parked", "endpoint_gone")]
    notify(databases, a_world())
    assert rows(operator, "SELECT DISTINCT state FROM webhook_messages") == [("parked",)]


def test_who_asks_for_a_pause_gets_it(
    databases: Databases, operator: Engine, sender: Sender, receiver: Receiver
) -> None:
    register(operator, receiver.url)
    notify(databases, a_world())
    receiver.answers[:] = [(429, {"retry-after": "60"}, 0.0)]
    assert send(sender) and not send(sender)
    in_a_while(operator, 50)
    assert not send(sender)
    in_a_while(operator, 20)
    assert send(sender) and len(receiver.got) == 2


def test_a_receiver_that_drips_or_hangs_is_given_up_in_time(
    databases: Databases, operator: Engine, sender: Sender
) -> None:
    dripping = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def drip() -> None:
        connection, _ = dripping.accept()
        connection.recv(65536)
        while not stop.wait(0.2):
            try:
                connection.send(b"HTTP/1.1 200 OK\r\nx-drip: "[:1])
            except OSError:
                return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    a_message(databases, operator, f"http://127.0.0.1:{dripping.getsockname()[1]}/")
    began = time.monotonic()
    send(sender)
    assert time.monotonic() - began < 3 * TIMEOUT_SECONDS
    [(status, error)] = tried(operator, the_message(operator).message_id)
    assert status is None and error is not None and "Timeout" in error
    stop.set()
    thread.join()
    dripping.close()


def test_nobody_at_the_address_is_a_failure_with_a_name(databases: Databases, operator: Engine, sender: Sender) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    a_message(databases, operator, url)
    send(sender)
    assert tried(operator, the_message(operator).message_id)[0][1].startswith("ConnectError")


@pytest.mark.parametrize("answer", [b"", b"not http at all\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 300_000])
def test_whatever_an_endpoint_answers_the_sender_goes_on(
    databases: Databases, operator: Engine, sender: Sender, answer: bytes
) -> None:
    strange = socket.create_server(("127.0.0.1", 0))

    def say() -> None:
        connection, _ = strange.accept()
        connection.recv(65536)
        connection.sendall(answer)
        connection.close()

    threading.Thread(target=say, daemon=True).start()
    a_message(databases, operator, f"http://127.0.0.1:{strange.getsockname()[1]}/")
    assert send(sender)
    assert the_message(operator).state == "waiting" and tried(operator, the_message(operator).message_id)[0][1]
    strange.close()


# --- where webhooks may not go ------------------------------------------------------------------------------------------


def test_an_inner_address_is_never_connected_to(databases: Databases, operator: Engine, receiver: Receiver) -> None:
    a_message(databases, operator, receiver.url)
    strict = Sender(databases.as_role("write", "sender"), TIMEOUT_SECONDS, frozenset())
    assert send(strict) and receiver.got == []
    message = the_message(operator)
    assert (message.state, message.reason) == ("parked", "address_refused")


def test_a_name_that_changes_its_mind_gains_nothing(
    databases: Databases, operator: Engine, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: public when checked, inner when connected to. The name is asked once, and its answer is what is connected to."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def rebinding(host: Any, port: Any, *rest: Any, **named: Any) -> Any:
        if host != "rebind.example":
            return real(host, port, *rest, **named)
        asked.append(host)
        return real("127.0.0.1" if len(asked) > 1 else "192.0.2.1", port, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with transaction(operator) as cursor:
        endpoint, _ = endpoints.register(cursor, f"https://rebind.example:{receiver.server.server_port}/")
        cursor.execute(
            "UPDATE webhook_endpoints SET enabled_at = '2020-01-01' WHERE endpoint_id = %s", (endpoint.endpoint_id,)
        )
    notify(databases, a_world([]))
    send(Sender(databases.as_role("write", "sender"), TIMEOUT_SECONDS, frozenset()))
    assert asked == ["rebind.example"] and receiver.got == []


def test_nothing_is_said_to_a_server_that_does_not_speak_tls_where_the_url_says_https(
    databases: Databases, operator: Engine, sender: Sender, receiver: Receiver
) -> None:
    with transaction(operator) as cursor:
        url = f"https://127.0.0.1:{receiver.server.server_port}/"
        endpoint, _ = endpoints.register(cursor, url, allowed_hosts=LOOPBACK)
        cursor.execute(
            "UPDATE webhook_endpoints SET enabled_at = '2020-01-01' WHERE endpoint_id = %s", (endpoint.endpoint_id,)
        )
    notify(databases, a_world([]))
    send(sender)
    assert receiver.got == []
    assert "SSL" in str(rows(operator, "SELECT error FROM webhook_attempts LIMIT 1")[0][0])


# --- several senders, and death between any two writes ------------------------------------------------------------------


def test_two_senders_share_the_work_and_nothing_goes_twice(
    databases: Databases, operator: Engine, receiver: Receiver
) -> None:
    _, secret = register(operator, receiver.url)
    for _ in range(12):
        notify(databases, a_world())
    settings = Settings(webhook_timeout_seconds=2, webhook_allowed_hosts=("127.0.0.1",))
    stop = threading.Event()
    threads = [
        threading.Thread(target=run, args=(settings, databases.as_role("write", "sender"), stop)) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    count = "SELECT count(*) FROM webhook_messages WHERE state <> 'delivered'"
    until(lambda: rows(operator, count) == [(0,)], "all delivered")
    stop.set()
    for thread in threads:
        thread.join()
    assert len(receiver.verified(secret)) == len(set(receiver.ids())) == 12 * 7


def test_an_endpoint_that_hangs_holds_up_only_itself(
    databases: Databases, operator: Engine, receiver: Receiver
) -> None:
    hanging = socket.create_server(("127.0.0.1", 0), backlog=64)
    register(operator, f"http://127.0.0.1:{hanging.getsockname()[1]}/")
    register(operator, receiver.url)
    for _ in range(3):
        notify(databases, a_world())
    settings = Settings(webhook_timeout_seconds=10, webhook_allowed_hosts=("127.0.0.1",))
    stop = threading.Event()
    thread = threading.Thread(target=run, args=(settings, databases.as_role("write", "sender"), stop))
    thread.start()
    until(lambda: len(set(receiver.ids())) == 3 * 7, "the other endpoint's messages", seconds=8)
    stop.set()
    hanging.close()
    thread.join()


def test_a_sender_frozen_past_its_claim_changes_nothing_when_it_wakes(
    databases: Databases, operator: Engine, sender: Sender, receiver: Receiver
) -> None:
    a_message(databases, operator, receiver.url)
    (frozen,) = sender.claim()
    in_a_while(operator)
    assert send(sender)  # another one, meanwhile
    receiver.answers[:] = [(500, {}, 0.0)]
    sender.send(frozen)
    assert the_message(operator).state == "delivered"
    assert len(set(receiver.ids())) == 1 and len(receiver.got) == 2


def environment(databases: Databases, failpoint: str) -> dict[str, str]:
    told = access.settings_for(databases.stack.home, "sender")
    return {**os.environ, **told, "PAYRIVER_FAILPOINT": failpoint, "PAYRIVER_WEBHOOK_ALLOWED_HOSTS": '["127.0.0.1"]'}


@pytest.mark.parametrize(("point", "status"), POINTS)
def test_a_sender_that_dies_anywhere_leaves_a_message_that_arrives(
    databases: Databases, operator: Engine, sender: Sender, receiver: Receiver, point: str, status: int
) -> None:
    _, secret = a_message(databases, operator, receiver.url)
    receiver.answers[:] = [(status, {}, 0.0)]
    command = [sys.executable, "-m", "api.cli.main", "work", "sender"]
    died = subprocess.run(command, env=environment(databases, f"sender.{point}"), timeout=60, check=False)
    assert died.returncode == -signal.SIGKILL
    [(claimed_for,)] = rows(operator, "SELECT claimed_until - clock_timestamp() FROM webhook_messages") or [(None,)]
    assert claimed_for is None or claimed_for < timedelta(seconds=15 + CLAIM_MARGIN_SECONDS)
    in_a_while(operator)
    while send(sender):
        pass
    assert the_message(operator).state == "delivered"
    assert receiver.verified(secret) and len(set(receiver.ids())) == 1
    assert len(receiver.got) <= 2


# --- registration -------------------------------------------------------------------------------------------------------


def test_a_secret_is_shown_once_and_an_endpoint_is_registered_once(operator: Engine, receiver: Receiver) -> None:
    endpoint, secret = register(operator, receiver.url)
    assert secret.startswith("whsec_") and Webhook(secret)
    with transaction(operator) as cursor:
        assert [each.endpoint_id for each in endpoints.find(cursor)] == [endpoint.endpoint_id]
        assert secret not in str(endpoints.find(cursor))
        with pytest.raises(Conflict, match="registered already"):
            endpoints.register(cursor, receiver.url, allowed_hosts=LOOPBACK)
        with pytest.raises(BadInput, match="names none of"):
            endpoints.register(cursor, "https://example.com/", ("card.transactions",))


def test_enabled_again_it_is_told_of_what_comes_then(
    databases: Databases, operator: Engine, receiver: Receiver
) -> None:
    endpoint, _ = a_message(databases, operator, receiver.url)
    with transaction(operator) as cursor:
        endpoints.disable(cursor, endpoint.endpoint_id, "asked")
        enabled = endpoints.enable(cursor, endpoint.endpoint_id)
    assert enabled.state == "enabled"
    notify(databases, a_world([("request", 0, 5)]))  # recorded long before
    message = the_message(operator)
    assert (message.state, message.reason) == ("parked", "endpoint_asked")
    with transaction(operator) as cursor, pytest.raises(NotFound):
        endpoints.disable(cursor, uuid4(), "asked")


def test_the_auditor_cannot_read_a_secret(databases: Databases, operator: Engine, receiver: Receiver) -> None:
    register(operator, receiver.url)
    auditor = databases.as_role("write", "auditor")
    assert rows(auditor, "SELECT url FROM webhook_endpoints") == [(receiver.url,)]
    with pytest.raises(Exception, match="permission denied"):
        rows(auditor, "SELECT secret FROM webhook_endpoints")
