"""The superuser's door into a PostgreSQL server, wherever it runs: makes the roles and databases, and looks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import ISOLATION_LEVEL_AUTOCOMMIT, connection, cursor, encrypt_password

from infra.database import Cursor
from infra.stack.access import DATABASE, KEYS
from infra.stack.home import Home
from infra.stack.roles import READ_ROLES, WRITE_ROLES
from infra.stack.servers.base import listens


class Database:
    """Server `write` or `read` of a home, seen by its superuser. Never for the product: for setting up, tests and looking."""

    def __init__(self, home: Home, name: str) -> None:
        self.name = name
        self.home = home

    @contextmanager
    def superuser(self, database: str = DATABASE) -> Iterator[Cursor]:
        """A cursor of the superuser, each statement committed by itself."""
        with closing(self._connect(database)) as connected, connected.cursor(cursor_factory=Cursor) as db:
            yield db

    def ready(self) -> bool:
        """Whether the superuser can log in."""
        if not listens(self.home.port(self.name)):
            return False
        try:
            with closing(self._connect("postgres")):
                return True
        except psycopg2.OperationalError:
            return False

    def create_roles(self) -> None:
        """A login for each role, and the databases that only those named may enter. What exists is left as it is."""
        roles = WRITE_ROLES if self.name == "write" else READ_ROLES
        with self.superuser("postgres") as db:
            db.execute("SELECT rolname FROM pg_roles")
            there = {row[0] for row in db.fetchall()}
            for role in roles:
                if role not in there:
                    self._create_role(db, role)
            db.execute("GRANT pg_read_all_stats TO owner")  # its functions say who holds up whom
            _create_database(db, DATABASE, "owner")
            if self.name == "read":
                _create_database(db, "registry", "registry")
                _create_database(db, KEYS, "owner")
                _let_in(db, KEYS, "keeper", "auditor")
            _let_in(db, DATABASE, *(role for role in roles if role not in ("registry", "keeper")))

    def _create_role(self, db: cursor, role: str) -> None:
        """The server is told the verifier alone: a failing statement would write a plain password into its log."""
        verifier = encrypt_password(self.home.password(f"{self.name}.{role}"), role, db.connection, "scram-sha-256")
        statement = sql.SQL("CREATE ROLE {} LOGIN {} PASSWORD {}").format(
            sql.Identifier(role), sql.SQL("REPLICATION" if role == "cdc" else ""), sql.Literal(verifier)
        )
        db.execute(statement)

    def _connect(self, database: str) -> connection:
        connected = psycopg2.connect(
            host="127.0.0.1",
            port=self.home.port(self.name),
            user="postgres",
            password=self.home.password(f"{self.name}.postgres"),
            dbname=database,
            connect_timeout=3,
        )
        connected.set_isolation_level(ISOLATION_LEVEL_AUTOCOMMIT)
        return connected


def _let_in(db: cursor, database: str, *roles: str) -> None:
    for role in roles:
        db.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(*map(sql.Identifier, (database, role))))


def _create_database(db: cursor, database: str, owner: str) -> None:
    db.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,))
    if db.fetchone():
        return
    names = {"database": sql.Identifier(database), "owner": sql.Identifier(owner)}
    db.execute(sql.SQL("CREATE DATABASE {database} OWNER {owner}").format(**names))
    db.execute(sql.SQL("REVOKE ALL ON DATABASE {database} FROM PUBLIC").format(**names))
