"""Who may ask and order what: a key for each role, and a session of the page that only looks."""

from __future__ import annotations

from uuid import uuid4

import pytest

from api.requests.card_orders import (
    Advice,
    CaptureReversal,
    Dispute,
    DisputeResolution,
    EarlyReversal,
    Increment,
    MerchantBlock,
    Presentment,
    Refund,
    RefundAgain,
    RefundReversal,
    SpendClosing,
    UnlinkedRefund,
)
from api.requests.orders import Authorization, Capture, CardOrder, Reversal, example
from tests.integration.callers import address, customer, network, problem, programme, reader
from tests.integration.programme import KEYS, client

__all__ = ["address", "customer", "network", "programme", "reader"]


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
    f"/v1/payments/{uuid4()}/refund/renewal": ("operator", example(RefundAgain)),
    f"/v1/payments/{uuid4()}/spend/closing": ("operator", example(SpendClosing)),
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
