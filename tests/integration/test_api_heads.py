"""What answers GET answers HEAD, with the same status and headers and without its content (RFC 9110, 9.3.2)."""

from __future__ import annotations

from uuid import UUID

import httpx
import pytest

from tests.integration.callers import address, customer, network, programme, reader, swipe
from tests.integration.programme import Programme

__all__ = ["address", "customer", "network", "programme", "reader"]

VARYING = {"date", "content-length"}
"""Lags and ages are told with as many digits as they have."""


def test_every_route_that_answers_get_answers_head(
    network: httpx.Client, reader: httpx.Client, customer: Programme
) -> None:
    named = {"payment_id": swipe(network, customer)["payment_id"], "account_id": str(customer.account_id)}
    paths = reader.get("/openapi.json").json()["paths"]
    told = [path for path, methods in paths.items() if "get" in methods and path != "/v1/live"]
    assert len(told) > 10
    for path in [*told, "/", "/docs", "/openapi.json", "/static/app.js"]:
        asked = path.format_map({**dict.fromkeys(_names(path), str(UUID(int=7))), **named})
        full, head = reader.get(asked), reader.head(asked)
        assert (head.status_code, head.content) == (full.status_code, b""), path
        assert _kept(head) == _kept(full), path


def test_the_head_of_a_stream_that_never_ends_ends(reader: httpx.Client) -> None:
    for _ in range(3):
        head = reader.head("/v1/live", timeout=5)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"].startswith("text/event-stream")


@pytest.mark.parametrize("path", ["/v1/authorizations", "/session"])
def test_what_takes_orders_alone_refuses_it(reader: httpx.Client, path: str) -> None:
    refused = reader.head(path)
    assert (refused.status_code, "HEAD" in refused.headers["Allow"]) == (405, False)


def _names(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


def _kept(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in VARYING}
