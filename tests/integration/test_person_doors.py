"""The register of persons through its doors, the API and the command line: registered, shown, held and forgotten."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest

from infra.stack import access
from tests.integration.conftest import Databases
from tests.integration.personal import EMAIL, LAW, NAME, TOMORROW
from tests.integration.programme import Programme, client, running_api


@pytest.fixture(scope="module")
def privacy(databases: Databases) -> Iterator[httpx.Client]:
    with running_api(databases, Programme(databases).gateway) as address, client(address, "privacy") as caller:
        yield caller


def test_over_the_api_a_person_is_registered_shown_held_and_forgotten(privacy: httpx.Client) -> None:
    path = f"/v1/persons/{uuid4()}"
    details = {"name": NAME, "email": EMAIL, "phone": None}
    for _ in range(2):
        assert privacy.put(path, json=details).status_code == 204
    shown = privacy.get(path)
    assert shown.json()["details"] == details and shown.headers["cache-control"] == "no-store"
    assert privacy.put(f"{path}/hold", json={"until": TOMORROW.isoformat(), "reason": LAW}).status_code == 204
    refused = privacy.post(f"{path}/forget", json={"reason": "asked for"})
    assert refused.status_code == 409 and LAW in refused.json()["detail"]
    assert privacy.post(f"{path}/release", json={"reason": "over"}).status_code == 204
    assert privacy.post(f"{path}/forget", json={"reason": "asked for"}).status_code == 204
    told = privacy.get(path).json()
    assert (told["state"], told["details"]) == ("forgotten", None)
    assert privacy.put(path, json=details).status_code == 409


def test_only_a_key_for_persons_opens_the_register(privacy: httpx.Client) -> None:
    for role in ("reader", "network", "operator"):
        with client(str(privacy.base_url), role) as caller:
            assert caller.get(f"/v1/persons/{uuid4()}").status_code == 403
    assert privacy.get(f"/v1/persons/{uuid4()}").status_code == 404
    assert privacy.post("/v1/authorizations", json={}).status_code == 403


def _payriver(databases: Databases, *words: str, said: Any = None) -> subprocess.CompletedProcess[str]:
    home = databases.stack.home
    told = {
        "PAYRIVER_WRITE_URL": access.database_url(home, "write", "operator"),
        "PAYRIVER_READ_URL": access.database_url(home, "read", "operator"),
        "PAYRIVER_KEYS_URL": access.database_url(home, "read", "keeper", access.KEYS),
    }
    return subprocess.run(
        [sys.executable, "-m", "api.cli.main", *words],
        input=json.dumps(said) if said else "",
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **told},
    )


def test_from_the_command_line_too(databases: Databases) -> None:
    made = _payriver(databases, "person", "register", said={"name": NAME, "email": EMAIL})
    person_id = made.stdout.strip()
    assert json.loads(_payriver(databases, "person", "show", person_id, "--json").stdout)["name"] == NAME
    assert _payriver(databases, "person", "hold", person_id, "--until", "2999-01-01", "--reason", LAW).returncode == 0
    refused = _payriver(databases, "forget", person_id)
    assert refused.returncode == 1 and f"until 2999-01-01 00:00 UTC: {LAW}" in refused.stderr
    assert _payriver(databases, "person", "release", person_id, "--reason", "over").returncode == 0
    assert _payriver(databases, "forget", person_id).stdout == "forgotten\n"
    shown = _payriver(databases, "person", "show", person_id)
    assert "forgotten" in shown.stdout and NAME not in shown.stdout
    wrong: tuple[Any, ...] = ({"name": ""}, {"name": NAME, "iban": "x"}, {"email": EMAIL}, ["name"])
    with ThreadPoolExecutor(len(wrong)) as pool:
        answers = list(pool.map(lambda said: _payriver(databases, "person", "register", said=said), wrong))
    for bad in answers:
        assert bad.returncode == 1 and bad.stderr.startswith("bad_input:") and NAME not in bad.stderr
