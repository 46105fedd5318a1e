"""The shape that the migrations end in, as files of each server: `python -m infra.migrations.dump` writes them, a test holds them.

Whoever wants to know what a table is today reads `write/schema.sql`, and not six steps; `verify` reads `write/catalogue.jsonl`.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import make_url

from infra.database import engine, transaction
from infra.errors import Unreachable
from infra.migrations import catalogue
from infra.migrations.runner import ROOM, Server, migrate
from infra.stack import access
from infra.stack.fetch import fetch
from infra.stack.supervisor import Stack

SERVERS: tuple[Server, ...] = ("write", "read", "keys")
HEADER = "-- What the numbered steps of this folder end in. Written by `python -m infra.migrations.dump`; a test compares.\n\n"
NOISE = re.compile(r"^(--.*|SET .*;|SELECT pg_catalog\.set_config.*;|\\(un)?restrict .*)\n", re.M)


def path_of(server: Server) -> Path:
    """`write/schema.sql` and so on."""
    return ROOM / server / "schema.sql"


def url_of(stack: Stack, server: Server) -> str:
    """The database as role owner; that of the keys lies on R."""
    if server == "keys":
        return access.database_url(stack.home, "read", "owner", access.KEYS)
    return access.database_url(stack.home, server, "owner")


def schema_of(pg_dump: Path, url: str) -> str:
    """The database's tables, functions and grants as SQL, without what changes from one dump to the next. Raises Unreachable."""
    door = make_url(url)
    password = {"PGPASSWORD": str(door.password)}  # not among the arguments, which all on the machine can read
    where = [f"--host={door.host}", f"--port={door.port}", f"--username={door.username}", f"--dbname={door.database}"]
    command = [str(pg_dump), "--schema-only", "--no-owner", *where]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **password})
    if done.returncode:
        raise Unreachable(f"pg_dump failed: {done.stderr.strip()[-600:]}")
    return HEADER + normal(done.stdout)


def normal(dumped: str) -> str:
    """Without pg_dump's settings, comments and schema name."""
    plain = NOISE.sub("", dumped).replace("public.", "")
    return re.sub(r"\n{3,}", "\n\n", plain).strip() + "\n"


def schemas(stack: Stack) -> Mapping[Server, str]:
    """Of databases that are there and migrated."""
    pg_dump = fetch().postgres / "pg_dump"
    return {server: schema_of(pg_dump, url_of(stack, server)) for server in SERVERS}


def catalogues(stack: Stack) -> Mapping[Server, str]:
    """Of databases that are there and migrated, with a cold partition beside each hot one: a slice may have both."""
    texts: dict[Server, str] = {}
    for server in SERVERS:
        with transaction(engine(url_of(stack, server))) as cursor:
            if server == "write":
                cursor.execute("SELECT open_cold()")
            texts[server] = catalogue.text_of(catalogue.ask(cursor, server))
    return texts


def main() -> None:
    """Migrate throw-away databases and write their files."""
    with Stack(servers=("write", "read"), components=()) as stack:
        for server in SERVERS:
            migrate(engine(url_of(stack, server)), server)
        for server, text in schemas(stack).items():
            path_of(server).write_text(text)
        for server, text in catalogues(stack).items():
            catalogue.path_of(server).write_text(text)


if __name__ == "__main__":
    main()
