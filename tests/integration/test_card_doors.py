"""The doors of the card leg's later messages: each is taken once, a repeat is told the same, another under its id is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from api.requests.card_orders import Advice, EarlyReversal, Presentment, UnlinkedRefund
from api.requests.orders import example
from tests.integration.conftest import Databases
from tests.integration.programme import Programme, client, running_api

MONEY: dict[str, Any] = {"amount_minor": 400, "currency": "EUR"}
FOLLOWING: dict[str, dict[str, Any]] = {
    "increments": {"increment_id": "i1", **MONEY},
    "reversals": {"reversal_id": "r1", "amount_minor": 300},
    "captures": {"presentment_id": "p1", "amount_minor": 500, "currency": "EUR", "final": False},
    "refunds": {"refund_id": "f1", **MONEY},
    "refund-reversals": {"refund_id": "f1", "reversal_id": "fr1"},
    "capture-reversals": {"presentment_id": "p1", "reversal_id": "cr1"},
}
"""In the order in which one payment can take them all."""
OPENING: dict[str, dict[str, Any]] = {
    "advices": example(Advice),
    "presentments": example(Presentment),
    "refunds": example(UnlinkedRefund),
    "reversals": example(EarlyReversal),
}


@pytest.fixture(scope="module")
def programme(databases: Databases) -> Programme:
    return Programme(databases)


@pytest.fixture(scope="module")
def network(databases: Databases, programme: Programme) -> Iterator[httpx.Client]:
    with running_api(databases, programme.gateway) as address, client(address, "network") as caller:
        yield caller


def approved(network: httpx.Client, programme: Programme, cents: int = 1_000, **more: Any) -> dict[str, Any]:
    body = {"card_token": programme.card, "amount_minor": cents, "currency": "EUR", **more}
    answer = network.post("/v1/authorizations", json=body, headers={"Idempotency-Key": uuid4().hex})
    told: dict[str, Any] = answer.json()
    assert told["approved"], told
    return told


def said(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


@pytest.mark.parametrize("name", ["%00", "tab%09here", "%20" * 65])
def test_a_dispute_is_named_in_the_address_as_it_may_be_named_anywhere(
    network: httpx.Client, programme: Programme, name: str
) -> None:
    payment_id = approved(network, programme)["payment_id"]
    answer = network.post(f"/v1/authorizations/{payment_id}/disputes/{name}/resolution", json={"outcome": "won"})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/bad_input"), answer.text
    assert answer.json()["errors"][0]["at"] == "path dispute_id"


def test_a_payment_takes_each_message_once_and_tells_a_repeat_the_same(
    network: httpx.Client, programme: Programme
) -> None:
    payment_id = approved(network, programme)["payment_id"]
    for path, body in FOLLOWING.items():
        address = f"/v1/authorizations/{payment_id}/{path}"
        first = said(network.post(address, json=body))
        assert (first["accepted"], first["response_code"]) == (True, "00"), (path, first)
        assert said(network.post(address, json=body)) == first, path
    assert (first["state"], first["authorized_minor"], first["captured_minor"], first["refunded_minor"]) == (
        *("authorized", 1_400),
        *(0, 0),
    )
    assert first["open_minor"] == 1_400 - 300 - 500


@pytest.mark.parametrize("path", [each for each in FOLLOWING if "amount_minor" in FOLLOWING[each]])
def test_another_message_under_the_same_id_is_refused(path: str, network: httpx.Client, programme: Programme) -> None:
    payment_id = approved(network, programme)["payment_id"]
    if path == "refunds":
        said(network.post(f"/v1/authorizations/{payment_id}/captures", json=FOLLOWING["captures"]))
    address, body = f"/v1/authorizations/{payment_id}/{path}", FOLLOWING[path]
    said(network.post(address, json=body))
    answer = network.post(address, json={**body, "amount_minor": 399})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/command_id_reused")


@pytest.mark.parametrize("path", OPENING)
def test_what_comes_without_a_question_opens_one_payment(
    path: str, network: httpx.Client, programme: Programme
) -> None:
    fresh = {name: uuid4().hex for name in OPENING[path] if name.endswith("_id") or name == "authorization"}
    body = {**OPENING[path], **fresh, "card_token": programme.card}
    first = said(network.post(f"/v1/{path}", json=body))
    assert first["accepted"] and first == said(network.post(f"/v1/{path}", json=body))
    assert network.post(f"/v1/{path}", json={**body, "amount_minor": 1}).status_code == 409
    lost = said(
        network.post(f"/v1/{path}", json={**body, **{name: uuid4().hex for name in fresh}, "card_token": "nobody"})
    )
    assert (lost["accepted"], lost["reason"], lost["response_code"]) == (False, "account_unknown", "14")


def test_a_message_that_does_not_fit_is_answered_with_its_code(network: httpx.Client, programme: Programme) -> None:
    payment_id = approved(network, programme)["payment_id"]
    refused = said(network.post(f"/v1/authorizations/{payment_id}/refunds", json=FOLLOWING["refunds"]))
    assert (refused["accepted"], refused["reason"], refused["response_code"]) == (False, "not_captured", "12")
    over = said(
        network.post(f"/v1/authorizations/{payment_id}/reversals", json={"reversal_id": "r", "amount_minor": 1_001})
    )
    assert (over["accepted"], over["reason"], over["open_minor"]) == (False, "over_reversal", 1_000)


def test_a_dispute_is_opened_and_decided(network: httpx.Client, programme: Programme) -> None:
    payment_id = approved(network, programme, single_message=True)["payment_id"]
    at = f"/v1/authorizations/{payment_id}/disputes"
    opened = said(network.post(at, json={"dispute_id": "d1", "reason": "fraud", **MONEY}))
    assert (opened["accepted"], opened["state"]) == (True, "disputed")
    assert said(network.post(f"{at}/d1/resolution", json={"outcome": "lost"}))["state"] == "captured"
    assert network.post(f"{at}/d1/resolution", json={"outcome": "won"}).status_code == 409


def test_a_terminal_that_takes_a_part_is_told_how_much(network: httpx.Client, databases: Databases) -> None:
    poor = Programme(databases, cents=370)
    told = approved(network, poor, 1_000, partial_approval=True)
    assert (told["response_code"], told["approved_minor"]) == ("10", 370)


def test_a_balance_inquiry_is_told_what_may_be_spent(network: httpx.Client, databases: Databases) -> None:
    poor = Programme(databases, cents=370)
    told = approved(network, poor, 0, transaction_type="balance_inquiry")
    assert (told["state"], told["spendable_minor"], told["response_code"]) == ("verified", 370, "00")


def test_a_card_is_limited_and_blocked_by_an_operator_alone(databases: Databases) -> None:
    made = Programme(databases)
    with running_api(databases, made.gateway) as address:
        at = f"/v1/accounts/{made.account_id}/card"
        with client(address, "operator") as operator, client(address, "network") as caller:
            assert caller.put(f"{at}/limits", json={"per_day_minor": 500}).status_code == 403
            for _ in range(2):
                assert operator.put(f"{at}/limits", json={"per_day_minor": 500}).status_code == 204
                assert operator.post(f"{at}/blocks", json={"mcc": "5993", "reason": "holder"}).status_code == 204
                assert operator.post(f"{at}/blocks", json={"country": "KP", "reason": "compliance"}).status_code == 204
            body = {"card_token": made.card, "amount_minor": 501, "currency": "EUR"}
            refused = said(caller.post("/v1/authorizations", json=body, headers={"Idempotency-Key": uuid4().hex}))
            assert (refused["reason"], refused["response_code"]) == ("over_day_limit", "61")
            body |= {"amount_minor": 100, "merchant": {"mcc": "5993"}}
            refused = said(caller.post("/v1/authorizations", json=body, headers={"Idempotency-Key": uuid4().hex}))
            assert (refused["reason"], refused["response_code"]) == ("mcc_blocked", "57")
            made.deliver()
            shown = said(operator.get(f"/v1/accounts/{made.account_id}"))
            assert shown["card_limits"] == {"per_day_minor": 500}
            assert shown["blocks"] == {"mccs": ["5993"], "countries": ["KP"]}
            assert operator.post(f"{at}/unblocks", json={"mcc": "5993", "reason": "holder"}).status_code == 204
            approved(caller, made, 100, merchant={"mcc": "5993"})
            assert operator.post(f"{at}/blocks", json={"reason": "neither"}).status_code == 422
            assert operator.put(f"{at}/limits", json={"velocity_count": 3}).status_code == 422
            assert operator.put(f"/v1/accounts/{uuid4()}/card/limits", json={}).status_code == 404
