"""`payriver webhook` on a real database: an endpoint is registered, seen, disabled and enabled by a person, and told meanwhile."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner, Result

from api.cli.webhook import webhook
from infra.database import transaction
from infra.errors import BadInput, Conflict, NotFound
from streams.notifications.sender import Sender
from tests.integration.conftest import Databases
from tests.integration.read_side import a_world
from tests.integration.webhooks import Receiver, nothing_waits, notify, operator, receiver, send, sender

__all__ = ["nothing_waits", "operator", "receiver", "sender"]


@pytest.fixture(autouse=True)
def told(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    url = databases.as_role("write", "operator").url.set(drivername="postgresql")
    monkeypatch.setenv("PAYRIVER_WRITE_URL", url.render_as_string(hide_password=False))
    monkeypatch.setattr("api.roots.root.configure_logging", lambda _: None)  # a process's own; the tests share theirs
    monkeypatch.setenv("PAYRIVER_WEBHOOK_ALLOWED_HOSTS", '["127.0.0.1"]')


def say(*words: object) -> Result:
    return CliRunner().invoke(webhook, [str(word) for word in words], env={"COLUMNS": "200"})


def listed() -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = json.loads(say("list", "--json").stdout)
    return told


def test_an_endpoint_that_a_person_registered_is_told_and_can_check_it(
    databases: Databases, operator: Engine, sender: Sender, receiver: Receiver
) -> None:
    assert "nobody is told" in say("list").stdout
    made = json.loads(say("register", receiver.url, "--type", "card.transaction", "--json").stdout)
    with transaction(operator) as cursor:  # what the world here tells was recorded long ago
        cursor.execute("UPDATE webhook_endpoints SET enabled_at = '2020-01-01'")
    notify(databases, a_world([("request", 0, 5)]))
    send(sender)
    told = receiver.verified(made["secret"])
    assert told and all(each["type"].startswith("card.transaction.") for each in told)
    shown = say("list").stdout
    assert receiver.url in shown and made["endpoint_id"] in shown and made["secret"] not in shown


def test_it_is_disabled_with_its_reason_and_enabled_again(receiver: Receiver) -> None:
    endpoint_id = json.loads(say("register", receiver.url, "--json").stdout)["endpoint_id"]
    assert say("disable", endpoint_id, "--reason", "moves").exit_code == 0
    assert [(each["state"], each["reason"]) for each in listed()] == [("disabled", "moves")]
    assert "disabled: moves" in say("list").stdout
    assert say("enable", endpoint_id).exit_code == 0
    assert [(each["state"], each["reason"]) for each in listed()] == [("enabled", None)]


def test_what_cannot_be_an_endpoint_is_refused_by_name(receiver: Receiver) -> None:
    assert isinstance(say("register", "http://example.com/").exception, BadInput)
    assert isinstance(say("register", receiver.url, "--type", "card.transactions").exception, BadInput)
    assert say("register", receiver.url).exit_code == 0
    assert isinstance(say("register", receiver.url).exception, Conflict)
    assert isinstance(say("disable", uuid4()).exception, NotFound)
    assert isinstance(say("enable", uuid4()).exception, NotFound)
    assert len(listed()) == 1


def test_one_that_asked_us_to_wait_is_told_again_when_a_person_enables_it(
    databases: Databases, operator: Engine, sender: Sender, receiver: Receiver
) -> None:
    """And of all that it has waited for: it was never disabled."""
    endpoint_id = json.loads(say("register", receiver.url, "--type", "card.transaction.created", "--json").stdout)[
        "endpoint_id"
    ]
    with transaction(operator) as cursor:
        cursor.execute("UPDATE webhook_endpoints SET enabled_at = '2020-01-01'")
    receiver.answers = [(503, {"Retry-After": "3600"}, 0.0)]
    notify(databases, a_world([("request", 0, 5)]))
    assert send(sender) and "asked us to wait" in say("list").stdout
    assert say("enable", endpoint_id).exit_code == 0
    assert "asked us to wait" not in say("list").stdout
    notify(databases, a_world([("request", 0, 6)]))
    assert send(sender) and len(receiver.got) == 2
    with transaction(operator) as cursor:
        cursor.execute("SELECT enabled_at = '2020-01-01' FROM webhook_endpoints")
        assert cursor.fetchall() == [(True,)], "what was recorded meanwhile is told too"
