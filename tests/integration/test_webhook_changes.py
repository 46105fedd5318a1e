"""An endpoint's secret is rotated, it is moved, paused, removed: a real receiver checks each signature, and nothing that waited ends in silence."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from typer.testing import CliRunner, Result

from api.cli.webhook import webhook
from infra.database import transaction
from infra.errors import BadInput, Conflict
from streams.notifications import endpoints, outgoing
from streams.notifications.sender import Sender
from streams.notifications.signing import MOST_SECRETS
from tests.integration.conftest import Databases
from tests.integration.read_side import a_world, rows
from tests.integration.webhooks import (
    LOOPBACK,
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

__all__ = ["nothing_waits", "operator", "receiver", "sender"]


@pytest.fixture(autouse=True)
def told(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    url = databases.as_role("write", "operator").url.set(drivername="postgresql")
    monkeypatch.setenv("PAYRIVER_WRITE_URL", url.render_as_string(hide_password=False))
    monkeypatch.setattr("api.roots.root.configure_logging", lambda _: None)  # a process's own; the tests share theirs
    monkeypatch.setenv("PAYRIVER_WEBHOOK_ALLOWED_HOSTS", '["127.0.0.1"]')


def say(*words: object) -> Result:
    return CliRunner().invoke(webhook, [str(word) for word in words], env={"COLUMNS": "200"})


def shown(endpoint_id: object) -> dict[str, Any]:
    return json.loads(say("show", endpoint_id, "--json").stdout)  # type: ignore[no-any-return]


def checks(secret: str, receiver: Receiver, which: int) -> bool:
    """Whether a holder of this secret takes the receiver's n-th webhook for ours."""
    _, headers, body = receiver.got[which]
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True


def another(databases: Databases, sender: Sender) -> None:
    """One more webhook comes, and is sent."""
    notify(databases, a_world([("request", 0, 500)]))
    assert send(sender)


# --- secrets ------------------------------------------------------------------------------------------------------------


def test_both_secrets_sign_until_the_overlap_ends_and_then_the_new_one_alone(
    databases: Databases, operator: Engine, sender: Sender, receiver: Receiver
) -> None:
    endpoint, old = a_message(databases, operator, receiver.url)
    made = json.loads(say("rotate", endpoint.endpoint_id, "--overlap-hours", 2, "--by", "ana", "--json").stdout)
    new = made["secret"]
    assert new != old and made["endpoint_id"] == str(endpoint.endpoint_id)
    assert send(sender)
    assert checks(new, receiver, 0) and checks(old, receiver, 0)
    assert len(receiver.got[0][1]["webhook-signature"].split(" ")) == 2
    with transaction(databases.as_role("write", "owner")) as cursor:  # two hours later
        cursor.execute("UPDATE webhook_secrets SET signs_until = signs_until - interval '2 hours'")
    another(databases, sender)
    assert checks(new, receiver, 1) and not checks(old, receiver, 1)
    sender.erase()
    assert rows(operator, "SELECT secret FROM webhook_secrets ORDER BY number") == [(None,), (new,)]
    assert [(each["action"], each["done_by"]) for each in shown(endpoint.endpoint_id)["actions"]] == [
        ("registered", "test"),
        ("rotated", "ana"),
    ]


def test_a_secret_that_others_know_signs_no_more_at_once_and_is_not_kept(
    databases: Databases, operator: Engine, sender: Sender, receiver: Receiver
) -> None:
    endpoint, leaked = a_message(databases, operator, receiver.url)
    new = json.loads(say("rotate", endpoint.endpoint_id, "--overlap-hours", 0, "--reason", "leaked", "--json").stdout)[
        "secret"
    ]
    assert send(sender)
    assert checks(new, receiver, 0) and not checks(leaked, receiver, 0)
    assert rows(operator, "SELECT secret FROM webhook_secrets ORDER BY number") == [(None,), (new,)]
    told = (
        say("show", endpoint.endpoint_id).stdout
        + say("list", "--json").stdout
        + say("show", endpoint.endpoint_id, "--json").stdout
    )
    assert "leaked" in told and leaked not in told and new not in told


def test_a_message_that_is_tried_again_is_signed_by_what_signs_then(
    databases: Databases, operator: Engine, sender: Sender, receiver: Receiver
) -> None:
    endpoint, old = a_message(databases, operator, receiver.url)
    receiver.answers = [(500, {}, 0.0)]
    assert send(sender)
    with transaction(operator) as cursor:
        new = endpoints.rotate(cursor, endpoint.endpoint_id, 0, by="test")
    in_a_while(operator)
    assert send(sender)
    assert checks(old, receiver, 0) and not checks(new, receiver, 0)
    assert checks(new, receiver, 1) and not checks(old, receiver, 1)
    assert len(set(receiver.ids())) == 1 and the_message(operator).state == "delivered"


