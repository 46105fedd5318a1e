"""The numbered steps end in exactly the schema that one can read, once each, and give nobody more than the role needs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from infra.database import engine, transaction
from infra.errors import Misconfigured
from infra.migrations import dump, runner
from infra.migrations.runner import Server
from infra.stack.roles import READ_ROLES, WRITE_ROLES
from tests.integration.conftest import Databases

SERVERS: tuple[Server, ...] = ("write", "read", "keys")


def may(databases: Databases, server: Server, table: str, privilege: str) -> set[str]:
    """The roles that have a privilege on a table."""
    roles = WRITE_ROLES if server == "write" else READ_ROLES
    with databases.stack.postgres(server).superuser() as cursor:
        cursor.execute(
            "SELECT r FROM unnest(%s) AS r WHERE has_any_column_privilege(r, %s, %s)", (list(roles), table, privilege)
        )
        held = {role for (role,) in cursor.fetchall()}
    return held - {"owner"}


@pytest.mark.parametrize("server", SERVERS)
def test_the_steps_end_in_the_schema_that_one_can_read(databases: Databases, server: Server) -> None:
    assert dump.schemas(databases.stack)[server] == dump.path_of(server).read_text(), (
        f"{server}/schema.sql is not what the steps end in: run `python -m infra.migrations.dump` and read what changed"
    )


@pytest.mark.parametrize("server", SERVERS)
def test_a_step_is_applied_once(databases: Databases, server: Server) -> None:
    assert runner.migrate(engine(dump.url_of(databases.stack, server)), server) == []


def test_a_step_that_was_applied_and_then_edited_is_refused(
    databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(runner.ROOM / "read", tmp_path / "read")
    edited = runner.files("read")[-1].name
    with (tmp_path / "read" / edited).open("a") as step:
        step.write("-- one word more\n")
    monkeypatch.setattr(runner, "ROOM", tmp_path)
    with pytest.raises(Misconfigured, match=f"{edited} was applied as"):
        runner.migrate(databases.as_role("read", "owner"), "read")


def test_a_step_that_fails_leaves_nothing(
    databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(runner.ROOM / "read", tmp_path / "read")
    (tmp_path / "read" / "9999_broken.sql").write_text("CREATE TABLE half (x int); SELECT 1 / 0;")
    monkeypatch.setattr(runner, "ROOM", tmp_path)
    with pytest.raises(Exception, match="division by zero"):
        runner.migrate(databases.as_role("read", "owner"), "read")
    with transaction(databases.as_role("read", "owner")) as cursor:
        cursor.execute("SELECT to_regclass('half'), (SELECT count(*) FROM migrations WHERE name LIKE '9999%')")
        assert cursor.fetchone() == (None, 0)


@pytest.mark.parametrize("privilege", ["INSERT", "UPDATE", "DELETE"])
@pytest.mark.parametrize("table", ["events", "streams", "outbox", "command_answers"])
def test_nobody_writes_the_memory_but_through_its_functions(databases: Databases, table: str, privilege: str) -> None:
    with databases.stack.postgres("write").superuser() as cursor:
        cursor.execute(
            "SELECT r FROM unnest(%s) AS r WHERE has_table_privilege(r, %s, %s)", (list(WRITE_ROLES), table, privilege)
        )
        assert {role for (role,) in cursor.fetchall()} == {"owner"}


@pytest.mark.parametrize(
    "table",
    [
        "payments",
        "balances",
        "ledger_postings",
        "ledger_accounts",
        "deliveries",
        "stream_versions",
        "persons",
        "account_holders",
    ],
)
def test_the_projector_alone_writes_the_read_models(databases: Databases, table: str) -> None:
    assert may(databases, "read", table, "INSERT") == {"projections", "operator"}  # who replays, runs the projector
    assert may(databases, "read", table, "SELECT") >= {"queries", "auditor"}


def test_a_posting_is_never_changed(databases: Databases) -> None:
    assert may(databases, "read", "ledger_postings", "UPDATE") == set()


def test_a_webhook_secret_is_read_by_its_sender_and_its_operator(databases: Databases) -> None:
    with databases.stack.postgres("write").superuser() as cursor:
        cursor.execute(
            "SELECT r FROM unnest(%s) AS r WHERE has_column_privilege(r, 'webhook_secrets', 'secret', 'SELECT')",
            (list(WRITE_ROLES),),
        )
        assert {role for (role,) in cursor.fetchall()} == {"owner", "sender", "operator"}
