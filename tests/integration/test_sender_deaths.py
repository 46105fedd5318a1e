"""Several senders, one that sleeps, and one that dies between any two writes: each message arrives, under one id."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from infra.settings import Settings
from infra.stack import access
from streams.notifications.sender import CLAIM_MARGIN_SECONDS, Sender, run
from tests.integration.conftest import Databases
from tests.integration.read_side import a_world, rows
from tests.integration.webhooks import (
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
)
from tests.waiting import until

__all__ = ["nothing_waits", "operator", "receiver", "sender"]


POINTS = [
    *[(point, 204) for point in ("after_claim", "after_send", "after_attempt", "before_commit", "after_conclusion")],
    ("after_pause", 429),
    ("before_commit", 410),
]
"""Where the sender dies, and what the endpoint had answered."""


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
