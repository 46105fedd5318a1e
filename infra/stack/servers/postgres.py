"""PostgreSQL, twice: W holds the events and the slot that Debezium reads, R the read models and the registry.

Two servers and not two databases: transaction horizons and WAL are a server's, so that a rebuild on R cannot stall W.
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Literal

from infra.errors import Unreachable
from infra.stack.cache import is_root
from infra.stack.process import Command
from infra.stack.servers.base import Site, fill
from infra.stack.servers.database import Database

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
            yields=self.name == "read",
        )

    def ready(self) -> bool:
        """Whether the superuser can log in."""
        return Database(self._site.home, self.name).ready()

    def stopped(self) -> None:
        """Nothing is left to do."""

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
