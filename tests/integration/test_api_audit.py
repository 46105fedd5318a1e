"""The audit log over the API: anchors are listed, and the proof of an event is the very file that the checker takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from connectors.anchoring import rows
from connectors.chain.sending.signing import Signer, TransactionOrder
from infra.audit import check
from infra.database import transaction
from streams.audit_log import proofs
from streams.audit_log.filler import Filler
from tests.integration.audit_side import add, head_of
from tests.integration.conftest import Databases
from tests.integration.programme import Programme, client, running_api


@pytest.fixture(scope="module")
def reader(databases: Databases) -> Iterator[httpx.Client]:
    with running_api(databases, Programme(databases).gateway) as address, client(address, "reader") as caller:
        yield caller


@pytest.fixture(scope="module")
def anchored(databases: Databases, reader: httpx.Client) -> check.Head:
    """A log, and an anchor of it that is final by our rows; and one more that is not."""
    filler = Filler(databases.as_role("write", "audit"), databases.as_role("read", "audit"))
    for state in ("final", "broadcast"):
        add(databases, 50)
        filler.catch_up(10)
        head = head_of(databases)
        with transaction(filler.write) as cursor:
            signer = Signer(b"\x07" * 32)
            order = TransactionOrder(100, head.size, signer.address, head.encode(), 60_000, 10, 1)
            rows.decide(cursor, head, signer.sign_transaction(order))
            cursor.execute(
                "UPDATE audit_transactions SET state = %s, block_number = 7 WHERE nonce = %s", (state, head.size)
            )
        if state == "final":
            kept = head
    return kept


def events(databases: Databases, first: bool) -> str:
    with transaction(databases.as_role("write", "auditor")) as cursor:
        cursor.execute(f"SELECT event_id FROM events ORDER BY position {'ASC' if first else 'DESC'} LIMIT 1")
        ((event_id,),) = cursor.fetchall()
        return str(event_id)


def test_anchors_are_listed_with_what_a_checker_needs(reader: httpx.Client, anchored: check.Head) -> None:
    listed = reader.get("/v1/audit/anchors").json()["anchors"]
    assert [each["state"] for each in listed[:2]] == ["broadcast", "final"]
    assert check.Head.parse(bytes.fromhex(listed[1]["data"][2:])) == anchored
    assert reader.get("/v1/audit/anchors?skip=1&limit=1").json()["anchors"] == listed[1:2]
    assert reader.get("/v1/audit/anchors?limit=0").status_code == 422


def test_the_proof_of_an_event_is_the_file_that_the_checker_takes(
    reader: httpx.Client, anchored: check.Head, databases: Databases
) -> None:
    event_id = events(databases, first=True)
    answer = reader.get(f"/v1/audit/events/{event_id}/proof")
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
    assert check.check_proof(answer.content, anchored)["event_id"] == event_id
    with transaction(databases.as_role("write", "auditor")) as cursor:
        assert proofs.prove(cursor, json.loads(answer.content)["index"] + 1, anchored)


def test_what_cannot_be_proved_is_a_problem_with_its_reason(
    reader: httpx.Client, anchored: check.Head, databases: Databases
) -> None:
    for event_id, status, reason in (
        (str(uuid4()), 404, "not_found"),
        (events(databases, first=False), 409, "not_covered"),
    ):
        answer = reader.get(f"/v1/audit/events/{event_id}/proof")
        assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{reason}")
    assert reader.get("/v1/audit/events/nonsense/proof").status_code == 422


def test_nobody_asks_without_a_key(reader: httpx.Client) -> None:
    for path in ("/v1/audit/anchors", f"/v1/audit/events/{uuid4()}/proof"):
        assert httpx.get(f"{reader.base_url}{path}", trust_env=False).status_code == 401
