"""Webhooks over real HTTP to a real receiver that checks each signature: at least once, under one id, whatever the endpoint answers."""

from __future__ import annotations

import json
import socket
import threading
import time
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from infra.database import transaction
from infra.errors import Conflict, NotFound
from streams.notifications import endpoints, outgoing
from streams.notifications.schedule import DELAYS_SECONDS
from streams.notifications.sender import Sender
from tests.integration.conftest import Databases
from tests.integration.read_side import a_world, rows
from tests.integration.webhooks import (
    LOOPBACK,
    TIMEOUT_SECONDS,
    Receiver,
    a_message,
    in_a_while,
    nothing_waits,
    notify,
    operator,
    receiver,
    register,
    send,
    sender,
    the_message,
    tried,
)

__all__ = ["nothing_waits", "operator", "receiver", "sender"]


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
        endpoints.register(cursor, receiver.url, allowed_hosts=LOOPBACK, by="test")
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
