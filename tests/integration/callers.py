"""The API and who calls it: the card network, a reader, a customer whose payments nobody else makes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from tests.integration.conftest import Databases
from tests.integration.programme import Programme, client, running_api


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
