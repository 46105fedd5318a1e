"""The API on real databases: the card network's orders have their effect once, and its own state and documentation are told."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest

from api.requests.orders import Authorization, CardOrder, example
from infra.database import transaction
from tests.integration.callers import address, customer, network, problem, programme, reader, swipe
from tests.integration.conftest import Databases
from tests.integration.programme import CENT, Programme, client

__all__ = ["address", "customer", "network", "programme", "reader"]


# --- the card network ----------------------------------------------------------------------------------------------------


def test_a_swipe_is_approved_and_found_again_on_the_read_side(network: httpx.Client, customer: Programme) -> None:
    told = swipe(network, customer, 1234, merchant={"name": "Kaffeehaus", "country": "AT", "mcc": "5814"})
    assert (told["approved"], told["response_code"], told["reason"], told["state"]) == (True, "00", None, "authorized")
    assert len(told["authorization_code"]) == 6
    customer.deliver()
    found = network.get(f"/v1/payments/{told['payment_id']}").json()
    assert found["authorization_code"] == told["authorization_code"]
    assert (found["outcome"], found["spend_state"], found["merchant_name"]) == ("open", "planned", "Kaffeehaus")
    assert (found["amount_minor"], found["amount_raw"]) == (1234, str(1234 * CENT))


def test_a_decline_is_an_answer_with_its_reason(network: httpx.Client, customer: Programme) -> None:
    told = swipe(network, customer, 100_001)
    assert (told["approved"], told["response_code"], told["reason"]) == (False, "51", "insufficient_funds")
    told = swipe(network, customer, 1, merchant={"mcc": "7995"})
    assert (told["approved"], told["response_code"], told["reason"]) == (False, "57", "mcc_blocked")


def test_a_zero_amount_asks_whether_the_card_is_good(network: httpx.Client, customer: Programme) -> None:
    told = swipe(network, customer, 0)
    assert (told["approved"], told["state"], told["authorization_code"]) == (True, "verified", None)


def test_the_same_key_is_told_the_first_answer_also_ten_times_at_once(
    network: httpx.Client, customer: Programme
) -> None:
    key = uuid4().hex
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: swipe(network, customer, 500, key), range(10)))
    assert answers == [answers[0]] * 10
    customer.deliver()
    held = network.get(f"/v1/accounts/{customer.account_id}/balance").json()["held_minor"]
    assert held == 500


@pytest.mark.parametrize(
    "other", [{"amount_minor": 501}, {"currency": "USD"}, {"trace_number": "000002"}, {"card_token": "card-b"}]
)
def test_the_same_key_with_other_business_fields_is_refused(
    network: httpx.Client, customer: Programme, other: dict[str, Any]
) -> None:
    key = uuid4().hex
    body = {"card_token": customer.card, "amount_minor": 500, "currency": "EUR", "trace_number": "000001"}
    headers = {"Idempotency-Key": key}
    assert network.post("/v1/authorizations", json=body, headers=headers).status_code == 200
    problem(network.post("/v1/authorizations", json={**body, **other}, headers=headers), 409, "command_id_reused")


def test_of_many_swipes_at_once_as_many_are_approved_as_there_are_funds_for(
    network: httpx.Client, databases: Databases
) -> None:
    poor = Programme(databases, cents=370)
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: swipe(network, poor, 10, deadline_ms=30_000), range(60)))
    assert sum(answer["approved"] for answer in answers) == 37
    assert {answer["reason"] for answer in answers if not answer["approved"]} == {"insufficient_funds"}


def test_a_capture_and_a_reversal_have_their_effect_once(network: httpx.Client, customer: Programme) -> None:
    first, second = swipe(network, customer, 700)["payment_id"], swipe(network, customer, 800)["payment_id"]
    posted = {"presentment_id": "P1", "amount_minor": 700, "currency": "EUR"}
    for _ in range(2):
        assert network.post(f"/v1/authorizations/{first}/captures", json=posted).json()["state"] == "captured"
        assert (
            network.post(f"/v1/authorizations/{second}/reversals", json={"reversal_id": "R1"}).json()["state"]
            == "reversed"
        )
    customer.deliver()
    types = [event["type"] for event in network.get(f"/v1/payments/{first}/events").json()["events"]]
    assert types.count("PaymentCaptured") == 1


def test_a_payment_nobody_knows_cannot_be_captured(network: httpx.Client) -> None:
    posted = {"presentment_id": "P1", "amount_minor": 700, "currency": "EUR"}
    problem(network.post(f"/v1/authorizations/{uuid4()}/captures", json=posted), 404, "not_found")
    problem(network.post(f"/v1/authorizations/{uuid4()}/reversals", json={"reversal_id": "R"}), 404, "not_found")


def test_a_frozen_card_pays_nothing_until_it_is_active_again(
    address: str, network: httpx.Client, customer: Programme
) -> None:
    with client(address, "operator") as operator:
        card = f"/v1/accounts/{customer.account_id}/card"
        for _ in range(2):
            assert operator.post(f"{card}/freeze", json=example(CardOrder)).status_code == 204
        assert swipe(network, customer, 100)["reason"] == "card_frozen"
        customer.deliver()
        assert operator.get(f"/v1/accounts/{customer.account_id}").json()["card_state"] == "frozen"
        assert operator.get(f"/v1/accounts/{customer.account_id}/balance").json()["blocked_by"] == "card_frozen"
        assert operator.post(f"{card}/unfreeze", json={"reason": "found again"}).status_code == 204
        assert swipe(network, customer, 100)["approved"]
        problem(operator.post(f"/v1/accounts/{uuid4()}/card/freeze", json={"reason": "lost"}), 404, "not_found")


# --- operations ---------------------------------------------------------------------------------------------------------


def test_health_is_told_without_a_key_and_the_lag_with_it(
    address: str, network: httpx.Client, customer: Programme
) -> None:
    swipe(network, customer, 100)
    with client(address, None) as nobody:
        assert nobody.get("/health/live").json() == {"status": "live"}
        ready = nobody.get("/health/ready").json()
    assert (ready["status"], [server["reachable"] for server in ready["servers"]]) == ("ready", [True, True])
    assert ready["newest_position"] > 0
    counted = network.get("/metrics").text
    assert 'payriver_authorizations_total{response_code="00"}' in counted
    assert "payriver_ready 1" in counted


PARKED = """
INSERT INTO parked_messages (parked_id, consumer, topic, topic_id, partition, "offset", key, headers, timestamp_ms, state)
VALUES (%(id)s, 'a test', 'payments.events', %(id)s, 0, 1, 'a test', '{}', 0, 'parked')
"""


def test_whatever_waits_for_a_person_is_counted_by_its_kind(
    databases: Databases, network: httpx.Client, customer: Programme
) -> None:
    def counted() -> dict[str, int]:
        lines = network.get("/metrics").text.splitlines()
        return {line.split('"')[1]: int(line.split()[-1]) for line in lines if line.startswith("payriver_parked{")}

    before, made = counted(), {"id": str(uuid4())}
    saga = swipe(network, customer, 100)["payment_id"]
    servers = [databases.as_role(server, "owner") for server in ("write", "read")]
    for server in servers:
        with transaction(server) as cursor:
            cursor.execute(PARKED, made)
    with transaction(servers[0]) as cursor:
        cursor.execute("SELECT state, ended_at FROM sagas WHERE saga_id = %s", (saga,))
        ((state, ended_at),) = cursor.fetchall()
        assert ended_at is None
        cursor.execute("UPDATE sagas SET state = 'parked' WHERE saga_id = %s", (saga,))
    after = counted()
    with transaction(servers[0]) as cursor:
        cursor.execute("UPDATE sagas SET state = %s WHERE saga_id = %s", (state, saga))
    for server in servers:
        with transaction(server) as cursor:
            cursor.execute("DELETE FROM parked_messages WHERE parked_id = %(id)s", made)
    assert {kind: after[kind] - before[kind] for kind in after} == {
        "write_message": 1, "read_message": 1, "saga": 1, "webhook": 0,
    }  # fmt: skip


def test_the_documentation_has_every_route_and_loads_nothing_from_outside(address: str) -> None:
    with client(address, None) as nobody:
        page = nobody.get("/docs").text
        assert "http://" not in page.replace(address, "") and "https://" not in page
        document = nobody.get("/openapi.json").json()
        assert {"/v1/authorizations", "/v1/payments/{payment_id}/events", "/v1/accounts/{account_id}/statement"} <= set(
            document["paths"]
        )
        for path, operations in document["paths"].items():
            for operation in operations.values():
                assert operation["description"].replace("`", "").startswith(operation["summary"]), path
                assert len(operation["tags"]) == 1, path
                if path.startswith("/v1/"):
                    assert operation["security"], path
        schemas = document["components"]["schemas"]
        assert schemas["Authorization"]["examples"] and "HTTPValidationError" not in schemas
        named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
        assert named <= schemas.keys()


def test_a_documented_example_is_taken_as_it_stands(network: httpx.Client) -> None:
    answer = network.post("/v1/authorizations", json=example(Authorization), headers={"Idempotency-Key": uuid4().hex})
    assert answer.status_code == 200
    assert answer.json()["reason"] == "account_unknown"  # nobody has that card; it was asked for all the same
