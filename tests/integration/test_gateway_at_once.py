"""What reaches the gateway at once shares its transactions, on real PostgreSQL: each is told its own, and nobody waits for another's rival."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from uuid import uuid4

from connectors.gateway.requests import AuthorizationAnswer, Opening
from infra.errors import NotFound, TooLate
from streams.domain import ids
from tests.integration.write_side import WriteSide, authorization


def leased(side: WriteSide, answers: list[AuthorizationAnswer]) -> int:
    """Of how many a gateway keeps the saga for itself."""
    query = "SELECT count(*) FROM sagas WHERE saga_id = ANY(%s) AND lease_until IS NOT NULL"
    ((count,),) = side.rows(query, [each.payment_id for each in answers])
    return int(count)


def test_authorizations_that_arrive_together_share_their_transactions_and_each_is_answered(side: WriteSide) -> None:
    cards = [side.account(cents=10_000)[1] for _ in range(6)]
    gateway = side.gateway(10_000)
    requests = [authorization(cards[n % 6], 100 * (n + 1) if n % 5 else 50_000) for n in range(30)]
    early = [authorization(card, 100) for card in cards]  # their reversals came first
    for request in early:
        gateway.messages.reverse_early(
            request.idempotency_key, "r1", Opening(request.card_token, 100, "EUR"), "network"
        )
    with ThreadPoolExecutor(30) as threads:
        answers = list(threads.map(gateway.authorize, [*early, *requests]))
    assert [(each.approved, each.state) for each in answers[:6]] == [(False, "reversed")] * 6
    assert leased(side, answers) == 0
    del answers[:6]
    for n, (request, answer) in enumerate(zip(requests, answers, strict=True)):
        assert answer.payment_id == ids.network_payment_id(request.idempotency_key)
        assert answer.approved_minor == (100 * (n + 1) if n % 5 else 0)
        assert answer.reason == (None if n % 5 else "insufficient_funds")
        assert gateway.authorize(request) == answer
    assert side.transactions([each.payment_id for each in answers]) < 30, "two for each, were they alone"


def refused(told: Future[AuthorizationAnswer]) -> bool:
    """Declined; or told that it was too late, where even the decline had to wait for a rival."""
    error = told.exception(3)
    return isinstance(error, TooLate) if error else not told.result().approved


def test_one_that_is_too_late_and_one_behind_a_rival_refuse_nobody_else(side: WriteSide) -> None:
    held_account, held_card = side.account()
    cards = [side.account()[1] for _ in range(4)]
    gateway = side.gateway(3_000)
    held = side.lock(held_account)
    try:
        with ThreadPoolExecutor(30) as threads:
            behind = [threads.submit(gateway.authorize, authorization(held_card, 100, deadline_ms=900)) for _ in "ab"]
            late = [threads.submit(gateway.authorize, authorization(cards[0], 100, deadline_ms=1)) for _ in "ab"]
            free = [threads.submit(gateway.authorize, authorization(cards[n % 4], 100)) for n in range(16)]
            assert all(each.result(3).approved for each in free)
            assert all(refused(each) for each in late)
            assert all(isinstance(each.exception(3), TooLate) for each in behind)
    finally:
        held.rollback()
        held.close()


def test_messages_and_account_orders_at_once_are_each_told_their_own(side: WriteSide) -> None:
    accounts = [side.account() for _ in range(4)]
    gateway = side.gateway(10_000)
    payments = [gateway.authorize(authorization(card, 1_000)).payment_id for _, card in accounts for _ in range(3)]

    def follow(number: int) -> tuple[bool, int]:
        payment_id = payments[number]
        more = gateway.messages.increment(payment_id, "i1", 100 + number, "EUR", "test")
        gateway.freeze_card(accounts[number // 3][0], "holder", "test")
        taken = gateway.messages.capture(payment_id, "c1", 1_100 + number, "EUR", "test")
        return more.accepted or more.reason == "card_frozen", taken.captured_minor

    with ThreadPoolExecutor(12) as threads:
        told = list(threads.map(follow, range(12)))
        assert told == [(True, 1_100 + number) for number in range(12)]
        nobody = uuid4()
        lost = [threads.submit(gateway.freeze_card, nobody, "holder", "test"), *(
            threads.submit(gateway.unfreeze_card, account_id, "holder", "test") for account_id, _ in accounts
        )]  # fmt: skip
        assert isinstance(lost[0].exception(5), NotFound)
        assert [each.exception(5) for each in lost[1:]] == [None] * 4
    assert {side.state(account_id).card_state for account_id, _ in accounts} == {"active"}
