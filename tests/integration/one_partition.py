"""One partition of a consumer and its effects, run by run on a real PostgreSQL, without a broker."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

import pytest
from sqlalchemy import Engine

from infra.database import engine, transaction
from infra.stack import access
from infra.stack.supervisor import Stack
from streams.runtime import checkpoint, replay
from streams.runtime.consumer import Handler, process
from streams.runtime.parked import ParkedMessage
from streams.runtime.records import Place, Record, Run
from tests.integration import effects
from tests.integration.effects import Effects
from tests.integration.riverbed import ROLE


class Shore:
    """A consumer with one partition's checkpoint at 0, and its table of effects."""

    def __init__(self, database: Engine) -> None:
        self.engine = database
        self.consumer = f"shore-{uuid.uuid4().hex[:8]}"
        self.place = Place("cluster", f"id-{self.consumer}", "payments.events", 1)

    def run(self, start: int, *messages: tuple[str | None, str]) -> Run:
        """Messages of (key, text) at `start` and after."""
        return Run(self.place, start, start + len(messages), tuple(self._records(start, messages)))

    def take(self, run: Run, handler: Handler | None = None) -> bool:
        return process(self.engine, self.consumer, handler or Effects(), run)

    def effects(self) -> list[str]:
        return [str(row[0]) for row in self._all("SELECT id FROM effects ORDER BY at")]

    def waiting(self) -> list[tuple[str, str]]:
        return [(text_of(m), m.state) for m in self.messages()]

    def messages(self) -> list[ParkedMessage]:
        with transaction(self.engine) as cursor:
            return replay.find(cursor, consumer=self.consumer)

    def replay(self, handler: Handler | None = None) -> replay.Replayed:
        return replay.replay(self.engine, handler or Effects(), self.messages()[0].parked_id, by="test")

    def heal(self, text: str) -> None:
        with transaction(self.engine) as cursor:
            cursor.execute("INSERT INTO healed VALUES (%s)", (text,))

    def next_offset(self) -> int:
        with transaction(self.engine) as cursor:
            return checkpoint.next_offset(cursor, self.consumer, self.place)

    def _all(self, sql: str) -> list[tuple[object, ...]]:
        with transaction(self.engine) as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def _records(self, start: int, messages: Sequence[tuple[str | None, str]]) -> Iterator[Record]:
        for offset, (key, text) in enumerate(messages, start):
            raw = None if key is None else key.encode()
            yield Record(self.place.topic, 1, offset, raw, text.encode(), {"ce_id": text}, 1_700_000_000_000)


@pytest.fixture
def shore(stack: Stack) -> Iterator[Shore]:
    database = engine(access.database_url(stack.home, "write", ROLE))
    shore = Shore(database)
    with stack.postgres("write").superuser() as cursor:
        cursor.execute(f"{effects.DROP}; {effects.TABLES}")
        cursor.execute(f"GRANT SELECT, INSERT ON effects, healed TO {ROLE}; GRANT USAGE ON effects_at_seq TO {ROLE}")
        checkpoint.provision(cursor, shore.consumer, [shore.place])
    yield shore
    database.dispose()
    with stack.postgres("write").superuser() as cursor:
        cursor.execute(effects.DROP)
        cursor.execute("DELETE FROM checkpoints WHERE consumer = %s", (shore.consumer,))
        cursor.execute("DELETE FROM parked_messages WHERE consumer = %s", (shore.consumer,))


def text_of(message: ParkedMessage) -> str:
    return (message.record.value or b"").decode()
