"""What the API cannot take is named with its place and its remedy, and leaves nothing behind."""

from __future__ import annotations

import socket
from typing import Any
from uuid import uuid4

import httpx
import pytest

from infra.database import transaction
from tests.integration.callers import address, customer, network, problem, programme, reader
from tests.integration.conftest import Databases

__all__ = ["address", "customer", "network", "programme", "reader"]


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
        ({"merchant": {"mcc": "٧٩٩٥"}}, "/merchant/mcc"),
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
    "body",
    [b"{nope", b"", b"\xff\xfe", b'{"a": 1', b"[" * 65_536, b'{"a":' * 13_000, b"1" * 5000],
    ids=lambda body: repr(body[:6]),
)
def test_a_body_that_is_not_json_is_told_so(network: httpx.Client, body: bytes) -> None:
    headers = {"Idempotency-Key": uuid4().hex, "Content-Type": "application/json"}
    answer = network.post("/v1/authorizations", content=body, headers=headers)
    assert answer.status_code in (400, 422), answer.text
    told = answer.json()
    assert told["type"] in ("/problems/malformed_json", "/problems/bad_input")
    assert told["detail"] and told["remedy"]


@pytest.mark.parametrize("body", [b'"text"', b'{"\\ud800": 1}', b"7", b"null"], ids=repr)
def test_json_that_is_no_order_is_told_so_and_not_that_it_was_not_declared(network: httpx.Client, body: bytes) -> None:
    headers = {"Idempotency-Key": uuid4().hex, "Content-Type": "application/json"}
    told = problem(network.post("/v1/authorizations", content=body, headers=headers), 422, "bad_input")
    assert told["errors"][0]["at"] == "/"


def test_half_a_character_is_no_key(network: httpx.Client) -> None:
    headers = {"Content-Type": "application/json"}
    problem(network.post("/session", content=b'{"key": "\\ud800"}', headers=headers), 401, "unauthenticated")


def test_a_body_of_another_type_or_size_is_refused(network: httpx.Client) -> None:
    headers = {"Idempotency-Key": uuid4().hex}
    answer = network.post("/v1/authorizations", content=b"card=1", headers={**headers, "Content-Type": "text/plain"})
    problem(answer, 415, "unsupported_media_type")
    headers["Content-Type"] = "application/json"
    problem(network.post("/v1/authorizations", content=b"x" * 65_537, headers=headers), 413, "too_large")
    in_pieces = (b"x" * 10_000 for _ in range(7))
    problem(network.post("/v1/authorizations", content=in_pieces, headers=headers), 413, "too_large")


def test_a_head_without_an_end_is_refused_before_anybody_knows_who_sends_it(address: str) -> None:
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"GET /v1/payments HTTP/1.1\r\nX-Api-Key: " + b"y" * 70_000)
        assert connection.recv(1000).startswith(b"HTTP/1.1 431 ")


def test_what_was_refused_at_the_door_left_nothing_behind(network: httpx.Client, databases: Databases) -> None:
    def stored() -> int:
        with transaction(databases.as_role("write", "auditor")) as cursor:
            cursor.execute("SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM command_answers)")
            return int((cursor.fetchone() or (0,))[0])

    before = stored()
    for body in ({**GOOD, "amount_minor": -1}, {**GOOD, "more": 1}, {}):
        assert network.post("/v1/authorizations", json=body, headers={"Idempotency-Key": "k"}).status_code == 422
    assert stored() == before


def test_what_is_said_twice_is_refused_and_named(network: httpx.Client, reader: httpx.Client) -> None:
    headers = [("Idempotency-Key", uuid4().hex), ("Content-Type", "application/json")]
    for body, at in (
        (b'{"card_token": "card-x", "amount_minor": 1, "currency": "EUR", "amount_minor": 100}', ["/amount_minor"]),
        (
            b'{"card_token": "c", "amount_minor": 1, "currency": "EUR", "merchant": {"mcc": "5814", "mcc": "7995"}}',
            ["/merchant/mcc"],
        ),
        (b'{"more": [{"a": 1, "a": 1}], "more": 1, "currency": "EUR", "currency": "EUR"}', ["/more", "/currency"]),
    ):
        told = problem(network.post("/v1/authorizations", content=body, headers=headers), 422, "bad_input")
        assert [entry["at"] for entry in told["errors"]] == at
        assert all(entry["problem"] == "is given more than once; send it once" for entry in told["errors"])
    told = problem(network.post("/session", content=b'{"key": "a", "key": "b"}', headers=headers), 422, "bad_input")
    assert told["detail"] == "/key: is given more than once; send it once"
    told = problem(reader.get("/v1/payments?limit=1&outcome=open&limit=500"), 422, "bad_input")
    assert [entry["at"] for entry in told["errors"]] == ["query limit"]
    again = [*headers, ("Idempotency-Key", uuid4().hex)]
    told = problem(network.post("/v1/authorizations", json=GOOD, headers=again), 422, "bad_input")
    assert [entry["at"] for entry in told["errors"]] == ["header idempotency-key"]


@pytest.mark.parametrize(
    ("query", "at"),
    [
        ("limit=0", "query limit"),
        ("outcome=lost", "query outcome"),
        ("account_id=7", "query account_id"),
        ("since=2026-01-01", "query since"),
        ("since=yesterday", "query since"),
        ("since=0001-01-01T00:00:00%2B23:59", "query since"),
        ("until=9999-12-31T23:59:59-23:59", "query until"),
        ("since=20260301", "query since"),
        ("since=2026-03-01T00:00:00+01:00", "query since"),
        ("limt=5", "query limt"),
        ("as-of=7", "query as-of"),
    ],
)
def test_a_question_that_makes_no_sense_is_told_why(reader: httpx.Client, query: str, at: str) -> None:
    told = problem(reader.get(f"/v1/payments?{query}"), 422, "bad_input")
    assert [entry["at"] for entry in told["errors"]] == [at]


def test_a_list_of_payments_between_a_day_and_one_before_is_refused_as_a_statement_is(reader: httpx.Client) -> None:
    for since in ("2026-03-02T00:00:00Z", "2026-03-01T00:00:00Z"):
        told = problem(reader.get(f"/v1/payments?since={since}&until=2026-03-01T00:00:00Z"), 422, "bad_input")
        assert told["detail"].endswith("is not before until 2026-03-01T00:00:00+00:00; send them the other way round")


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
