"""`payriver events` and `payriver diff`: a stream by whatever it is known by, as it was, as it is, and as it comes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from itertools import islice
from typing import Any
from uuid import UUID, uuid4

import pytest
from typer.testing import CliRunner, Result

from api.cli import events as cli
from api.cli import events_view as view
from api.cli.main import build
from api.roots.root import Root
from infra.database import transaction
from infra.errors import BadInput, NotFound
from schemas.messages.account_commands import FreezeCard, UnfreezeCard
from streams.domain import ids
from streams.domain.chain.facts import SeeTransfer
from streams.event_store import store
from tests.given import deposit
from tests.integration.conftest import Databases
from tests.integration.write_side import WriteSide, authorization


class Desk:
    """One who looks: the commands with the doors of this test, and one authorized payment to look at."""

    def __init__(self, databases: Databases) -> None:
        self.databases, self.side = databases, WriteSide(databases)
        self.account_id, self.card = self.side.account(5_000)
        self.key = uuid4().hex
        assert self.side.gateway().authorize(authorization(self.card, 1_234, self.key)).approved
        self.payment_id = ids.network_payment_id(self.key)

    def say(self, *given: object) -> Result:
        return CliRunner().invoke(build(), [str(word) for word in given], env={"COLUMNS": "200"})

    def told(self, *given: object) -> Any:
        result = self.say(*given, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture(scope="module")
def desk(databases: Databases) -> Iterator[Desk]:
    class Doors:
        """The command line's root, with the auditor's doors."""

        write = databases.as_role("write", "auditor")
        read = databases.as_role("read", "auditor")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Root, "begin", lambda component, home=None: Doors)
        yield Desk(databases)


def test_a_payment_is_found_by_its_id_the_beginning_of_it_and_the_networks_key(desk: Desk) -> None:
    for wanted in (desk.payment_id, str(desk.payment_id)[:8], desk.key):
        found = desk.told("events", wanted)
        assert (found["stream_id"], found["category"]) == (str(desk.payment_id), "payment")
        assert [each["type"] for each in found["events"]][:2] == ["PaymentRequested", "PaymentHeld"]
        assert found["state"]["card"] == "authorized"
        assert found["version"] == len(found["events"])


def test_an_account_is_found_by_its_id_its_card_its_wallet_and_a_transfer(desk: Desk) -> None:
    wallet, tx_hash = f"0x{uuid4().hex}{uuid4().hex[:8]}", f"0x{uuid4().hex}{uuid4().hex}"
    desk.side.rows(
        "INSERT INTO chain_wallets (account_id, chain_id, kind, wallet, token, opening_block)"
        " VALUES (%s, 100, 'customer', %s, '0xtoken', 1) RETURNING 1",
        *(desk.account_id, wallet),
    )
    desk.side.do(SeeTransfer(deposit(account_id=desk.account_id, tx_hash=tx_hash)))
    for wanted in (desk.account_id, desk.card, wallet, wallet.upper().replace("X", "x"), tx_hash):
        found = desk.told("events", wanted)
        assert (found["stream_id"], found["category"]) == (str(desk.account_id), "account"), wanted
        assert found["state"]["held_raw"] == str(1_234 * 10**16)


def test_what_is_not_known_is_said_with_what_could_be_asked(desk: Desk) -> None:
    for wanted in (uuid4(), "nobody", f"0x{'0' * 40}", f"0x{'0' * 64}"):
        assert isinstance(desk.say("events", wanted).exception, NotFound), wanted
    twin = UUID(int=(desk.account_id.int & ~0xFF) | (desk.account_id.int + 1 & 0xFF))
    desk.side.rows(
        "INSERT INTO streams SELECT (jsonb_populate_record(s, jsonb_build_object('stream_id', %s))).* FROM streams AS s"
        " WHERE s.stream_id = %s RETURNING 1",
        *(str(twin), desk.account_id),
    )
    assert "means 2 streams" in str(desk.say("events", str(desk.account_id)[:30]).exception)
    desk.side.rows("DELETE FROM streams WHERE stream_id = %s RETURNING 1", twin)


def test_a_stream_as_of_a_point_ends_there_with_the_state_that_it_had(desk: Desk) -> None:
    found = desk.told("events", desk.payment_id, "--as-of", "2")
    assert (found["version"], found["state"]["card"], len(found["events"])) == (2, "requested", 2)
    moment = found["events"][1]["recorded_at"]
    assert desk.told("events", desk.payment_id, "--as-of", moment)["version"] == 2
    shown = desk.say("events", desk.payment_id, "--as-of", "2").stdout
    assert "as of 2, version 2" in shown and "PaymentHeld" in shown and "PaymentAuthorized" not in shown
    assert isinstance(desk.say("events", desk.payment_id, "--as-of", "2", "--follow").exception, BadInput)


def test_the_table_tells_when_what_and_why(desk: Desk) -> None:
    shown = desk.say("events", desk.payment_id).stdout
    for word in ("PaymentAuthorized", "amount 12.34 EUR", "HoldFunds by gateway", "now, version"):
        assert word in shown, shown
    story = desk.told("events", desk.payment_id)["events"]
    assert all(each["metadata"]["causation_id"] and len(each["hash"]) == 64 for each in story)


def test_a_field_of_one_of_several_is_told_with_its_key(desk: Desk) -> None:
    shown = desk.say("events", desk.payment_id).stdout
    assert f"legs[{ids.leg_id(desk.payment_id, 'spend')}].state" in shown
    assert f"legs[{ids.leg_id(desk.payment_id, 'spend')}].state" in desk.say("diff", desk.payment_id, 1, 5).stdout
    assert f"holds[{desk.payment_id}]" in desk.say("events", desk.account_id).stdout


def test_a_diff_tells_the_events_between_and_what_they_changed(desk: Desk) -> None:
    found = desk.told("diff", desk.payment_id, "1", "2")
    assert [each["type"] for each in found["events"]] == ["PaymentHeld"]
    assert {"path": "held_raw", "before": "0", "after": "12340000000000000000"} in found["changes"]
    shown = desk.say("diff", desk.payment_id, 1, 2).stdout
    assert "PaymentHeld" in shown and "held" in shown and "versions 1 to 2" in shown
    assert "Nothing in its state" in desk.say("diff", desk.payment_id, 2, 2).stdout
    assert isinstance(desk.say("diff", desk.payment_id, 2, 1).exception, BadInput)


def test_who_follows_is_told_what_there_is_and_then_what_comes_each_event_once(desk: Desk) -> None:
    account_id, _ = desk.side.account()
    with transaction(desk.side.door("auditor")) as cursor:
        there = store.read_stream(cursor, account_id)

    def later() -> None:
        for order in (FreezeCard, UnfreezeCard, FreezeCard):
            desk.side.do(order(account_id=account_id, reason="watched"))

    thread = threading.Timer(0.5, later)
    thread.start()
    told = list(islice(cli._coming(desk.side.door("auditor"), there), 4))
    thread.join()
    assert [each.version for each in told] == [1, 2, 3, 4]
    line = view.line(told[1], told[0], None).plain
    assert "CardFrozen" in line and "watched" in line
