"""PostgreSQL, twice: W holds the events and the slot that Debezium reads, R the read models and the registry.

Two servers and not two databases: transaction horizons and WAL are a server's, so that a rebuild on R cannot stall W.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import ISOLATION_LEVEL_AUTOCOMMIT, connection, cursor, encrypt_password

from infra.errors import Unreachable
from infra.stack.access import DATABASE
from infra.stack.cache import is_root
from infra.stack.process import Command
from infra.stack.roles import READ_ROLES, WRITE_ROLES
from infra.stack.servers.base import Site, fill, listens

NOBODY = 65534


class Postgres:
    """Server `write` or `read`. As root it runs as `nobody`: PostgreSQL refuses to run as root."""

    def __init__(self, site: Site, name: Literal["write", "read"]) -> None:
        self.name: str = name
        self._site = site
        self._data = site.home.path(name)
        self._user = NOBODY if is_root() else None
        self.version = self._program("postgres", "--version").stdout.split()[2]

    def prepare(self) -> None:
        """A new cluster where there is none; then the settings of this start."""
        if not (self._data / "PG_VERSION").exists():
            self._create_cluster()
        writes = self.name == "write"
        fill(
            "postgresql.conf",
            self._data / "postgresql.conf",
            {
                "port": self._site.home.port(self.name),
                "connections": 200,
                "wal_level": "logical" if writes else "minimal",
                "wal_senders": 8 if writes else 0,
                "slots": 8 if writes else 0,
                "fsync": "off" if self._site.throwaway else "on",
            },
        )
        access = ["host all all 127.0.0.1/32 scram-sha-256"]
        if writes:
            access.append("host replication cdc 127.0.0.1/32 scram-sha-256")
        (self._data / "pg_hba.conf").write_text("\n".join(access) + "\n")
        self._hand_over(self._data / "postgresql.conf", self._data / "pg_hba.conf")

    def command(self) -> Command:
        """SIGINT is its fast stop; SIGTERM would wait for its clients."""
        return Command(
            argv=(str(self._site.programs.postgres / "postgres"), "-D", str(self._data)),
            log=self._site.home.path("logs", f"{self.name}.log"),
            cwd=Path("/"),
            user=self._user,
            stop_signal=signal.SIGINT,
        )

    def ready(self) -> bool:
        """Whether the superuser can log in."""
        if not listens(self._site.home.port(self.name)):
            return False
        try:
            with closing(self._connect("postgres")):
                return True
        except psycopg2.OperationalError:
            return False

    def stopped(self) -> None:
        """Nothing is left to do."""

    def create_roles(self) -> None:
        """A login for each role, and the databases that only their owners may enter. What exists is left as it is."""
        roles = WRITE_ROLES if self.name == "write" else READ_ROLES
        with self.superuser("postgres") as db:
            db.execute("SELECT rolname FROM pg_roles")
            there = {row[0] for row in db.fetchall()}
            for role in roles:
                if role not in there:
                    self._create_role(db, role)
            self._create_database(db, DATABASE, "owner")
            if self.name == "read":
                self._create_database(db, "registry", "registry")
            for role in roles:
                if role != "registry":
                    db.execute(
                        sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(*map(sql.Identifier, (DATABASE, role)))
                    )

    @contextmanager
    def superuser(self, database: str = DATABASE) -> Iterator[cursor]:
        """A cursor of the superuser, each statement committed by itself: for setting up and for looking, never for the product."""
        with closing(self._connect(database)) as connected, connected.cursor() as db:
            yield db

    def _connect(self, database: str) -> connection:
        connected = psycopg2.connect(
            host="127.0.0.1",
            port=self._site.home.port(self.name),
            user="postgres",
            password=self._password("postgres"),
            dbname=database,
            connect_timeout=3,
        )
        connected.set_isolation_level(ISOLATION_LEVEL_AUTOCOMMIT)
        return connected

    def _create_role(self, db: cursor, role: str) -> None:
        """The server is told the verifier alone: a failing statement would write a plain password into its log."""
        verifier = encrypt_password(self._password(role), role, db.connection, "scram-sha-256")
        statement = sql.SQL("CREATE ROLE {} LOGIN {} PASSWORD {}").format(
            sql.Identifier(role), sql.SQL("REPLICATION" if role == "cdc" else ""), sql.Literal(verifier)
        )
        db.execute(statement)

    def _create_database(self, db: cursor, database: str, owner: str) -> None:
        db.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,))
        if db.fetchone():
            return
        names = {"database": sql.Identifier(database), "owner": sql.Identifier(owner)}
        db.execute(sql.SQL("CREATE DATABASE {database} OWNER {owner}").format(**names))
        db.execute(sql.SQL("REVOKE ALL ON DATABASE {database} FROM PUBLIC").format(**names))

    def _create_cluster(self) -> None:
        """initdb reads the superuser's password from a file of the server's own user; a pipe would be refused to it."""
        self._data.mkdir(mode=0o700, exist_ok=True)
        secret = self._data.with_name(f".{self.name}.password")
        secret.touch(mode=0o600)
        secret.write_text(self._password("postgres"))
        self._hand_over(self._data, secret)
        try:
            options = ["-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-instructions"]
            options += ["--no-sync"] if self._site.throwaway else ["--data-checksums"]
            self._program("initdb", "-D", str(self._data), "-U", "postgres", f"--pwfile={secret}", *options)
        finally:
            secret.unlink()

    def _program(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self._site.programs.postgres / name), *arguments]
        as_user = {"user": self._user, "group": self._user, "extra_groups": []} if self._user is not None else {}
        done = subprocess.run(
            command, cwd="/", capture_output=True, text=True, check=False, env={"LC_ALL": "C"}, **as_user
        )  # type: ignore[call-overload]
        if done.returncode:
            raise Unreachable(f"{name} of server {self.name} failed: {done.stderr.strip()[-600:]}")
        return done  # type: ignore[no-any-return]

    def _hand_over(self, *paths: Path) -> None:
        if self._user is not None:
            for path in paths:
                os.chown(path, self._user, self._user)

    def _password(self, role: str) -> str:
        return self._site.home.password(f"{self.name}.{role}")
