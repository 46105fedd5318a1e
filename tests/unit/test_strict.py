"""What a request says twice is refused, and named with its place; and so is a parameter that nobody knows."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI, Header, Query
from fastapi.testclient import TestClient

from api.app import ROUTES
from api.door import problems
from api.door.strict import Strict

TWICE = "is given more than once; send it once"


@pytest.fixture(scope="module")
def client() -> TestClient:
    """Of an application that takes orders and answers questions."""
    app, router = FastAPI(), APIRouter(route_class=Strict)
    problems.install(app)

    @router.post("/orders")
    async def order(asked: dict[str, Any], idempotency_key: Annotated[str, Header()] = "") -> dict[str, Any]:
        return asked

    @router.get("/v1/questions")
    async def question(limit: int = 1, start: Annotated[str, Query(alias="from")] = "") -> list[Any]:
        return [limit, start]

    @router.get("/page")
    async def page() -> str:
        return "a page"

    app.include_router(router)
    return TestClient(app)


def refused(answer: Any) -> list[str]:
    told = answer.json()
    assert (answer.status_code, told["type"]) == (422, "/problems/bad_input"), told
    assert [each["problem"] for each in told["errors"]] == [TWICE] * len(told["errors"])
    return [each["at"] for each in told["errors"]]


@pytest.mark.parametrize(
    ("body", "at"),
    [
        (b'{"amount": 1, "amount": 100}', ["/amount"]),
        (b'{"amount": 1, "amount": 1, "amount": 1}', ["/amount"]),
        (b'{"merchant": {"mcc": "5814", "m\\u0063c": "7995"}, "amount": 1}', ["/merchant/mcc"]),
        (b'{"all": [0, {"a": 1, "a": 2}], "b": 1, "b": {"c": 1, "c": 2}}', ["/b", "/all/1/a", "/b/c"]),
        (b'{"a": {"x": 1, "x": 1}, "a": 1}', ["/a"]),
    ],
    ids=lambda value: value.decode() if isinstance(value, bytes) else "",
)
def test_a_name_that_an_object_has_twice_is_named_with_the_way_to_it(
    client: TestClient, body: bytes, at: list[str]
) -> None:
    assert refused(client.post("/orders", content=body, headers={"Content-Type": "application/json"})) == at


def test_the_same_name_in_two_objects_is_none(client: TestClient) -> None:
    body = {"a": 1, "b": {"a": 1}, "c": [{"a": 1}, {"a": 2}]}
    assert client.post("/orders", json=body).json() == body


def test_a_parameter_or_a_key_given_twice_is_named(client: TestClient) -> None:
    assert refused(client.get("/v1/questions?from=a&limit=1&from=b&limit=500")) == ["query from", "query limit"]
    twice = [("Idempotency-Key", "a"), ("Idempotency-Key", "a")]
    assert refused(client.post("/orders", json={}, headers=twice)) == ["header idempotency-key"]


@pytest.mark.parametrize(
    ("query", "name"), [("limt=7", "limt"), ("start=a", "start"), ("limit=7&as-of=3&as-of=4", "as-of")]
)
def test_a_parameter_that_nobody_knows_is_named_with_those_that_there_are(
    client: TestClient, query: str, name: str
) -> None:
    """An answer would look as if it had been heard: all payments instead of some, a balance as it is instead of as it was."""
    told = client.get(f"/v1/questions?{query}").json()
    assert [each["at"] for each in told["errors"]] == [f"query {name}"], told
    assert told["errors"][0]["problem"] == "nobody knows this parameter; leave it out, or take one of limit, from"


def test_a_page_is_shown_whatever_was_hung_on_its_address(client: TestClient) -> None:
    assert client.get("/page?utm_source=letter").json() == "a page"


def test_what_is_no_json_is_told_as_before(client: TestClient) -> None:
    for body, kind in ((b'{"a": 1, "a"', "malformed_json"), (b'{"a":' * 13_000, "malformed_json")):
        told = client.post("/orders", content=body, headers={"Content-Type": "application/json"})
        assert (told.status_code, told.json()["type"]) == (400, f"/problems/{kind}")
    told = client.post("/orders", content=b'{"a": 1, "a": 2}', headers={"Content-Type": "text/plain"})
    assert (told.status_code, told.json()["type"]) == (415, "/problems/unsupported_media_type")


def test_every_route_of_ours_looks_for_it() -> None:
    routes = [each for module in ROUTES for each in module.router.routes]
    assert len(routes) > 30 and all(isinstance(each, Strict) for each in routes)
