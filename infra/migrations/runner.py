"""Brings a database to its newest shape: each numbered SQL file once, in order, in one transaction, by the role `owner`.

A file that was applied and then edited is refused by its sha256: history is not rewritten, a new file is added.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from sqlalchemy import Engine

from infra.database import Cursor, transaction
from infra.errors import Misconfigured

ROOM = Path(__file__).parent
Server = Literal["write", "read", "keys"]
LOCK = 7_212_004  # any number, the same for every runner: two never run at once
TABLE = """
CREATE TABLE IF NOT EXISTS migrations (
    name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""


def files(server: Server) -> list[Path]:
    """The numbered steps of a server, in order."""
    return sorted((ROOM / server).glob("[0-9]*.sql"))


def migrate(owner: Engine, server: Server) -> list[str]:
    """Apply what is new; gives the names applied. Raises Misconfigured when an applied file was edited since."""
    with transaction(owner) as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        cursor.execute(TABLE)
        cursor.execute("SELECT name, sha256 FROM migrations")
        known = dict(cursor.fetchall())
        return [path.name for path in files(server) if _apply(cursor, path, known.get(path.name))]


def _apply(cursor: Cursor, path: Path, known: str | None) -> bool:
    text = path.read_text()
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    if known is None:
        cursor.execute(text)
        cursor.execute("INSERT INTO migrations (name, sha256) VALUES (%s, %s)", (path.name, sha256))
        return True
    if known != sha256:
        raise Misconfigured(
            f"{path.name} was applied as {known[:12]} and is now {sha256[:12]}: restore it and add a new file instead"
        )
    return False
