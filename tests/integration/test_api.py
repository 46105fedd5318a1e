"""The API on real databases: what is asked is answered as the streams say, and what cannot be taken is named and changes nothing."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from api.card_orders import (
    Advice,
    CaptureReversal,
    Dispute,
    DisputeResolution,
    EarlyReversal,
    Increment,
    MerchantBlock,
    Presentment,
    Refund,
    RefundReversal,
    UnlinkedRefund,
)
from api.orders import Authorization, Capture, CardOrder, Reversal, example
from infra.database import transaction
from tests.integration.conftest import Databases
from tests.integration.programme import CENT, KEYS, Programme, client, running_api


@pytest.fixture(scope="module")
def programme(databases: Databases) -> Programme:
    return Programme(databases)


@pytest.fixture(scope="module")
def address(databases: Databases, programme: Programme) -> Iterator[str]:
    with running_api(databases, programme.gateway) as address:
        yield address


@pytest.fixture(scope="module")
def network(address: str) -> Iterator[httpx.Client]:
    with client(address, "network") as caller:
        yield caller


@pytest.fixture(scope="module")
def reader(address: str) -> Iterator[httpx.Client]:
    with client(address, "reader") as caller:
        yield caller


@pytest.fixture
def customer(databases: Databases) -> Programme:
    """Another customer, whose payments nobody else makes."""
    made = Programme(databases)
    made.deliver()
    return made


def swipe(
    network: httpx.Client, of: Programme, cents: int = 1234, key: str | None = None, **more: Any
) -> dict[str, Any]:
    body = {"card_token": of.card, "amount_minor": cents, "currency": "EUR", **more}
    answer = network.post("/v1/authorizations", json=body, headers={"Idempotency-Key": key or uuid4().hex})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    of.streams.append(UUID(told["payment_id"]))
    return told


def problem(answer: httpx.Response, status: int, reason: str) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    told: dict[str, Any] = answer.json()
    assert (told["type"], told["status"]) == (f"/problems/{reason}", status)
    assert told["title"] and told["detail"] and told["remedy"]
    return told


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


# --- what cannot be taken ------------------------------------------------------------------------------------------------

GOOD = {"card_token": "card-x", "amount_minor": 1, "currency": "EUR"}


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"amount_minor": 2**255 + 1}, "/amount_minor"),
        ({"amount_minor": -1}, "/amount_minor"),
        ({"amount_minor": 12.5}, "/amount_minor"),
        ({"amount_minor": "12"}, "/amount_minor"),
        ({"amount_minor": True}, "/amount_minor"),
        ({"amount_minor": None}, "/amount_minor"),
        ({"currency": "eur"}, "/currency"),
        ({"card_token": ""}, "/card_token"),
        ({"card_token": "a\u0000b"}, "/card_token"),
        ({"card_token": "x" * 65}, "/card_token"),
        ({"merchant": {"mcc": "58"}}, "/merchant/mcc"),
        ({"merchant": {"name": "Caf\u0000e"}}, "/merchant/name"),
        ({"merchant": {"colour": "red"}}, "/merchant/colour"),
        ({"amount": 12}, "/amount"),
        ({"deadline_ms": 0}, "/deadline_ms"),
    ],
    ids=str,
)
def test_a_wrong_value_is_named_with_its_place_and_its_remedy(
    network: httpx.Client, change: dict[str, Any], at: str
) -> None:
    answer = network.post("/v1/authorizations", json={**GOOD, **change}, headers={"Idempotency-Key": uuid4().hex})
    told = problem(answer, 422, "bad_input")
    assert [entry["at"] for entry in told["errors"]] == [at]
    assert told["errors"][0]["problem"]


@pytest.mark.parametrize("key", [None, "", "x" * 256, "tab\there"])
def test_an_authorization_needs_an_idempotency_key(network: httpx.Client, key: str | None) -> None:
    headers = {} if key is None else {"Idempotency-Key": key}
    told = problem(network.post("/v1/authorizations", json=GOOD, headers=headers), 422, "bad_input")
    assert [entry["at"] for entry in told["errors"]] == ["header idempotency-key"]


@pytest.mark.parametrize(
    "body", [b"{nope", b"", b"\xff\xfe", b'{"a": 1', b"[" * 20_000, b"1" * 5000], ids=lambda body: repr(body[:6])
)
def test_a_body_that_is_not_json_is_told_so(network: httpx.Client, body: bytes) -> None:
    headers = {"Idempotency-Key": uuid4().hex, "Content-Type": "application/json"}
    answer = network.post("/v1/authorizations", content=body, headers=headers)
    assert answer.status_code in (400, 422), answer.text
    told = answer.json()
    assert told["type"] in ("/problems/malformed_json", "/problems/bad_input")
    assert told["detail"] and told["remedy"]


def test_a_body_of_another_type_or_size_is_refused(network: httpx.Client) -> None:
    headers = {"Idempotency-Key": uuid4().hex}
    answer = network.post("/v1/authorizations", content=b"card=1", headers={**headers, "Content-Type": "text/plain"})
    problem(answer, 415, "unsupported_media_type")
    headers["Content-Type"] = "application/json"
    problem(network.post("/v1/authorizations", content=b"x" * 65_537, headers=headers), 413, "too_large")
    in_pieces = (b"x" * 10_000 for _ in range(7))
    problem(network.post("/v1/authorizations", content=in_pieces, headers=headers), 413, "too_large")


def test_what_was_refused_at_the_door_left_nothing_behind(network: httpx.Client, databases: Databases) -> None:
    def stored() -> int:
        with transaction(databases.as_role("write", "auditor")) as cursor:
            cursor.execute("SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM command_answers)")
            return int((cursor.fetchone() or (0,))[0])

    before = stored()
    for body in ({**GOOD, "amount_minor": -1}, {**GOOD, "more": 1}, {}):
        assert network.post("/v1/authorizations", json=body, headers={"Idempotency-Key": "k"}).status_code == 422
    assert stored() == before


@pytest.mark.parametrize(
    ("query", "at"),
    [
        ("limit=0", "query limit"),
        ("outcome=lost", "query outcome"),
        ("account_id=7", "query account_id"),
        ("since=2026-01-01", "query since"),
        ("since=yesterday", "query since"),
    ],
)
def test_a_question_that_makes_no_sense_is_told_why(reader: httpx.Client, query: str, at: str) -> None:
    told = problem(reader.get(f"/v1/payments?{query}"), 422, "bad_input")
    assert [entry["at"] for entry in told["errors"]] == [at]


@pytest.mark.parametrize("cursor", ["x", "%00", "W10", "WzEsMl0", "WyJhIiwiYiJd", "é"])
def test_a_cursor_that_we_did_not_give_is_refused(reader: httpx.Client, cursor: str) -> None:
    problem(reader.get(f"/v1/payments?cursor={cursor}"), 422, "bad_input")
    problem(reader.get(f"/v1/accounts?cursor={cursor}"), 422, "bad_input")


def test_unknown_things_paths_and_methods_are_problems_too(reader: httpx.Client) -> None:
    problem(reader.get(f"/v1/payments/{uuid4()}"), 404, "not_found")
    problem(reader.get(f"/v1/payments/{uuid4()}/events"), 404, "not_found")
    problem(reader.get(f"/v1/accounts/{uuid4()}/balance"), 404, "not_found")
    problem(reader.get(f"/v1/accounts/{uuid4()}/statement"), 404, "not_found")
    problem(reader.get("/v1/nothing"), 404, "not_found")
    problem(reader.put("/v1/payments"), 405, "method_not_allowed")
    kind = reader.get("/problems/command_id_reused")
    assert (kind.status_code, "HTTP 409" in kind.text) == (200, True)


# --- who may ------------------------------------------------------------------------------------------------------------

ORDERS = {
    "/v1/authorizations": ("network", example(Authorization)),
    f"/v1/authorizations/{uuid4()}/captures": ("network", example(Capture)),
    f"/v1/authorizations/{uuid4()}/reversals": ("network", example(Reversal)),
    f"/v1/authorizations/{uuid4()}/increments": ("network", example(Increment)),
    f"/v1/authorizations/{uuid4()}/capture-reversals": ("network", example(CaptureReversal)),
    f"/v1/authorizations/{uuid4()}/refunds": ("network", example(Refund)),
    f"/v1/authorizations/{uuid4()}/refund-reversals": ("network", example(RefundReversal)),
    f"/v1/authorizations/{uuid4()}/disputes": ("network", example(Dispute)),
    f"/v1/authorizations/{uuid4()}/disputes/D1/resolution": ("network", example(DisputeResolution)),
    "/v1/advices": ("network", example(Advice)),
    "/v1/presentments": ("network", example(Presentment)),
    "/v1/refunds": ("network", example(UnlinkedRefund)),
    "/v1/reversals": ("network", example(EarlyReversal)),
    f"/v1/payments/{uuid4()}/receivable/collection": ("operator", {}),
    f"/v1/payments/{uuid4()}/receivable/write-off": ("operator", {}),
    f"/v1/accounts/{uuid4()}/card/blocks": ("operator", example(MerchantBlock)),
    f"/v1/accounts/{uuid4()}/card/unblocks": ("operator", example(MerchantBlock)),
    f"/v1/accounts/{uuid4()}/card/freeze": ("operator", example(CardOrder)),
    f"/v1/accounts/{uuid4()}/card/unfreeze": ("operator", example(CardOrder)),
}


@pytest.mark.parametrize("path", ["/v1/payments", "/v1/accounts", f"/v1/payments/{uuid4()}", "/v1/live", "/metrics"])
def test_nobody_reads_without_a_key(address: str, path: str) -> None:
    with client(address, None) as nobody:
        answer = nobody.get(path)
        problem(answer, 401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        problem(nobody.get(path, headers={"Authorization": "Bearer not-a-key-of-ours"}), 401, "unauthenticated")


@pytest.mark.parametrize("path", ORDERS)
def test_an_order_needs_a_key_whose_role_may_give_it(address: str, path: str) -> None:
    allowed, body = ORDERS[path]
    headers = {"Idempotency-Key": uuid4().hex}
    with client(address, None, **headers) as nobody:
        problem(nobody.post(path, json=body), 401, "unauthenticated")
    for role in {"reader", "network", "operator"} - {allowed}:
        with client(address, role, **headers) as caller:
            problem(caller.post(path, json=body), 403, "forbidden")
    for role in (allowed, "admin"):
        with client(address, role, **headers) as caller:
            assert caller.post(path, json=body).status_code in (200, 404)


def test_a_bearer_token_is_the_same_key(address: str) -> None:
    with client(address, None, Authorization=f"Bearer {KEYS['reader']}") as caller:
        assert caller.get("/v1/payments").status_code == 200


def test_the_pages_session_may_look_and_give_no_order(address: str) -> None:
    with client(address, None) as browser:
        problem(browser.post("/session", json={"key": "not-a-key-of-ours"}), 401, "unauthenticated")
        answer = browser.post("/session", json={"key": KEYS["admin"]})
        assert answer.status_code == 204
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=strict" in cookie and KEYS["admin"] not in cookie
        assert browser.get("/v1/payments").status_code == 200
        headers = {"Idempotency-Key": uuid4().hex}
        problem(browser.post("/v1/authorizations", json=example(Authorization), headers=headers), 403, "forbidden")
        browser.delete("/session")
        problem(browser.get("/v1/payments"), 401, "unauthenticated")


# --- questions ----------------------------------------------------------------------------------------------------------


def test_pages_of_payments_follow_each_other_without_gap_or_double(network: httpx.Client, customer: Programme) -> None:
    made = [swipe(network, customer, cents)["payment_id"] for cents in range(1, 8)]
    customer.deliver()
    query: dict[str, Any] = {"account_id": str(customer.account_id), "limit": 3}
    found, pages = [], 0
    while True:
        page = network.get("/v1/payments", params=query).json()
        found += [each["payment_id"] for each in page["payments"]]
        pages += 1
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert (found, pages) == (made[::-1], 3)


def test_payments_are_found_by_what_they_are_and_when(network: httpx.Client, customer: Programme) -> None:
    approved, declined = swipe(network, customer, 100)["payment_id"], swipe(network, customer, 10**9)["payment_id"]
    customer.deliver()

    def found(**query: str) -> list[str]:
        told = network.get("/v1/payments", params={"account_id": str(customer.account_id), **query})
        assert told.status_code == 200, told.text
        return [each["payment_id"] for each in told.json()["payments"]]

    assert found(outcome="declined") == [declined]
    assert found(state="authorized") == [approved]
    assert found(origin="chain") == []
    first = network.get(f"/v1/payments/{approved}").json()["requested_at"]
    assert set(found(since=first)) == {approved, declined}
    assert found(until=first) == []
    assert found(since="2026-03-01T00:00:00+02:00", until="2026-03-01T00:00:01+02:00") == []


def test_a_payments_events_come_in_order_with_their_place_in_kafka(network: httpx.Client, customer: Programme) -> None:
    payment_id = swipe(network, customer, 250)["payment_id"]
    tx_hash = customer.spend(UUID(payment_id), 250)
    customer.deliver()
    told = network.get(f"/v1/payments/{payment_id}/events", params={"limit": 4}).json()
    rest = network.get(f"/v1/payments/{payment_id}/events", params={"after": told["next_after"]}).json()
    events = told["events"] + rest["events"]
    assert rest["next_after"] is None
    assert [event["version"] for event in events] == list(range(1, len(events) + 1))
    types = [event["type"] for event in events]
    assert types[0] == "PaymentRequested" and types[-1] == "LegSettled"
    assert events[-1]["payload"]["tx_hash"] == tx_hash
    assert {event["topic"] for event in events} == {"payments.events"}
    assert all(event["offset"] == event["position"] for event in events)  # as this programme's river numbers them
    assert all(event["recorded_at"] <= event["delivered_at"] for event in events)
    of_account = network.get(f"/v1/accounts/{customer.account_id}/events").json()["events"]
    assert [event["type"] for event in of_account][:2] == ["AccountRegistered", "FundsHeld"]


def test_a_balance_is_what_the_write_side_would_decide_by(
    reader: httpx.Client, network: httpx.Client, databases: Databases
) -> None:
    customer = Programme(databases, cents=10_000, allowance_cents=2_000)
    settled, seen = (UUID(swipe(network, customer, cents)["payment_id"]) for cents in (300, 200))
    swipe(network, customer, 100)
    customer.spend(settled, 300)
    customer.spend(seen, 200, final=False)
    customer.deposit(55 * CENT + 3)
    customer.see_block()
    customer.deliver()
    told = reader.get(f"/v1/accounts/{customer.account_id}/balance").json()
    with transaction(customer.owner) as cursor:
        account = customer.handler.state(cursor, customer.account_id)
    assert told["spendable_raw"] == str(account.spendable_raw(told["block_time"]))
    assert told["total_raw"] == str(account.final_raw) == str((10_000 - 300 + 55) * CENT + 10)
    assert (told["total_minor"], told["held_minor"], told["pending_minor"]) == (9755, 100, 200)
    assert told["blocked_by"] is None


def test_a_statement_opens_books_and_closes_to_the_last_unit(
    reader: httpx.Client, network: httpx.Client, customer: Programme
) -> None:
    payment_id = UUID(swipe(network, customer, 300)["payment_id"])
    tx_hash = customer.spend(payment_id, 300)
    between = customer.at()
    customer.deposit(55 * CENT + 3)
    customer.deliver()
    path = f"/v1/accounts/{customer.account_id}/statement"
    told = reader.get(path).json()
    opening, closing = 100_000 * CENT + 7, 99_755 * CENT + 10
    assert [(line["kind"], line["amount_raw"], line["balance_raw"]) for line in told["lines"]] == [
        ("opening", str(opening), str(opening)),
        ("spend", str(-300 * CENT), str(opening - 300 * CENT)),
        ("deposit", str(55 * CENT + 3), str(closing)),
    ]
    assert (told["opening_raw"], told["closing_raw"], told["closing_minor"]) == ("0", str(closing), 99_755)
    assert (told["lines"][1]["tx_hash"], told["lines"][1]["payment_id"]) == (tx_hash, str(payment_id))
    parts = [reader.get(path, params=period).json() for period in (
        {"to": between}, {"from": between, "to": customer.at()}, {"from": customer.at()})]  # fmt: skip
    assert [len(part["lines"]) for part in parts] == [1, 1, 1]
    for before, after in pairwise(parts):
        assert before["closing_raw"] == after["opening_raw"]
    later = reader.get(path, params={"from": "2099-01-01T00:00:00Z"}).json()
    assert (later["lines"], later["opening_raw"], later["closing_raw"]) == ([], str(closing), str(closing))
    earlier = reader.get(path, params={"to": "2020-01-01T00:00:00Z"}).json()
    assert (earlier["lines"], earlier["opening_raw"], earlier["closing_raw"]) == ([], "0", "0")


def test_a_statement_is_csv_for_who_asks_for_it(reader: httpx.Client, customer: Programme) -> None:
    path = f"/v1/accounts/{customer.account_id}/statement"
    answer = reader.get(path, headers={"Accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(answer.text.splitlines()))
    assert [row["kind"] for row in rows] == ["balance brought forward", "opening"]
    assert rows[-1]["balance_raw"] == str(100_000 * CENT + 7)
    assert reader.get(path, headers={"Accept": "application/json, text/csv;q=0.5"}).json()["lines"]


def test_a_period_that_ends_before_it_begins_is_refused(reader: httpx.Client, customer: Programme) -> None:
    period = {"from": "2026-03-02T00:00:00Z", "to": "2026-03-01T00:00:00Z"}
    problem(reader.get(f"/v1/accounts/{customer.account_id}/statement", params=period), 422, "bad_input")


def test_pages_of_accounts_hold_every_account_once(reader: httpx.Client, customer: Programme) -> None:
    found, cursor = [], None
    while True:
        page = reader.get("/v1/accounts", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        found += [each["account_id"] for each in page["accounts"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == sorted(found) and len(found) == len(set(found))
    assert str(customer.account_id) in found


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
                assert operation["summary"] and operation["description"], path
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
