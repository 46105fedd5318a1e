"""What a person does about what waits, through the command line, on real databases: list, show, replay, discard."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from api.cli.parked import parked
from schemas.codec import Codec
from schemas.definition import Raw
from schemas.messages.account_commands import FreezeCard
from schemas.messages.chain_commands import SubmitSpend
from schemas.messages.payment_events import PaymentReversed
from streams.runtime import checkpoint
from streams.runtime.consumer import Handler, process
from streams.runtime.records import Place, Record, Run
from tests.integration.conftest import Databases


class Refusing:
    """A handler that takes nothing: what comes to it is parked."""

    def apply(self, cursor: Any, records: Any) -> None:
        raise ValueError("not today")


class Desk:
    """The operator's desk, and the river beside it that brings what waits."""

    def __init__(self, databases: Databases) -> None:
        self.databases = databases
        self.codec: Codec = databases.codec
        self.offsets: dict[str, int] = {}

    def say(self, *words: object) -> Result:
        return CliRunner().invoke(parked, [str(word) for word in words])

    def told(self, *words: object) -> Any:
        result = self.say(*words, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def arrive(
        self,
        consumer: str,
        topic: str,
        key: uuid.UUID,
        value: bytes,
        *,
        server: str = "write",
        handler: Handler | None = None,
    ) -> None:
        """The consumer meets a message of this key and cannot take it."""
        place = Place("cluster", f"id-{consumer}", topic, 0)
        database = self.databases.as_role(server, consumer)
        with self.databases.stack.postgres(server).superuser() as cursor:
            checkpoint.provision(cursor, consumer, [place])
        offset = self.offsets.get(consumer, 0)
        headers = {"ce_id": str(uuid.uuid4()), "correlation_id": str(uuid.uuid4()), "stream_version": "1"}
        record = Record(topic, 0, offset, str(key).encode(), value, headers, 1_700_000_000_000)
        assert process(database, consumer, handler or Refusing(), Run(place, offset, offset + 1, (record,)))
        self.offsets[consumer] = offset + 1
        database.dispose()

    def one(self, sql: str, *values: object) -> Any:
        with self.databases.stack.postgres("write").superuser() as cursor:
            cursor.execute(sql, values)
            row = cursor.fetchone()
        return row and row[0]


@pytest.fixture
def desk(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    for name in ("WRITE", "READ"):
        url = databases.as_role(name.lower(), "operator").url.set(drivername="postgresql")
        monkeypatch.setenv(f"PAYRIVER_{name}_URL", url.render_as_string(hide_password=False))
    monkeypatch.setattr("api.roots.root.configure_logging", lambda _: None)  # a process's own; the tests share theirs
    let_nothing_wait(databases)
    yield Desk(databases)
    let_nothing_wait(databases)


def let_nothing_wait(databases: Databases) -> None:
    """Whatever other tests left, and whatever is left to them."""
    for server in ("write", "read"):
        with databases.stack.postgres(server).superuser() as cursor:
            cursor.execute("DELETE FROM parked_messages; DELETE FROM checkpoints")
    with databases.stack.postgres("write").superuser() as cursor:
        cursor.execute("DELETE FROM sagas; DELETE FROM saga_steps; DELETE FROM webhook_attempts")
        cursor.execute("DELETE FROM webhook_messages; DELETE FROM webhook_secrets; DELETE FROM webhook_actions")
        cursor.execute("DELETE FROM webhook_endpoints")


def test_nothing_waits(desk: Desk) -> None:
    assert desk.told("list") == {"messages": [], "sagas": [], "webhooks": [], "more": []}
    assert "nothing waits" in desk.say("list").stdout


def test_messages_of_both_servers_are_listed_with_their_reasons_and_those_behind_them(desk: Desk) -> None:
    payment = uuid.uuid4()
    desk.arrive("projections", "payments.events", payment, b"broken", server="read")
    desk.arrive("projections", "payments.events", payment, desk.codec.encode(reversal(payment)), server="read")
    desk.arrive("commands", "accounts.commands", uuid.uuid4(), b"\0\0\0\0\1x")

    found = desk.told("list")["messages"]
    assert {(m["consumer"], m["state"], m["reason"]) for m in found} == {
        ("projections", "parked", "failed"),
        ("projections", "queued", None),
        ("commands", "parked", "failed"),
    }
    shown = desk.told("show", next(m["id"] for m in found if m["state"] == "parked" and m["consumer"] == "projections"))
    assert (shown["behind"], shown["content"]["hex"], shown["key"]) == (1, b"broken".hex(), str(payment))
    waiting = desk.told("show", next(m["id"] for m in found if m["state"] == "queued"))
    assert waiting["content"]["type"] == "PaymentReversed"


def test_of_what_is_not_shown_it_is_said_that_there_is_more(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.cli.parked.MOST_SHOWN", 2)
    for place in range(3):
        assert desk.told("list")["more"] == []
        desk.arrive("commands", "accounts.commands", uuid.uuid4(), str(place).encode())
    told = desk.told("list")
    assert (len(told["messages"]), told["more"]) == (2, ["messages"])
    assert "there are more messages than the 2 shown" in " ".join(desk.say("list").stdout.split())


def test_a_replay_goes_through_the_consumer_s_own_handler_and_stops_where_it_still_fails(desk: Desk) -> None:
    payment = uuid.uuid4()
    desk.arrive("projections", "payments.events", payment, b"broken", server="read")
    parked_id = desk.told("list")["messages"][0]["id"]

    result = desk.say("replay", parked_id, "--by", "ann")
    assert result.exit_code == 1
    assert "0 messages were taken" in result.stdout
    assert desk.told("show", parked_id)["reason"] == "undecodable"


def test_a_discard_is_kept_with_its_reason_and_those_behind_go_on_by_a_replay(desk: Desk) -> None:
    account = uuid.uuid4()
    freeze = desk.codec.encode(FreezeCard(account_id=account, reason="lost"))
    desk.arrive("commands", "accounts.commands", account, b"broken")
    desk.arrive("commands", "accounts.commands", account, freeze)
    first, second = (m["id"] for m in desk.told("list")["messages"])

    assert desk.say("discard", first, "--reason", " ").exit_code != 0
    discarded = desk.say("discard", first, "--reason", "a test of ours", "--by", "ann")
    assert discarded.exit_code == 0, discarded.output
    assert f"payriver parked replay {second}" in " ".join(discarded.stdout.split())
    ended = next(m for m in desk.told("list", "--all")["messages"] if m["id"] == first)
    assert (ended["state"], ended["ended_by"], ended["end_reason"]) == ("discarded", "ann", "a test of ours")

    assert "1 messages were taken" in desk.say("replay", second, "--by", "ann").stdout
    assert (
        desk.one("SELECT type FROM command_answers WHERE business ->> 'account_id' = %s", str(account)) == "FreezeCard"
    )
    assert desk.told("list")["messages"] == []


def test_an_order_to_the_submitter_is_replayed_without_its_keys(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, leg = uuid.uuid4(), uuid.uuid4()
    monkeypatch.setenv("PAYRIVER_KEYSTORE", str(keystore(tmp_path)))
    monkeypatch.setenv("PAYRIVER_CHAIN_FILE", str(chain_file(tmp_path)))
    order = SubmitSpend(payment_id=uuid.uuid4(), leg_id=leg, account_id=account, amount_raw=Raw(5))
    desk.arrive("submitter", "chain.commands", order.payment_id, desk.codec.encode(order))
    parked_id = desk.told("list")["messages"][0]["id"]

    assert desk.say("replay", parked_id).exit_code == 1
    assert "not under watch" in desk.told("show", parked_id)["error"]
    with desk.databases.stack.postgres("write").superuser() as cursor:
        cursor.execute(
            "INSERT INTO chain_wallets (account_id, chain_id, kind, wallet, token, roles_module, delay_module, opening_block)"
            " VALUES (%s, 100, 'customer', %s, %s, %s, %s, 1)",
            (str(account), address(1), address(2), address(3), address(4)),
        )
    assert desk.say("replay", parked_id).exit_code == 0
    assert desk.one("SELECT signer FROM chain_intents WHERE leg_id = %s", str(leg)) == address(7)


def test_a_saga_that_is_stuck_says_where_and_what_would_take_it_on(desk: Desk) -> None:
    saga = uuid.uuid4()
    with desk.databases.stack.postgres("write").superuser() as cursor:
        cursor.execute(
            "INSERT INTO sagas (saga_id, type, state, handled, data, reason)"
            " VALUES (%s, 'authorization', 'parked', 5, '{}', 'not_final_in_time')",
            (str(saga),),
        )
        cursor.execute(
            "INSERT INTO saga_steps (saga_id, step, input, from_state, to_state, commands, driver)"
            " VALUES (%s, 1, 'patience', 'settling', 'parked', '[]', 'timeout')",
            (str(saga),),
        )
    (found,) = desk.told("list")["sagas"]
    assert (found["id"], found["stuck_in"], found["reason"]) == (str(saga), "settling", "not_final_in_time")
    assert "LegSettled" in desk.told("show", saga)["goes_on_with"]
    assert "goes on by itself" in str(desk.say("replay", saga).exception)


def test_a_parked_webhook_is_sent_again_under_its_old_id(desk: Desk) -> None:
    message, endpoint = uuid.uuid4(), uuid.uuid4()
    with desk.databases.stack.postgres("write").superuser() as cursor:
        cursor.execute(
            "INSERT INTO webhook_endpoints (endpoint_id, url, event_types, state) VALUES (%s, %s, '{}', 'enabled')",
            (str(endpoint), "https://example.test/hook"),
        )
        cursor.execute(
            "INSERT INTO webhook_messages (message_id, endpoint_id, event_id, stream_id, type, body, state, attempts, reason, ended_at)"
            " VALUES (%s, %s, %s, %s, 'card.transaction', '{}', 'parked', 9, 'http_500', %s)",
            (str(message), str(endpoint), str(uuid.uuid4()), str(uuid.uuid4()), datetime.now(UTC)),
        )
    (found,) = desk.told("list")["webhooks"]
    assert (found["id"], found["reason"], found["attempts"]) == (str(message), "http_500", 9)
    assert desk.say("replay", message).exit_code == 0
    assert desk.one("SELECT state FROM webhook_messages WHERE message_id = %s", str(message)) == "waiting"


def test_an_unknown_id_is_named(desk: Desk) -> None:
    unknown = uuid.uuid4()
    assert str(unknown) in str(desk.say("show", unknown).exception)
    nothing = f"nothing that waits is called {unknown}; `payriver parked list` shows what does"
    assert str(desk.say("replay", unknown).exception) == nothing
    assert str(unknown) in str(desk.say("discard", unknown, "--reason", "x").exception)


def reversal(payment: uuid.UUID) -> PaymentReversed:
    """Any event of a payment."""
    return PaymentReversed(payment_id=payment, reversal_id="r1", amount_minor=1, currency="EUR")


def address(number: int) -> str:
    """An address without letters, so that its checksum is itself."""
    return "0x" + str(number) * 40


def keystore(folder: Path) -> Path:
    """Keystore files as an operator may read them: the address in the open, the key not to be opened."""
    for name, number in (("delegate", 7), ("settlement", 8)):
        (folder / f"{name}.json").write_text(json.dumps({"version": 3, "address": str(number) * 40, "crypto": {}}))
    return folder


def chain_file(folder: Path) -> Path:
    """A chain that nobody needs to reach."""
    token = {"address": address(2), "symbol": "EURe", "currency": "EUR", "decimals": 18}
    told = {"rpc_urls": ["http://127.0.0.1:1"], "chain_id": 100, "tokens": [token], "finality": {"tag": "finalized"}}
    path = folder / "chain.json"
    path.write_text(json.dumps({**told, "settlement_address": address(8), "spender_module": address(9)}))
    return path
