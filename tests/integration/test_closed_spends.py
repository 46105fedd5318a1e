"""A foreign spend that a reorg dropped for good, on a real chain: parked, closed by a person, and mined after all."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from api.cli import payment as cli
from api.roots.root import Root
from connectors.gateway.gateway import Gateway
from infra.database import transaction
from infra.errors import Conflict
from tests.integration.customers import FINAL, Customer, Shore, shore
from tests.integration.little_river import EUR
from tests.integration.test_giving_up import give_up
from tests.waiting import until

COUNTED = "SELECT times FROM chain_contradictions WHERE kind = 'closed_spend_mined' AND subject = %s"
CLOSED = """
SELECT payload ->> 'because', payload ->> 'closed_by', metadata ->> 'actor' FROM events
WHERE stream_id = %s AND type = 'LegEndedUnpaid'
"""


@pytest.fixture(scope="module")
def at() -> Iterator[Shore]:
    with shore(settlement_raw=1_000 * EUR) as made:
        yield made


@pytest.fixture(autouse=True)
def _mining_goes_on(at: Shore) -> Iterator[None]:
    yield
    at.river.chain.automine()


def close(at: Shore, payment_id: UUID) -> Result:
    """As a person says it."""
    doors = {name: at.river.as_role(name, "operator") for name in ("write", "read")}
    root = SimpleNamespace(**doors, gateway=Gateway(doors["write"], at.river.codec, at.river.policy, 20_000))
    words = ["close-spend", str(payment_id), "--reason", "the holder sent another", "--by", "ada"]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Root, "begin", lambda component, home=None: root)
        return CliRunner().invoke(cli.payment, words)


def closed_and_mined_after_all(at: Shore, customer: Customer, unread: int = 0) -> tuple[UUID, UUID]:
    """Of a hundred, thirty are closed and eighty approved on what is free; then a block has the thirty. Gives both payments.

    `unread`: so many blocks later the listener looks.
    """
    chain = at.river.chain
    at.mined(chain.spend(customer.account, 30 * EUR))
    at.river.flow()
    (foreign,) = at.payments(customer.account_id)
    chain.stop_mining()
    (dropped,) = chain.reorg(1).dropped
    at.river.flow()
    assert close(at, foreign).exit_code == 0
    while at.river.pump():
        pass
    eighty = at.approved(customer, 8_000)
    chain.resend(dropped.raw)
    chain.mine(1)
    chain.automine()
    chain.mine(unread)
    at.river.flow()
    return foreign, eighty


def patience_ends(at: Shore, payment_id: UUID) -> None:
    waiting = "UPDATE saga_timeouts SET due_at = now() WHERE saga_id = %s AND name = 'patience' AND state = 'waiting'"
    at.rows(waiting, payment_id)
    with transaction(at.river.as_role("write", "sagas")) as cursor:
        assert at.river.sagas.fire(cursor) >= 1
    while at.river.pump():
        pass


def test_what_a_person_closes_is_free_again_and_mined_after_all_it_is_spent(at: Shore) -> None:
    ana, chain = at.customer(100), at.river.chain
    at.mined(chain.spend(ana.account, 30 * EUR))
    at.river.flow()
    (payment_id,) = at.payments(ana.account_id)
    assert isinstance(close(at, payment_id).exception, Conflict), "it stands in a block"
    chain.stop_mining()
    (dropped,) = chain.reorg(1).dropped
    at.river.flow()
    patience_ends(at, payment_id)
    assert at.saga(payment_id) == ("parked", "unseen_too_long")
    for _ in range(2):
        assert close(at, payment_id).exit_code == 0
    while at.river.pump():
        pass
    assert at.rows(CLOSED, payment_id) == [("the holder sent another", "operator ada", "operator ada")]
    assert at.saga(payment_id) == ("unmoved", None)
    assert at.state(ana.account_id).free_funds_raw() == 100 * EUR
    assert at.audit().differences == ()
    assert at.river.authorize(uuid4().hex, ana.card, 100).approved
    chain.resend(dropped.raw)
    chain.mine(1)
    chain.automine()
    for _ in range(3):
        at.river.flow(FINAL)
    assert at.saga(payment_id) == ("settled", None)
    at.settle()
    at.must_be_right(ana)
    assert chain.balance(ana.account.safe) == 69 * EUR
    assert isinstance(close(at, payment_id).exception, Conflict)


def test_what_was_approved_meanwhile_and_is_not_covered_waits_and_a_person_is_told(at: Shore) -> None:
    bo, chain = at.customer(100), at.river.chain
    with capture_logs() as lines:
        foreign, eighty = closed_and_mined_after_all(at, bo)
    told = [line for line in lines if line["event"] == "closed_spend_mined"]
    assert [(line["payment_id"], line["free_raw"]) for line in told] == [(str(foreign), str(-10 * EUR))]
    assert at.rows(COUNTED, str(foreign)) == [(1,)]
    at.settle()
    assert at.saga(foreign) == ("settled", None)
    account = at.state(bo.account_id)
    assert (account.final_raw, account.debits_raw, account.held_raw) == (70 * EUR, 0, 80 * EUR)
    answer = at.river.authorize(uuid4().hex, bo.card, 1)
    assert (answer.approved, answer.response_code) == (False, "51")
    leg = at.state(eighty).leg("spend")
    assert leg.state == "submitted" and leg.reverted
    at.settle()
    assert at.audit().differences == ()
    patience_ends(at, eighty)
    assert at.saga(eighty) == ("parked", "not_final_in_time")

    at.mined(chain.mint(bo.account.safe, 10 * EUR))  # the holder tops up: the same spend goes out again by itself

    def settled() -> bool:
        at.settle()
        return at.saga(eighty) == ("settled", None)

    until(settled, "the spend of eighty", 60)
    at.must_be_right(bo)
    assert chain.balance(bo.account.safe) == 0


def test_what_nobody_tops_up_is_given_up_and_owed(at: Shore) -> None:
    eve = at.customer(100)
    foreign, eighty = closed_and_mined_after_all(at, eve, unread=4 * FINAL)
    at.settle()
    assert at.rows(COUNTED, str(foreign)) == [(1,)], "also where it was final before it was read"
    give_up(at, eighty)
    at.settle()
    payment = at.state(eighty)
    assert (payment.leg("spend").state, payment.receivable_raw) == ("ended_unpaid", 80 * EUR)
    assert at.saga(eighty) == ("parked", "approved_but_unpaid")
    assert at.state(eve.account_id).free_funds_raw() == 70 * EUR
    assert at.audit().differences == ()
