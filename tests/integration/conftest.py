"""Two migrated PostgreSQL of a session's own, without the rest of the river: for what needs tables and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import pytest
from sqlalchemy import Engine

from infra.database import engine, transaction
from infra.migrations.runner import Server, migrate
from infra.stack import access
from infra.stack.supervisor import Stack
from schemas.codec import Codec
from schemas.registry import load_codec, remember_all
from tests.integration.write_side import WriteSide


@dataclass
class Databases:
    """W and R, each by its roles' own doors."""

    stack: Stack

    def as_role(self, server: str, role: str) -> Engine:
        """A pool of this role's connections."""
        return engine(access.database_url(self.stack.home, server, role))

    def keys(self, role: str) -> Engine:
        """A pool of this role's connections to the database of keys."""
        return engine(access.database_url(self.stack.home, "read", role, access.KEYS))

    @cached_property
    def codec(self) -> Codec:
        """As a component loads it, from W's own copy of the ids."""
        with transaction(self.as_role("write", "projections")) as cursor:
            return load_codec(cursor)


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """W and R with their roles and tables; W knows a schema id for every message."""
    with Stack(servers=("write", "read"), components=()) as stack:
        made = migrated(stack, ("write", "read"))
        migrate(made.keys("owner"), "keys")
        yield made


@pytest.fixture
def side(databases: Databases) -> WriteSide:
    """The write side on these databases."""
    return WriteSide(databases)


def migrated(stack: Stack, servers: tuple[Server, ...]) -> Databases:
    """The tables of these servers, and in W a schema id for every message."""
    made = Databases(stack)
    for server in servers:
        migrate(made.as_role(server, "owner"), server)
    with transaction(made.as_role("write", "owner")) as cursor:
        remember_all(cursor)
    return made
