"""The outermost layer of the API: what every answer carries, also where we made a mistake."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient

from api.door import problems
from api.door.layer import Door


@pytest.fixture
def client() -> TestClient:
    """Of an application that fails, before it says anything and in the midst of it."""
    app = FastAPI()
    problems.install(app)
    app.add_middleware(Door)

    @app.get("/fails")
    async def fails() -> None:
        raise RuntimeError("of us alone")

    @app.get("/breaks-off")
    async def breaks_off() -> StreamingResponse:
        def pieces() -> Any:
            yield b"a"
            raise RuntimeError("of us alone")

        return StreamingResponse(pieces())

    @app.get("/says")
    async def says() -> dict[str, int]:
        return {"one": 1}

    @app.post("/orders")
    async def orders() -> None:
        pass

    return TestClient(app)


def test_where_we_fail_the_answer_is_a_problem_that_carries_what_every_answer_does(client: TestClient) -> None:
    answer = client.get("/fails")
    assert (answer.status_code, answer.headers["content-type"]) == (500, problems.MEDIA_TYPE)
    assert answer.json()["type"] == "/problems/failed" and "alone" not in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"


def test_an_answer_that_began_is_broken_off_and_never_ends_as_another_one(client: TestClient) -> None:
    with pytest.raises(RuntimeError, match="of us alone"):
        client.get("/breaks-off")


def test_who_asks_for_the_head_alone_is_told_what_get_would_be_told_and_nothing_of_its_content(
    client: TestClient,
) -> None:
    for path in ("/says", "/fails", "/nowhere", "/openapi.json"):
        full, head = client.get(path), client.head(path)
        assert (head.status_code, head.headers, head.content) == (full.status_code, full.headers, b"")


def test_where_get_is_allowed_head_is_and_nowhere_else(client: TestClient) -> None:
    assert client.put("/says").headers["Allow"] == "GET, HEAD"
    assert (client.head("/orders").status_code, client.head("/orders").headers["Allow"]) == (405, "POST")
