"""Questions to the API: pages, filters, events, balances and statements say what the streams say."""

from __future__ import annotations

import csv
from itertools import pairwise
from time import sleep
from typing import Any
from uuid import UUID, uuid4

import httpx

from infra.database import transaction
from tests.integration.callers import address, customer, network, problem, programme, reader, swipe
from tests.integration.conftest import Databases
from tests.integration.programme import CENT, Programme

__all__ = ["address", "customer", "network", "programme", "reader"]


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


def test_the_id_of_another_kind_has_no_events(network: httpx.Client, customer: Programme) -> None:
    """An account's id below /v1/payments is no payment, from its first event on and after any; so is an id that nobody has."""
    payment_id = swipe(network, customer, 250)["payment_id"]
    customer.deliver()
    assert network.get(f"/v1/payments/{payment_id}/events?after=2000").json()["events"] == []
    for after in (0, 1, 2000):
        for kind, other in (("payment", customer.account_id), ("account", payment_id), ("payment", uuid4())):
            told = problem(network.get(f"/v1/{kind}s/{other}/events?after={after}"), 404, "not_found")
            assert told["detail"] == f"there is no {kind} {other}"


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
    assert account is not None
    assert told["spendable_raw"] == str(account.spendable_raw(told["block_time"]))
    assert told["total_raw"] == str(account.final_raw) == str((10_000 - 300 + 55) * CENT + 10)
    assert (told["total_minor"], told["held_minor"], told["pending_minor"]) == (9755, 100, 200)
    assert told["blocked_by"] is None


def test_an_old_block_makes_an_old_view_however_lately_the_listener_came_by_it(
    reader: httpx.Client, network: httpx.Client, customer: Programme
) -> None:
    """It reads what it missed for an hour: nothing is approved meanwhile, and balance, health and alarm say so too."""
    with transaction(customer.owner) as cursor:
        cursor.execute(
            "UPDATE chain_cursors SET moved_at = clock_timestamp(), seen_time = extract(epoch FROM now()) - 3600"
        )
    try:
        assert swipe(network, customer, 100)["reason"] == "chain_stale"
        sleep(1.1)  # the page's view is kept for a second
        customer.deliver()
        assert reader.get(f"/v1/accounts/{customer.account_id}/balance").json()["blocked_by"] == "chain_stale"
        assert network.get("/health/ready").json()["chain_age_seconds"] >= 3600
        assert "payriver_chain_age_seconds 36" in reader.get("/metrics").text
    finally:
        customer.see_block()


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
