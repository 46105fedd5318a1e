"""The answer path has no hop over Kafka: with Connect frozen, answers still come in time, and answer = stream = chain at the end."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

from api.demo.world import World


def test_answers_come_in_time_while_connect_is_frozen(world: World, agrees: Callable[[], None]) -> None:
    payer = world.customers[7]
    world.stack.freeze("connect")
    try:
        taken = len(world.answer_ms)
        told = [world.authorize(payer, 50, f"frozen-{uuid4()}") for _ in range(20)]
        assert max(world.answer_ms[taken:]) < 2_000
    finally:
        world.stack.thaw("connect")
    assert [each["response_code"] for each in told] == ["00"] * 20
    for each in told:
        world.until_payment(str(each["payment_id"]), outcome="settled", seconds=90)
    agrees()


def test_ten_times_the_same_request_is_one_effect_and_one_answer(world: World, agrees: Callable[[], None]) -> None:
    payer, key = world.customers[7], f"same-{uuid4()}"
    with ThreadPoolExecutor(10) as pool:
        told = list(pool.map(lambda _: world.authorize(payer, 75, key), range(10)))
    assert all(each == told[0] for each in told)
    other = world.post(
        "/v1/authorizations",
        {"card_token": payer.card_token, "amount_minor": 76, "currency": "EUR"},
        **{"Idempotency-Key": key},
    )
    assert other.status_code == 409
    assert other.headers["content-type"].startswith("application/problem+json")
    world.until_payment(str(told[0]["payment_id"]), outcome="settled")
    assert world.authorize(payer, 75, key) == told[0] | {"state": "authorized"}
    agrees()
