"""Another library's idea of an event store, held against ours: the recorder suites of `eventsourcing`, unchanged, on PostgreSQL.

One thing is chosen: a stream begins with their version 0 (INITIAL_VERSION), since ours counts every stream from its first event and
knows no gaps; their own suites begin with 0 in one place and with 1 in others. Nothing is left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from eventsourcing.tests import persistence
from sqlalchemy import Engine, make_url

from infra.database import engine
from infra.migrations.runner import migrate
from infra.stack import access
from infra.stack.supervisor import Stack
from tests.contract.foreign_recorder import OurAggregateRecorder, OurApplicationRecorder

NAMES = (f"recorder_{number}" for number in itertools.count(1))


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """W alone, with its tables."""
    with Stack(servers=("write",), components=()) as running:
        owner = engine(access.database_url(running.home, "write", "owner"))
        migrate(owner, "write")
        owner.dispose()
        yield running


@pytest.fixture
def store(stack: Stack, request: pytest.FixtureRequest) -> Iterator[None]:
    """An empty store, by the door of a role that appends: their suites count positions from 1."""
    name = next(NAMES)
    with stack.postgres("write").superuser("postgres") as cursor:
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE payriver")
    opened = engine(
        make_url(access.database_url(stack.home, "write", "commands")).set(database=name).render_as_string(False),
        pool_size=12,
    )
    request.instance.source = opened
    yield
    opened.dispose()


@pytest.mark.usefixtures("store")
class TestAggregateRecorder(persistence.AggregateRecorderTestCase):
    """Insert and select the events of aggregates."""

    INITIAL_VERSION = 0
    source: Engine

    def create_recorder(self) -> OurAggregateRecorder:
        return OurAggregateRecorder(self.source)


@pytest.mark.usefixtures("store")
class TestApplicationRecorder(persistence.ApplicationRecorderTestCase[OurApplicationRecorder]):
    """And all events in one order, by many writers at once; and subscriptions, which their suite leaves to choice."""

    INITIAL_VERSION = 0
    source: Engine

    def create_recorder(self) -> OurApplicationRecorder:
        return OurApplicationRecorder(self.source)

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()
