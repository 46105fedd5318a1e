"""Somebody's details, and whether they are anywhere: in dumps, data files, records and logs, in whatever form a database may write them."""

from __future__ import annotations

import json
import os
import subprocess
from base64 import b64encode
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import make_url

from infra.stack.fetch import fetch
from infra.stack.supervisor import Stack

NAME, EMAIL, PHONE = "Zoë Quastenflosser-Żyła", "zoe.quastenflosser@example.org", "+43 1 5870000-4711"
LAW = "retention of the money laundering act"
TOMORROW = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)


def forms(text: str) -> set[bytes]:
    """As UTF-8, UTF-16, in JSON's escapes, in hex of both cases, and in base64 at each of its three places."""
    plain = text.encode()
    found = {
        plain,
        text.encode("utf-16-le"),
        json.dumps(text)[1:-1].encode(),
        plain.hex().encode(),
        plain.hex().upper().encode(),
    }
    for shift in range(3):
        whole = b64encode(b"\0" * shift + plain + b"\0\0")
        found.add(whole[-(-shift * 8 // 6) : (shift + len(plain)) * 8 // 6])
    return found


def places(texts: Iterable[str], among: Mapping[str, bytes]) -> list[str]:
    """Where any of the texts stands, by the name of the place."""
    wanted = [(text, form) for text in texts for form in forms(text)]
    return [f"{text!r} in {name}" for name, data in among.items() for text, form in wanted if form in data]


def dump(url: str) -> bytes:
    """Everything that a database holds, as pg_dump writes it."""
    door = make_url(url)
    where = [f"--host={door.host}", f"--port={door.port}", f"--username={door.username}", f"--dbname={door.database}"]
    done = subprocess.run(
        [str(fetch().postgres / "pg_dump"), *where],
        capture_output=True,
        check=True,
        env={**os.environ, "PGPASSWORD": str(door.password)},
    )
    assert len(done.stdout) > 1000
    return done.stdout


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def data_file(stack: Stack, database: str, table: str) -> bytes:
    """A table of R as it lies on the disk, once all is written there."""
    with stack.postgres("read").superuser(database) as cursor:
        cursor.execute("CHECKPOINT")
        cursor.execute("SELECT pg_relation_filepath(%s)", (table,))
        [[path]] = cursor.fetchall()
    return stack.home.path("read", path).read_bytes()
