"""The register of persons on real databases: sealed wherever it is written, opened for who has the key, gone once it is destroyed."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg2.errors
import pytest

from connectors.chain.accounts.registration import Registrar
from connectors.chain.accounts.request import Request
from connectors.chain.settings import ChainSettings
from infra.database import transaction
from infra.errors import BadInput, CommandIdReused, Forgotten, LegallyHeld, NotFound, Retry
from infra.stack import access
from streams.command_handler import CommandHandler
from streams.domain.circumstances import Policy
from streams.persons.keys import KeyStore
from streams.persons.register import PersonRegister
from streams.persons.sealing import Details
from tests.chain_fixtures import silent_chain
from tests.integration.conftest import Databases
from tests.integration.personal import EMAIL, LAW, NAME, PHONE, TOMORROW, data_file, dump, files, forms, places
from tests.integration.programme import Programme

ZOE = Details(NAME, EMAIL, PHONE)


@pytest.fixture(scope="module")
def register(databases: Databases) -> PersonRegister:
    handler = CommandHandler(databases.codec, Policy())
    return PersonRegister(databases.as_role("write", "operator"), KeyStore(databases.keys("keeper")), handler)


@pytest.fixture
def zoe(register: PersonRegister) -> UUID:
    return register.register(uuid4(), ZOE, "test")


def types(databases: Databases, person_id: UUID) -> list[str]:
    with transaction(databases.as_role("write", "auditor")) as cursor:
        cursor.execute("SELECT type FROM events WHERE stream_id = %s ORDER BY version", (person_id,))
        return [row[0] for row in cursor.fetchall()]


def test_a_person_is_shown_as_registered_and_the_same_again_changes_nothing(
    databases: Databases, register: PersonRegister, zoe: UUID
) -> None:
    assert register.register(zoe, ZOE, "test") == zoe
    assert register.show(zoe).details == ZOE
    with pytest.raises(CommandIdReused):
        register.register(zoe, Details("Somebody else"), "test")
    assert types(databases, zoe) == ["PersonRegistered"]


def test_details_are_corrected_back_and_forth(databases: Databases, register: PersonRegister, zoe: UUID) -> None:
    for details in (Details("Zoë Neu"), Details("Zoë Neu"), ZOE):
        register.put(zoe, details, "test")
        assert register.show(zoe).details == details
    assert types(databases, zoe) == ["PersonRegistered", "PersonCorrected", "PersonCorrected"]


def test_the_forgotten_cannot_be_shown_nor_registered_again_under_the_old_id(
    databases: Databases, register: PersonRegister, zoe: UUID
) -> None:
    register.forget(zoe, "asked for", "test")
    register.forget(zoe, "asked for", "test")
    assert register.show(zoe).details is None
    for again in (register.register, register.put, register.correct):
        with pytest.raises(Forgotten):
            again(zoe, ZOE, "test")
    assert types(databases, zoe) == ["PersonRegistered", "PersonForgotten"]


def test_a_legal_hold_refuses_until_it_is_lifted(databases: Databases, register: PersonRegister, zoe: UUID) -> None:
    register.hold(zoe, TOMORROW, LAW, "test")
    with pytest.raises(LegallyHeld, match=f"until {TOMORROW:%Y-%m-%d}.*{LAW}"):
        register.forget(zoe, "asked for", "test")
    assert register.show(zoe).details == ZOE
    register.lift(zoe, "the case is closed", "test")
    register.forget(zoe, "asked for", "test")
    assert types(databases, zoe)[1:] == ["LegalHoldPlaced", "ForgettingRefused", "LegalHoldLifted", "PersonForgotten"]


def test_a_hold_until_a_time_that_is_over_is_refused_and_ends_none_that_stands(
    databases: Databases, register: PersonRegister, zoe: UUID
) -> None:
    """A slip in the year must not make a forgetting possible that the law forbids."""
    register.hold(zoe, TOMORROW, LAW, "test")
    with pytest.raises(BadInput, match="2020-01-01 00:00 UTC holds nothing"):
        register.hold(zoe, datetime(2020, 1, 1, tzinfo=UTC), "a slip", "test")
    register.hold(zoe, TOMORROW, LAW, "test")
    with pytest.raises(LegallyHeld, match=LAW):
        register.forget(zoe, "asked", "test")
    assert types(databases, zoe) == ["PersonRegistered", "LegalHoldPlaced", "ForgettingRefused"]


def test_a_hold_that_a_forgetting_overtook_is_refused_and_not_taken_for_placed(
    databases: Databases, register: PersonRegister, zoe: UUID
) -> None:
    class Overtaken(PersonRegister):
        def _order(self, command_id: UUID, order: Any, actor: str) -> bool:
            register.forget(zoe, "asked for", "test")
            return super()._order(command_id, order, actor)

    with pytest.raises(Forgotten):
        Overtaken(register.write, register.keys, register.handler).hold(zoe, TOMORROW, LAW, "test")
    assert types(databases, zoe) == ["PersonRegistered", "PersonForgotten"]


def test_an_account_is_registered_for_nobody_who_is_not_there(register: PersonRegister, zoe: UUID) -> None:
    """Before the chain is asked anything, and before anything is stored."""
    chain = ChainSettings.model_validate(silent_chain())
    nobody: Any = None
    registrar = Registrar(register.write, nobody, chain, nobody, register.handler)
    register.forget(zoe, "asked for", "test")
    for person_id, error in ((uuid4(), NotFound), (zoe, Forgotten)):
        with pytest.raises(error, match=str(person_id)):
            registrar.register(Request("0x" + "7" * 40, chain.tokens[0], person_id=person_id), "test")


def test_who_is_not_in_the_register_is_named(register: PersonRegister) -> None:
    for ask in (register.show, lambda each: register.forget(each, "x", "test")):
        with pytest.raises(NotFound, match="no person"):
            ask(uuid4())


def test_a_key_that_came_back_with_a_backup_is_swept_away(
    databases: Databases, register: PersonRegister, zoe: UUID
) -> None:
    key = register.keys.find(zoe)
    register.forget(zoe, "asked for", "test")
    with databases.stack.postgres("read").superuser(access.KEYS) as cursor:
        values = (key.secret if key else None, zoe)
        cursor.execute("UPDATE person_keys SET secret = %s, destroyed_at = NULL WHERE person_id = %s", values)
    assert register.sweep() == 1
    assert register.sweep() == 0
    assert register.show(zoe).details is None


def test_a_forgetting_waits_for_nobody_who_has_the_keys_open_and_is_finished_by_asking_again(
    databases: Databases, register: PersonRegister, zoe: UUID
) -> None:
    """A dump that takes long would have held up every question about a person, and in the end the threads that answer the card network."""
    key = register.keys.find(zoe)
    assert key is not None and key.secret is not None
    with transaction(databases.keys("keeper")) as dump:
        dump.execute("LOCK TABLE person_keys IN ACCESS SHARE MODE")
        with ThreadPoolExecutor(1) as pool, pytest.raises(Retry, match="the key is destroyed"):
            pool.submit(register.forget, zoe, "asked for", "test").result(20)
        gone = register.keys.find(zoe)
        assert gone is not None and gone.secret is None
    register.forget(zoe, "asked for", "test")
    assert key.secret not in data_file(databases.stack, access.KEYS, "person_keys")


def test_the_name_is_nowhere_and_the_key_is_gone_from_the_disk(
    databases: Databases, register: PersonRegister, zoe: UUID
) -> None:
    key = register.keys.find(zoe)
    assert key is not None and key.secret is not None
    assert key.secret in data_file(databases.stack, access.KEYS, "person_keys")
    programme = Programme(databases)
    programme.streams.append(zoe)
    programme.deliver()

    register.forget(zoe, "asked for", "test")
    programme.deliver()

    assert key.secret not in data_file(databases.stack, access.KEYS, "person_keys")
    home = databases.stack.home
    everything = {
        "W": dump(access.database_url(home, "write", "owner")),
        "R": dump(access.database_url(home, "read", "owner")),
        "keys": dump(access.database_url(home, "read", "owner", access.KEYS)),
        **files(home.path("logs")),
    }
    assert places((NAME, EMAIL, PHONE), everything) == []
    assert places([str(zoe)], everything) != []  # the search does find what is there
    assert key.secret.hex().encode() not in everything["keys"]


def test_the_search_finds_a_name_in_whatever_form() -> None:
    for form in (NAME, json.dumps({"n": NAME}), NAME.encode().hex()):
        assert places([NAME], {"x": f"abc{form}def".encode()}) == [f"{NAME!r} in x"]
    for shift in range(4):
        import base64

        assert any(form in base64.b64encode(b"y" * shift + NAME.encode() + b"more") for form in forms(NAME))


def test_r_shows_who_holds_an_account_and_forgets_with_w(
    databases: Databases, register: PersonRegister, zoe: UUID
) -> None:
    programme = Programme(databases, person_id=zoe)
    programme.streams.append(zoe)
    programme.deliver()
    with transaction(databases.as_role("read", "queries")) as cursor:
        cursor.execute("SELECT p.state, p.sealed IS NULL FROM persons AS p WHERE person_id = %s", (zoe,))
        assert cursor.fetchall() == [("known", False)]
        cursor.execute("SELECT account_id FROM account_holders WHERE person_id = %s", (zoe,))
        assert cursor.fetchall() == [(programme.account_id,)]
    register.forget(zoe, "asked for", "test")
    programme.deliver()
    with transaction(databases.as_role("read", "queries")) as cursor:
        cursor.execute("SELECT p.state, p.sealed IS NULL FROM persons AS p WHERE person_id = %s", (zoe,))
        assert cursor.fetchall() == [("forgotten", True)]


@pytest.mark.parametrize("role", ["projections", "queries", "operator", "registry"])
def test_no_role_of_the_read_models_enters_the_database_of_keys(databases: Databases, role: str) -> None:
    with pytest.raises(Exception, match="permission denied for database"):
        databases.keys(role).connect()


def test_the_keeper_enters_nothing_else_and_deletes_no_key(databases: Databases) -> None:
    with pytest.raises(Exception, match="permission denied for database"):
        databases.as_role("read", "keeper").connect()
    for statement in (
        "DELETE FROM person_keys",
        "TRUNCATE person_keys",
        "DROP TABLE person_keys",
        "CREATE TABLE mine (x int)",
    ):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege), transaction(databases.keys("keeper")) as cursor:
            cursor.execute(statement)


def test_an_auditor_sees_that_a_key_is_there_and_not_the_key(databases: Databases) -> None:
    with transaction(databases.keys("auditor")) as cursor:
        cursor.execute("SELECT person_id, key_id, destroyed_at FROM person_keys")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege), transaction(databases.keys("auditor")) as cursor:
        cursor.execute("SELECT secret FROM person_keys")