def test_so_many_secrets_sign_and_no_more_and_ending_them_all_is_always_free(
    operator: Engine, receiver: Receiver
) -> None:
    endpoint, _ = register(operator, receiver.url)
    with transaction(operator) as cursor:
        for _ in range(MOST_SECRETS - 1):
            endpoints.rotate(cursor, endpoint.endpoint_id, 24, by="test")
        with pytest.raises(Conflict, match=r"4 secrets of endpoint .* sign already, the first until"):
            endpoints.rotate(cursor, endpoint.endpoint_id, 24, by="test")
        for hours in (-1, float("nan"), float("inf"), 721):
            with pytest.raises(BadInput, match="say 0 to 720"):
                endpoints.rotate(cursor, endpoint.endpoint_id, hours, by="test")
        endpoints.rotate(cursor, endpoint.endpoint_id, 0, by="test")
    assert len(shown(endpoint.endpoint_id)["secrets"]) == 1


def test_two_who_rotate_at_once_make_two_secrets_of_which_one_is_the_newest(
    operator: Engine, receiver: Receiver
) -> None:
    endpoint, first = register(operator, receiver.url)

    def turn(_: int) -> str:
        with transaction(operator) as cursor:
            return endpoints.rotate(cursor, endpoint.endpoint_id, 1, by="test")

    with ThreadPoolExecutor(2) as two:
        made = set(two.map(turn, range(2)))
    found = rows(operator, "SELECT secret, signs_until IS NULL FROM webhook_secrets ORDER BY number")
    assert found[0] == (first, False) and {secret for secret, _ in found[1:]} == made
    assert [newest for _, newest in found] == [False, False, True]
    assert [number for (number,) in rows(operator, "SELECT number FROM webhook_actions ORDER BY number")] == [1, 2, 3]


# --- changes ------------------------------------------------------------------------------------------------------------


def test_what_waits_goes_to_the_new_address_under_its_old_id(
    databases: Databases, operator: Engine, sender: Sender, receiver: Receiver
) -> None:
    endpoint, secret = a_message(databases, operator, receiver.url.replace("/hook", "/old"))
    waiting = the_message(operator)
    assert say("change", endpoint.endpoint_id, "--url", receiver.url, "--by", "ana").exit_code == 0
    assert send(sender)
    assert [path for path, _, _ in receiver.got] == ["/hook"] and receiver.ids() == [str(waiting.message_id)]
    assert receiver.verified(secret)
    with transaction(operator) as cursor:
        again, _ = endpoints.register(cursor, receiver.url.replace("/hook", "/old"), by="test", allowed_hosts=LOOPBACK)
        assert again.endpoint_id != endpoint.endpoint_id, "that address is somebody else's now"
        with pytest.raises(Conflict, match="is registered already, as"):
            endpoints.change(cursor, again.endpoint_id, by="test", url=receiver.url, allowed_hosts=LOOPBACK)
        with pytest.raises(BadInput, match="only https"):
            endpoints.change(cursor, again.endpoint_id, by="test", url="http://example.com/")


def test_another_filter_holds_for_what_comes_from_then_on(
    databases: Databases, operator: Engine, receiver: Receiver
) -> None:
    endpoint, _ = register(operator, receiver.url, "card.dispute")
    notify(databases, a_world())
    assert rows(operator, "SELECT 1 FROM webhook_messages") == []
    assert say("change", endpoint.endpoint_id, "--type", "card.transaction.created").exit_code == 0
    notify(databases, a_world())
    assert rows(operator, "SELECT type FROM webhook_messages") == [("card.transaction.created",)]
    assert say("change", endpoint.endpoint_id, "--all-types").exit_code == 0
    assert say("change", endpoint.endpoint_id, "--all-types").exit_code == 0
    last = shown(endpoint.endpoint_id)["actions"]
    assert [each["action"] for each in last] == ["registered", "changed", "changed"], "the same again is no change"
    assert last[-1]["told"]["was"]["event_types"] == ["card.transaction.created"]
    assert isinstance(say("change", endpoint.endpoint_id).exception, BadInput)
    assert isinstance(say("change", endpoint.endpoint_id, "--type", "card.nothing").exception, BadInput)


