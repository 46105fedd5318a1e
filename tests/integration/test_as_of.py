"""The past, asked by version, time and block, is what it was; by the library, and by the API in the words of the present."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from api.answers import past
from api.answers.queries import Queries
from infra.database import transaction
from infra.errors import BadInput, NotFound
from schemas.messages.account_commands import FreezeCard
from streams import history
from streams.domain import ids
from streams.domain.chain import facts
from streams.event_store.points import AtBlock, AtTime, AtVersion, Point
from streams.history import Change
from tests.given import CENT
from tests.integration.conftest import Databases
from tests.integration.programme import Programme, client, running_api
from tests.integration.write_side import WriteSide, authorization

FIRST_BLOCK = 5_000_000
BLOCK = """
INSERT INTO chain_blocks (chain_id, number, hash, parent_hash, time, state) VALUES (100, %s, %s, 'x', %s, 'seen')
"""


@dataclass
class Life:
    """One account whose chain moves block by block, and what was true after each step."""

    side: WriteSide
    number: int
    account_id: UUID = field(init=False)
    card: str = field(init=False)
    after: dict[str, tuple[datetime, int, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.account_id, self.card = self.side.account(10_000)

    def block(self) -> facts.Block:
        """The listener takes the next block."""
        self.number += 1
        told = int(time.time()) - 1000 + self.number - FIRST_BLOCK
        with transaction(self.side.door("owner")) as cursor:
            cursor.execute(BLOCK, (self.number, f"0x{uuid4().hex}", told))
        return facts.Block(self.number, f"0x{self.number}", told)

    def mark(self, name: str) -> None:
        """Remember how it stands now."""
        with transaction(self.side.door("commands")) as cursor:
            cursor.execute("SELECT clock_timestamp(), version FROM streams WHERE stream_id = %s", (self.account_id,))
            at, version = cursor.fetchall()[0]
        self.after[name] = at, version, self.side.state(self.account_id)
        time.sleep(0.005)

    def moved(self, direction: str, cents: int, block: facts.Block) -> facts.Transfer:
        """Somebody pays in or is paid."""
        kind = "deposit" if direction == "in" else "withdrawal"
        told = (self.account_id, uuid4(), direction, kind, "0xsomebody", cents * CENT, f"0x{uuid4().hex}", 0, block)
        return facts.Transfer(*told)


@pytest.fixture(scope="module")
def life(databases: Databases) -> Life:
    """A hundred euros; then forty come (two blocks to be final), ten are held, and fifteen go out, one block later."""
    made = Life(WriteSide(databases), FIRST_BLOCK)
    made.mark("opened")
    first = made.block()
    incoming = made.moved("in", 4_000, first)
    made.side.do(facts.SeeTransfer(incoming))
    made.mark("seen")
    made.block()
    made.side.do(facts.FinalizeTransfer(incoming))
    made.mark("final")
    assert made.side.gateway().authorize(authorization(made.card, 1_000)).approved
    made.mark("held")
    outgoing = made.moved("out", 1_500, made.block())
    made.side.do(facts.SeeTransfer(outgoing))
    made.mark("going")
    made.block()
    made.side.do(facts.FinalizeTransfer(outgoing))
    made.side.do(FreezeCard(account_id=made.account_id, reason="lost"))
    made.mark("gone")
    return made


def at(life: Life, point: Point) -> Any:
    with transaction(life.side.door("gateway")) as cursor:
        return history.as_of(cursor, life.account_id, point).state


@pytest.mark.parametrize("name", ["opened", "seen", "final", "held", "going", "gone"])
def test_an_account_as_of_a_version_and_as_of_a_time_is_what_it_was(life: Life, name: str) -> None:
    moment, version, state = life.after[name]
    assert at(life, AtVersion(version)) == state
    assert at(life, AtTime(moment)) == state


@pytest.mark.parametrize(("blocks", "name"), [(0, "opened"), (1, "seen"), (2, "held"), (3, "going"), (4, "gone")])
def test_an_account_as_of_a_block_is_what_it_was_before_the_next_one_was_taken(
    life: Life, blocks: int, name: str
) -> None:
    if blocks == 0:
        with transaction(life.side.door("owner")) as cursor:  # the block before the first of this test
            cursor.execute(BLOCK + " ON CONFLICT DO NOTHING", (FIRST_BLOCK, f"0x{uuid4().hex}", 1))
            cursor.execute(
                "UPDATE chain_blocks SET recorded_at = %s WHERE number = %s", (life.after["opened"][0], FIRST_BLOCK)
            )
    assert at(life, AtBlock(FIRST_BLOCK + blocks)) == life.after[name][2]


def test_blocks_that_were_taken_at_once_are_told_apart(databases: Databases) -> None:
    """The listener catches up: rows of two blocks first, then the events of both."""
    life = Life(WriteSide(databases), FIRST_BLOCK + 100)
    one, two = life.block(), life.block()
    early, late = life.moved("out", 100, one), life.moved("out", 200, two)
    life.side.do(facts.SeeTransfer(early))
    life.side.do(facts.SeeTransfer(late))
    life.side.do(facts.FinalizeTransfer(early))
    assert set(at(life, AtBlock(one.number)).debits) == {early.transfer_id}
    assert set(at(life, AtBlock(two.number)).debits) == {late.transfer_id}, "final came before any later block"


def test_what_the_wallet_held_at_a_block_is_what_the_chain_says_there(life: Life) -> None:
    with transaction(life.side.door("gateway")) as cursor:
        held = [history.chain_balance_raw(cursor, life.account_id, FIRST_BLOCK + each) // CENT for each in range(5)]
        assert held == [10_000, 14_000, 14_000, 12_500, 12_500]
        with pytest.raises(NotFound, match="under watch since block 10"):
            history.chain_balance_raw(cursor, life.account_id, 9)
        with pytest.raises(NotFound):
            history.chain_balance_raw(cursor, uuid4(), 9)


def test_a_diff_tells_what_happened_and_what_it_changed(life: Life) -> None:
    (_, before, _), (_, after, _) = life.after["final"], life.after["going"]
    with transaction(life.side.door("auditor")) as cursor:
        found = history.diff(cursor, life.account_id, AtVersion(before), AtVersion(after))
        assert [event.type for event in found.events] == ["FundsHeld", "TransferSeen"]
        assert Change("held_raw", "0", str(1_000 * CENT)) in found.changes
        assert Change("debits_raw", "0", str(1_500 * CENT)) in found.changes
        assert history.diff(cursor, life.account_id, AtVersion(after), AtVersion(after)).changes == ()
        with pytest.raises(BadInput, match="turn them round"):
            history.diff(cursor, life.account_id, AtVersion(after), AtVersion(before))


@pytest.mark.parametrize(
    ("point", "error", "told"),
    [
        (AtVersion(999), BadInput, "still to come.*is at version"),
        (AtTime(datetime(2999, 1, 1, tzinfo=UTC)), BadInput, "still to come"),
        (AtBlock(10**12), BadInput, "newest block seen is"),
        (AtVersion(0), NotFound, "its first event was recorded"),
        (AtTime(datetime(2020, 1, 1, tzinfo=UTC)), NotFound, "its first event was recorded"),
    ],
)
def test_what_is_still_to_come_and_what_was_not_yet_is_said(
    life: Life, point: Point, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        at(life, point)
    with pytest.raises(NotFound), transaction(life.side.door("gateway")) as cursor:
        history.as_of(cursor, uuid4(), point)


# -- the API


@pytest.fixture(scope="module")
def reader(databases: Databases, life: Life) -> Iterator[httpx.Client]:
    with running_api(databases, life.side.gateway()) as address, client(address, "reader") as caller:
        yield caller


def told(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()


def test_the_api_tells_a_balance_as_of_a_version_a_time_and_a_block(reader: httpx.Client, life: Life) -> None:
    address = f"/v1/accounts/{life.account_id}/balance"
    moment, version, _ = life.after["held"]
    held = {"total_minor": 14_000, "held_minor": 1_000, "pending_minor": 0, "spendable_minor": 9_000}
    for point in (str(version), moment.isoformat(), f"block:{FIRST_BLOCK + 2}"):
        found = told(reader.get(address, params={"as_of": point}))
        assert {name: found[name] for name in held} == held, point
        assert (found["chain_balance_raw"] is not None) == point.startswith("block")
    found = told(reader.get(address, params={"as_of": f"block:{FIRST_BLOCK + 3}"}))
    assert (found["total_minor"], found["pending_minor"]) == (14_000, 1_500)
    assert found["chain_balance_raw"] == str(12_500 * CENT + life.after["opened"][2].final_raw % CENT)
    assert told(reader.get(f"/v1/accounts/{life.account_id}", params={"as_of": str(version)}))["card_state"] == "active"


def test_a_payment_as_of_now_is_told_as_the_read_model_tells_it(reader: httpx.Client, databases: Databases) -> None:
    of = Programme(databases)
    assert of.gateway.authorize(authorization(of.card, 700, "k")).approved
    payment_id = ids.network_payment_id("k")
    of.streams.append(payment_id)
    of.spend(payment_id, 700)
    of.deliver()
    shown = told(reader.get(f"/v1/payments/{payment_id}"))
    again = told(reader.get(f"/v1/payments/{payment_id}", params={"as_of": str(shown["version"])}))
    assert again == shown
    before = told(reader.get(f"/v1/payments/{payment_id}", params={"as_of": "1"}))
    assert (before["state"], before["spend_state"], before["version"]) == ("requested", None, 1)
    account = told(reader.get(f"/v1/accounts/{of.account_id}"))
    assert told(reader.get(f"/v1/accounts/{of.account_id}", params={"as_of": str(account["version"])})) == account
    changed = told(reader.get(f"/v1/payments/{payment_id}/diff", params={"from": "1", "to": str(shown["version"])}))
    assert [each["version"] for each in changed["events"]] == list(range(2, shown["version"] + 1))
    assert {"path": "card", "before": "requested", "after": "authorized"} in changed["changes"]
    assert told(reader.get(f"/v1/accounts/{of.account_id}/diff", params={"from": "1", "to": "2"}))["to_version"] == 2


@pytest.mark.parametrize(
    ("asked", "params", "at_once"),
    [(past.Past, {"as_of": "1"}, 1), (Queries, {}, 2)],
    ids=["the past", "the present"],
)
def test_who_asks_leaves_the_interpreter_to_whoever_answers_the_card_network(
    reader: httpx.Client, life: Life, monkeypatch: pytest.MonkeyPatch, asked: Any, params: dict[str, str], at_once: int
) -> None:
    """Ten at once got no more answers out of it, and an authorization took fifty times as long."""
    real, asking, most = asked.account, [0], [0]

    def counted(*told: Any) -> Any:
        asking[0] += 1
        most[0] = max(most[0], asking[0])
        time.sleep(0.05)
        asking[0] -= 1
        return real(*told)

    monkeypatch.setattr(asked, "account", counted)
    address = f"/v1/accounts/{life.account_id}"
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: reader.get(address, params=params).status_code, range(6)))
    assert set(answers) <= {200, 404} and most == [at_once]


def test_a_diff_over_the_api_holds_so_many_events_and_no_more(
    reader: httpx.Client, life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card network is answered by the same process: what a settlement account lived through would stop it for seconds."""
    address = f"/v1/accounts/{life.account_id}/diff"
    monkeypatch.setattr(past, "MOST_EVENTS", 2)
    assert len(told(reader.get(address, params={"from": "1", "to": "3"}))["events"]) == 2
    refused = told(reader.get(address, params={"from": "1", "to": "4"}), 422)
    assert "3 events" in refused["detail"] and "payriver diff" in refused["detail"]


@pytest.mark.parametrize(
    ("address", "params", "status"),
    [
        ("/v1/payments/{id}", {"as_of": "yesterday"}, 422),
        ("/v1/payments/{id}", {"as_of": "2"}, 404),
        ("/v1/accounts/{account}", {"as_of": "999"}, 422),
        ("/v1/accounts/{account}/balance", {"as_of": "2020-01-01"}, 404),
        ("/v1/payments/{account}", {"as_of": "1"}, 404),
        ("/v1/payments/{account}/diff", {"from": "1", "to": "2"}, 404),
        ("/v1/accounts/{account}/diff", {"from": "2", "to": "1"}, 422),
        ("/v1/accounts/{account}/diff", {"from": "2"}, 422),
    ],
)
def test_what_cannot_be_told_of_the_past_is_a_problem_with_a_remedy(
    reader: httpx.Client, life: Life, address: str, params: dict[str, str], status: int
) -> None:
    found = told(reader.get(address.format(id=uuid4(), account=life.account_id), params=params), status)
    assert found["status"] == status and found["detail"] and found["remedy"]
