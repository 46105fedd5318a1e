"""What an owner of the tables may have done to them: each trick is put on real databases, found by `verify`, named, and taken off again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine

from connectors.verify.record import catalogue
from connectors.verify.report import Difference, Findings
from infra.database import transaction
from infra.migrations import catalogue as files
from infra.migrations import dump
from infra.migrations.runner import Server, migrate
from infra.stack.supervisor import Stack
from tests.integration.conftest import Databases, migrated
from tests.integration.tricks import BEND, STRAIGHT, TRICKS


@pytest.fixture(scope="module")
def databases() -> Iterator[Databases]:
    """Of this module alone: cold partitions are opened, and roles and rights change."""
    with Stack(servers=("write", "read"), components=()) as stack:
        made = migrated(stack, ("write", "read"))
        migrate(made.keys("owner"), "keys")
        yield made


def check(databases: Databases) -> tuple[bool, list[Difference]]:
    """As `verify` begins."""
    findings = Findings()
    read = databases.as_role("read", "auditor")
    engines: dict[Server, Engine] = {"write": databases.as_role("write", "auditor"), "read": read}
    asked = catalogue.check(findings, engines | {"keys": databases.keys("auditor")})
    return asked, findings.differences


@contextmanager
def done(databases: Databases, server: Server, statement: str, undone: str) -> Iterator[None]:
    """By the superuser, and taken back."""
    door, database = ("read", "keys") if server == "keys" else (server, "payriver")
    with databases.stack.postgres(door).superuser(database) as cursor:
        cursor.execute("SET allow_system_table_mods = on")
        cursor.execute(statement)
        try:
            yield
        finally:
            cursor.execute(undone)


@pytest.mark.parametrize("trick", TRICKS)
def test_what_an_owner_does_to_the_tables_is_found_and_named(databases: Databases, trick: str) -> None:
    server, statement, undone, named = TRICKS[trick]
    with done(databases, server, statement, undone):
        _, found = check(databases)
    assert {(each.table, each.key.rsplit(" (", 1)[0]) for each in found} == named
    assert check(databases) == (True, [])


def test_what_differs_is_told_and_not_the_whole_object(databases: Databases) -> None:
    with done(databases, "write", "GRANT UPDATE ON events TO commands", "REVOKE UPDATE ON events FROM commands"):
        _, [grant] = check(databases)
    assert (grant.found, grant.expected) == ('["commands=rw/owner"]', '["commands=r/owner"]')
    with done(databases, "write", BEND, STRAIGHT):
        _, [body] = check(databases)
    assert "last_value - 1" in body.found and "last_value ELSE" in body.expected and "\n" not in body.found


@pytest.mark.parametrize("trick", ["a view in a table's place", "a table that is gone"])
def test_tables_that_are_others_are_not_read(databases: Databases, trick: str) -> None:
    server, statement, undone, _ = TRICKS[trick]
    with done(databases, server, statement, undone):
        asked, _ = check(databases)
    assert not asked


def test_slices_that_were_opened_archived_to_or_dropped_are_as_they_should_be(databases: Databases) -> None:
    with transaction(databases.as_role("write", "owner")) as cursor:
        cursor.execute("SELECT open_slices(3), open_cold()")
        cursor.execute("DROP TABLE outbox_3")
    assert check(databases) == (True, [])


@pytest.mark.parametrize("server", dump.SERVERS)
def test_the_file_has_nothing_that_the_migrations_do_not_make(databases: Databases, server: Server) -> None:
    """And with the above nothing less."""
    assert dump.catalogues(databases.stack)[server] == files.path_of(server).read_text(), (
        f"{server}/catalogue.jsonl is not what the steps end in: run `python -m infra.migrations.dump` and read what changed"
    )
