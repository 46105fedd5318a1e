"""Endpoints of webhooks: to which addresses nothing goes, what is told once, and who may know a secret."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine
from standardwebhooks.webhooks import Webhook

from infra.database import transaction
from infra.errors import BadInput, Conflict, NotFound
from streams.notifications import endpoints, outgoing
from streams.notifications.sender import Sender
from tests.integration.conftest import Databases
from tests.integration.read_side import a_world, rows
from tests.integration.webhooks import (
    LOOPBACK,
    TIMEOUT_SECONDS,
    Receiver,
    a_message,
    nothing_waits,
    notify,
    operator,
    receiver,
    register,
    send,
    sender,
    the_message,
)

__all__ = ["nothing_waits", "operator", "receiver", "sender"]


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
        endpoint, _ = endpoints.register(cursor, f"https://rebind.example:{receiver.server.server_port}/", by="test")
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
        endpoint, _ = endpoints.register(cursor, url, allowed_hosts=LOOPBACK, by="test")
        cursor.execute(
            "UPDATE webhook_endpoints SET enabled_at = '2020-01-01' WHERE endpoint_id = %s", (endpoint.endpoint_id,)
        )
    notify(databases, a_world([]))
    send(sender)
    assert receiver.got == []
    assert "SSL" in str(rows(operator, "SELECT error FROM webhook_attempts LIMIT 1")[0][0])


# --- registration -------------------------------------------------------------------------------------------------------


def test_a_secret_is_shown_once_and_an_endpoint_is_registered_once(operator: Engine, receiver: Receiver) -> None:
    endpoint, secret = register(operator, receiver.url)
    assert secret.startswith("whsec_") and Webhook(secret)
    with transaction(operator) as cursor:
        assert [each.endpoint_id for each in endpoints.find(cursor)] == [endpoint.endpoint_id]
        assert secret not in str(endpoints.find(cursor))
        with pytest.raises(Conflict, match="registered already"):
            endpoints.register(cursor, receiver.url, allowed_hosts=LOOPBACK, by="test")
        with pytest.raises(BadInput, match="names none of"):
            endpoints.register(cursor, "https://example.com/", ("card.transactions",), by="test")


def test_enabled_again_it_is_told_of_what_comes_then(
    databases: Databases, operator: Engine, receiver: Receiver
) -> None:
    endpoint, _ = a_message(databases, operator, receiver.url)
    with transaction(operator) as cursor:
        endpoints.disable(cursor, endpoint.endpoint_id, "asked", by="test")
        enabled = endpoints.enable(cursor, endpoint.endpoint_id, by="test")
    assert enabled.state == "enabled"
    notify(databases, a_world([("request", 0, 5)]))  # recorded long before
    message = the_message(operator)
    assert (message.state, message.reason) == ("parked", "endpoint_asked")
    with transaction(operator) as cursor, pytest.raises(NotFound):
        endpoints.disable(cursor, uuid4(), "asked", by="test")


@pytest.mark.parametrize("how", ["registered", "enabled"])
def test_what_is_delivered_while_an_endpoint_is_being_made_is_told_once_it_is(
    databases: Databases, operator: Engine, receiver: Receiver, how: str
) -> None:
    """It was recorded after the moment from which the endpoint is told; the notifier does not see that moment before it is committed."""
    if how == "enabled":
        endpoint, _ = register(operator, receiver.url)
        with transaction(operator) as cursor:
            endpoints.disable(cursor, endpoint.endpoint_id, "asked", by="test")
    with ThreadPoolExecutor(1) as notifier:
        with transaction(operator) as cursor:
            if how == "enabled":
                endpoints.enable(cursor, endpoint.endpoint_id, by="test")
            else:
                endpoints.register(cursor, receiver.url, allowed_hosts=LOOPBACK, by="test")
            cursor.execute(
                "UPDATE webhook_endpoints SET enabled_at = '2020-01-01'"
            )  # this world's were recorded long ago
            told = notifier.submit(notify, databases, a_world([("request", 0, 5)]))
            with suppress(TimeoutError):
                told.result(1)
        told.result(10)
    assert rows(operator, "SELECT count(*) > 0 FROM webhook_messages") == [(True,)]


def test_what_is_parked_for_a_disabled_endpoint_is_not_replayed_into_nowhere(
    databases: Databases, operator: Engine, sender: Sender, receiver: Receiver
) -> None:
    """It would wait for ever, and be on nobody's list."""
    endpoint, _ = a_message(databases, operator, receiver.url)
    with transaction(operator) as cursor:
        endpoints.disable(cursor, endpoint.endpoint_id, "asked", by="test")
    message = the_message(operator)
    with transaction(operator) as cursor, pytest.raises(Conflict, match=r"is disabled \(asked\); enable it first"):
        outgoing.replay(cursor, message.message_id)
    assert the_message(operator) == message
    with transaction(operator) as cursor:
        endpoints.enable(cursor, endpoint.endpoint_id, by="test")
        outgoing.replay(cursor, message.message_id)
    assert send(sender)
    assert the_message(operator).state == "delivered"


def test_the_auditor_cannot_read_a_secret(databases: Databases, operator: Engine, receiver: Receiver) -> None:
    register(operator, receiver.url)
    auditor = databases.as_role("write", "auditor")
    assert rows(auditor, "SELECT url FROM webhook_endpoints") == [(receiver.url,)]
    with pytest.raises(Exception, match="permission denied"):
        rows(auditor, "SELECT secret FROM webhook_secrets")
