"""A person who paid is forgotten: the name is in no dump, no record, no log, and every sum and hash still agrees."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from api.demo.world import World
from connectors.chain.accounts.request import Request
from infra.errors import LegallyHeld
from infra.stack import access
from schemas.topics import TOPICS
from streams.persons.sealing import Details
from tests.integration.outbox import every_record
from tests.integration.personal import dump, files, places

NAME, EMAIL = "Theodora Wiesengrund-Öztürk", "theodora.wiesengrund@example.org"


def test_a_person_who_paid_is_forgotten_and_nothing_else_is(world: World, agrees: Callable[[], None]) -> None:
    person_id, persons = uuid4(), world.operator.persons
    answer = world.http.put(f"/v1/persons/{person_id}", json={"name": NAME, "email": EMAIL})
    assert answer.status_code == 204, answer.text
    account_id = _an_account_of(world, person_id)
    shown = world.get(f"/v1/persons/{person_id}")
    assert shown["details"]["name"] == NAME and shown["accounts"] == [str(account_id)]
    balance = world.get(f"/v1/accounts/{account_id}/balance")
    agrees()

    world.http.put(f"/v1/persons/{person_id}/hold", json={"until": "2999-01-01T00:00:00Z", "reason": "the law"})
    with pytest.raises(LegallyHeld, match="until 2999-01-01"):
        persons.forget(person_id, "asked for", "test")
    persons.lift(person_id, "over", "test")
    assert persons.show(person_id).details == Details(NAME, EMAIL)
    persons.forget(person_id, "asked for", "test")

    agrees()
    assert world.get(f"/v1/persons/{person_id}")["details"] is None
    assert world.get(f"/v1/accounts/{account_id}/balance")["total_raw"] == balance["total_raw"]
    everything = _everything(world)
    assert places((NAME, EMAIL), everything) == []
    assert {name.partition(" ")[0] for name in _where(str(person_id), everything)} >= {
        "W",
        "R",
        "keys",
        "persons.events",
    }


def _an_account_of(world: World, person_id: UUID) -> UUID:
    [made] = world.chain.create_accounts(1)
    world.chain.mine(10)
    request = Request(
        made.safe,
        world.operator.chain.tokens[0],
        roles_module=made.roles,
        delay_module=made.delay,
        card_token=f"card-{person_id}",
        person_id=person_id,
    )
    account_id = world.operator.registrar.register(request, "test")
    world.until("R knows whose account it is", lambda: world.get(f"/v1/persons/{person_id}")["accounts"])
    return account_id


def _everything(world: World) -> dict[str, bytes]:
    """Both databases and the keys as dumped, every record of every topic, every log of every process."""
    home = world.stack.home
    records = every_record(world.stack, [topic.name for topic in TOPICS])
    return {
        "W": dump(access.database_url(home, "write", "owner")),
        "R": dump(access.database_url(home, "read", "owner")),
        "keys": dump(access.database_url(home, "read", "owner", access.KEYS)),
        **files(home.path("logs")),
        **{
            f"{r.topic()} {r.partition()}/{r.offset()}": repr(r.headers()).encode()
            + (r.key() or b"")
            + (r.value() or b"")
            for r in records
        },
    }


def _where(text: str, everything: dict[str, bytes]) -> list[str]:
    return [name for name, data in everything.items() if text.encode() in data]