def test_what_comes_in_a_pause_waits_and_is_sent_when_it_ends(
    databases: Databases, operator: Engine, sender: Sender, receiver: Receiver
) -> None:
    endpoint, secret = register(operator, receiver.url, "card.transaction.created")
    assert say("pause", endpoint.endpoint_id, "--hours", 3, "--reason", "they move house").exit_code == 0
    notify(databases, a_world())
    assert not send(sender) and "paused (they move house) until" in say("list").stdout
    assert say("enable", endpoint.endpoint_id).exit_code == 0
    assert send(sender) and len(receiver.verified(secret)) == 1
    with transaction(operator) as cursor:
        for hours in (0, -1, float("nan"), float("inf"), 721):
            with pytest.raises(BadInput):
                endpoints.pause(cursor, endpoint.endpoint_id, hours, "asked", by="test")
        endpoints.disable(cursor, endpoint.endpoint_id, "asked", by="test")
        with pytest.raises(Conflict, match="is disabled"):
            endpoints.pause(cursor, endpoint.endpoint_id, 1, "asked", by="test")


# --- removal ------------------------------------------------------------------------------------------------------------


def test_what_waits_for_a_removed_endpoint_ends_with_the_reason_and_no_secret_is_kept(
    databases: Databases, operator: Engine, sender: Sender, receiver: Receiver
) -> None:
    endpoint, _ = a_message(databases, operator, receiver.url)
    assert say("remove", endpoint.endpoint_id).exit_code == 2, "it wants a reason"
    done = say("remove", endpoint.endpoint_id, "--reason", "the shop closed", "--by", "ana")
    assert "1 webhooks that waited for it are discarded" in done.stdout
    message = the_message(operator)
    assert (message.state, message.reason) == ("discarded", "endpoint_removed: the shop closed")
    assert not send(sender) and receiver.got == []
    assert rows(operator, "SELECT secret FROM webhook_secrets") == [(None,)]
    assert say("remove", endpoint.endpoint_id, "--reason", "again").exit_code == 0
    [*_, last] = shown(endpoint.endpoint_id)["actions"]
    assert (last["action"], last["done_by"], last["reason"], last["told"]) == (
        "removed",
        "ana",
        "the shop closed",
        {"discarded": 1},
    )
    assert json.loads(say("list", "--json").stdout) == []
    assert [each["state"] for each in json.loads(say("list", "--all", "--json").stdout)] == ["removed"]
    notify(databases, a_world())
    assert the_message(operator) == message, "it is told no more"
    with transaction(operator) as cursor, pytest.raises(Conflict, match=r"was removed \(the shop closed\)"):
        outgoing.replay(cursor, message.message_id)
    for words in (("enable",), ("rotate",), ("pause",), ("change", "--all-types")):
        assert isinstance(say(words[0], endpoint.endpoint_id, *words[1:]).exception, Conflict)


def test_what_was_parked_for_a_removed_endpoint_ends_with_it(
    databases: Databases, operator: Engine, receiver: Receiver
) -> None:
    """It could never be replayed, and would wait for a person for ever."""
    endpoint, _ = a_message(databases, operator, receiver.url)
    with transaction(operator) as cursor:
        endpoints.disable(cursor, endpoint.endpoint_id, "asked", by="test")
        assert endpoints.remove(cursor, endpoint.endpoint_id, "never came back", by="test") == 1
    assert the_message(operator).state == "discarded"


@pytest.mark.parametrize(
    ("answer", "state"), [(204, "delivered"), (410, "discarded"), (500, "discarded"), (503, "discarded")]
)
def test_one_that_is_being_sent_while_its_endpoint_is_removed_is_told_as_it_ended(
    databases: Databases, operator: Engine, sender: Sender, receiver: Receiver, answer: int, state: str
) -> None:
    endpoint, _ = a_message(databases, operator, receiver.url)
    [claimed] = sender.claim()
    with transaction(operator) as cursor:
        endpoints.remove(cursor, endpoint.endpoint_id, "moved", by="test")
    receiver.answers = [(answer, {}, 0.0)]
    sender.send(claimed)
    assert the_message(operator).state == state and len(receiver.got) == 1
    assert rows(operator, "SELECT state, reason FROM webhook_endpoints") == [("removed", "moved")]


def test_an_address_that_is_registered_again_is_the_same_endpoint_with_a_new_secret_and_hears_nothing_of_before(
    databases: Databases, operator: Engine, sender: Sender, receiver: Receiver
) -> None:
    endpoint, old = a_message(databases, operator, receiver.url)
    with transaction(operator) as cursor:
        endpoints.remove(cursor, endpoint.endpoint_id, "by mistake", by="test")
    again, new = register(operator, receiver.url, "card.transaction.created")
    assert again.endpoint_id == endpoint.endpoint_id and new != old
    assert the_message(operator).state == "discarded" and not send(sender)
    another(databases, sender)
    assert checks(new, receiver, 0) and not checks(old, receiver, 0)
