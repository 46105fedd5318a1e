"""The card leg's later messages on a real chain: what they say is due is what moves, and the audit finds no difference."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest

from connectors.gateway.requests import Opening
from tests.integration.customers import Customer, Shore, shore
from tests.integration.little_river import EUR

CENT = EUR // 100


@pytest.fixture(scope="module")
def at() -> Iterator[Shore]:
    with shore() as made:
        made.river.chain.wait_receipts([made.river.chain.mint(made.river.deployment.settlement, 1_000 * EUR)])
        made.settle()
        yield made


def spent_cents(at: Shore, customer: Customer, euros: int = 100) -> int:
    return (euros * EUR - at.river.chain.balance(customer.account.safe)) // CENT


def legs(at: Shore, payment_id: UUID) -> list[tuple[str, str, int]]:
    return [(leg.kind, leg.state, leg.amount_raw // CENT) for leg in at.state(payment_id).legs.values()]


def test_more_is_approved_and_moves_as_a_further_spend(at: Shore) -> None:
    ana = at.customer(100)
    payment_id = at.approved(ana)
    more = at.river.gateway.messages.increment(payment_id, "i1", 500, "EUR", "test")
    assert (more.accepted, more.response_code, more.authorized_minor) == (True, "00", 1_500)
    at.settle()
    declined = at.river.gateway.messages.increment(payment_id, "i2", 100_000, "EUR", "test")
    assert (declined.accepted, declined.reason, declined.authorized_minor) == (False, "insufficient_funds", 1_500)
    assert declined == at.river.gateway.messages.increment(payment_id, "i2", 100_000, "EUR", "test")
    at.settle()
    assert legs(at, payment_id) == [("spend", "settled", 1_000), ("spend", "settled", 500)]
    assert (at.saga(payment_id), spent_cents(at, ana)) == (("settled", None), 1_500)
    at.must_be_right(ana)


def test_a_presentment_of_less_and_a_part_taken_back_pay_the_rest_back(at: Shore) -> None:
    ana, ben = at.customer(100), at.customer(100)
    posted, reduced = at.approved(ana), at.approved(ben)
    at.settle()
    assert at.river.gateway.messages.capture(posted, "p1", 600, "EUR", "test").state == "captured"
    assert at.river.gateway.messages.reverse(reduced, "r1", "test", 300).open_minor == 700
    at.settle()
    assert legs(at, posted) == [("spend", "settled", 1_000), ("refund", "settled", 400)]
    assert legs(at, reduced) == [("spend", "settled", 1_000), ("refund", "settled", 300)]
    assert (at.saga(posted), at.saga(reduced)) == (("captured", None), ("settled", None))
    assert (spent_cents(at, ana), spent_cents(at, ben)) == (600, 700)
    at.must_be_right(ana, ben)


def test_a_presentment_of_more_is_taken_by_a_further_spend_while_the_first_is_in_flight(at: Shore) -> None:
    ana = at.customer(100)
    payment_id = at.approved(ana)
    assert at.river.gateway.messages.capture(payment_id, "p1", 1_250, "EUR", "test").captured_minor == 1_250
    at.settle()
    assert legs(at, payment_id) == [("spend", "settled", 1_000), ("spend", "settled", 250)]
    assert (at.saga(payment_id), spent_cents(at, ana)) == (("captured", None), 1_250)
    at.must_be_right(ana)


def test_a_refund_and_its_reversal_a_dispute_and_its_loss_move_there_and_back(at: Shore) -> None:
    ana, messages = at.customer(100), at.river.gateway.messages
    payment_id = at.approved(ana)
    messages.capture(payment_id, "p1", 1_000, "EUR", "test")
    at.settle()
    assert messages.refund(payment_id, "f1", 400, "EUR", "test").refunded_minor == 400
    at.settle()
    assert spent_cents(at, ana) == 600
    messages.reverse_refund(payment_id, "f1", "fr1", "test")
    assert messages.open_dispute(payment_id, "d1", 1_000, "EUR", "fraud", "test").state == "disputed"
    at.settle()
    assert spent_cents(at, ana) == 0
    assert messages.resolve_dispute(payment_id, "d1", "lost", "test").state == "captured"
    at.settle()
    assert (at.saga(payment_id), spent_cents(at, ana)) == (("captured", None), 1_000)
    at.must_be_right(ana)


def test_what_the_network_decides_without_asking_moves_as_well(at: Shore) -> None:
    ana, messages = at.customer(100), at.river.gateway.messages
    told = Opening(ana.card, 700, "EUR", merchant_name="Café Lumière")
    posted = messages.present(uuid4().hex, told, "test")
    stood_in = messages.advise(uuid4().hex, uuid4().hex, told, "test")
    credited = messages.refund_unlinked(uuid4().hex, Opening(ana.card, 300, "EUR"), "test")
    at.settle()
    assert [at.saga(each.payment_id)[0] for each in (posted, stood_in, credited)] == ["captured", "settled", "refunded"]
    assert spent_cents(at, ana) == 700 + 700 - 300
    at.must_be_right(ana)


def test_a_reversal_that_overtook_its_authorization_lets_nothing_move(at: Shore) -> None:
    ana, key = at.customer(100), uuid4().hex
    early = at.river.gateway.messages.reverse_early(key, "r1", Opening(ana.card, 1_000, "EUR"), "network")
    assert (early.accepted, early.state) == (True, "reversed")
    at.settle()
    late = at.river.authorize(key, ana.card, 1_000)
    assert (late.payment_id, late.approved, late.state) == (early.payment_id, False, "reversed")
    at.settle()
    assert (legs(at, late.payment_id), spent_cents(at, ana)) == ([], 0)
    at.must_be_right(ana)


def test_a_late_presentment_after_the_reversal_is_posted_all_the_same(at: Shore) -> None:
    ana, messages = at.customer(100), at.river.gateway.messages
    payment_id = at.approved(ana)
    messages.reverse(payment_id, "r1", "test")
    at.settle()
    assert (at.saga(payment_id), spent_cents(at, ana)) == (("refunded", None), 0)
    messages.capture(payment_id, "p1", 800, "EUR", "test")
    at.settle()
    assert (at.saga(payment_id), spent_cents(at, ana)) == (("captured", None), 800)
    at.must_be_right(ana)
