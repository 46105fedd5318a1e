"""Events come back from their records as they were: each hash, position and time, the outbox's rows, the answers, the wallets and cards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from connectors.debezium.register import HEADERS
from connectors.gateway.gateway import Gateway
from connectors.gateway.requests import AuthorizationRequest
from connectors.recovery.announce import announce, gone
from connectors.recovery.bring_back import bring_back
from connectors.recovery.mend import AGAIN
from connectors.recovery.survey import lacking, survey
from infra.database import transaction
from infra.migrations.runner import migrate
from infra.stack.supervisor import Stack
from schemas.codec import FRAME
from schemas.messages.account_commands import BindCard
from schemas.registry import load_codec
from streams.command_handler import CommandHandler
from streams.domain.circumstances import Policy
from streams.persons.keys import KeyStore
from streams.persons.register import PersonRegister
from streams.persons.sealing import Details
from streams.runtime.records import Record
from tests import golden
from tests.integration.conftest import Databases, migrated
from tests.integration.programme import Programme

ROWS = f"SELECT topic, key, payload, {', '.join(HEADERS)} FROM outbox ORDER BY number"
COMPARED = {
    "events": "to_jsonb(t)",
    "outbox": "to_jsonb(t) - 'number'",
    "streams": "to_jsonb(t)",
    "command_answers": "to_jsonb(t) - '{recorded_at, business, fingerprint}'::text[]",
}


@pytest.fixture(scope="module")
def databases() -> Iterator[Databases]:
    """Two databases of this module's own: rows are taken out of them behind everybody's back."""
    with Stack(servers=("write", "read"), components=()) as stack:
        made = migrated(stack, ("write", "read"))
        migrate(made.keys("owner"), "keys")
        yield made


@pytest.fixture(scope="module")
def owner(databases: Databases) -> Any:
    return databases.as_role("write", "owner")


def stored(databases: Databases) -> dict[str, list[Any]]:
    """Everything of the memory that must come back."""
    found = {}
    with databases.stack.postgres("write").superuser() as cursor:
        for table, row in COMPARED.items():
            cursor.execute(f"SELECT {row} FROM {table} AS t ORDER BY ({row})::text")
            found[table] = [each for (each,) in cursor.fetchall()]
    return found


def on_topics(databases: Databases) -> list[Record]:
    """All records that the outbox was ever told of."""
    with databases.stack.postgres("write").superuser() as cursor:
        cursor.execute(ROWS)
        return [
            Record(
                topic,
                0,
                offset,
                key.encode(),
                bytes(value),
                {n: v for n, v in zip(HEADERS, told, strict=True) if v is not None},
                0,
            )
            for offset, (topic, key, value, *told) in enumerate(cursor.fetchall())
        ]


def live(databases: Databases) -> Programme:
    """A person with an account pays twice, is declined once, and corrects the name."""
    handler = CommandHandler(databases.codec, Policy())
    persons = PersonRegister(databases.as_role("write", "operator"), KeyStore(databases.keys("keeper")), handler)
    person_id = persons.register(uuid4(), Details("Somebody"), "test")
    programme = Programme(databases, person_id=person_id)
    for number, cents in enumerate((100, 200, 10**9)):
        programme.gateway.authorize(request(programme, number, cents))
    programme.deposit(10**18)
    found = replace(
        programme._registration(), account_id=uuid4(), wallet=f"0xfound{programme.name}", card_token=None
    )  # as the listener finds one
    programme.do(found)
    programme.do(BindCard(account_id=found.account_id, card_token=f"late-{programme.card}"))
    persons.correct(person_id, Details("Somebody else"), "test")
    return programme


def request(programme: Programme, number: int, cents: int) -> AuthorizationRequest:
    return AuthorizationRequest(f"{programme.name}-{number}", programme.card, cents, "EUR", deadline_ms=20_000)


def lose(databases: Databases, mark: int) -> None:
    """W as it was when its newest position was `mark`."""
    with databases.stack.postgres("write").superuser() as cursor:
        cursor.execute(
            "DELETE FROM command_answers WHERE answer -> 'events' ->> 0 IN (SELECT event_id::text FROM events WHERE position > %s)",
            (mark,),
        )
        cursor.execute("DELETE FROM outbox WHERE position IS NULL OR position::bigint > %s", (mark,))
        cursor.execute("DELETE FROM events WHERE position > %s", (mark,))
        cursor.execute("DELETE FROM streams WHERE first_position > %s", (mark,))
        cursor.execute(
            "UPDATE streams AS s SET version = e.version, head_hash = e.hash FROM events AS e WHERE e.stream_id = s.stream_id"
            " AND e.version = (SELECT max(version) FROM events AS n WHERE n.stream_id = s.stream_id)"
        )
        cursor.execute("DELETE FROM chain_wallets; DELETE FROM cards")


def newest(databases: Databases) -> int:
    with databases.stack.postgres("write").superuser() as cursor:
        cursor.execute("SELECT coalesce(max(position), 0) FROM events")
        [[position]] = cursor.fetchall()
        return int(position)


def test_all_that_was_told_comes_back_as_it_was(databases: Databases, owner: Any) -> None:
    early = live(databases)
    mark = newest(databases)
    early.gateway.authorize(request(early, 7, 300))
    programme = live(databases)
    before, records = stored(databases), on_topics(databases)
    lose(databases, mark)
    with transaction(owner) as cursor:
        found = survey(cursor, [records])
        assert not found.conflicts and len(found.lost) > 10
        done = bring_back(cursor, databases.codec, found.lost, found.orders)
        cursor.execute("DROP TABLE told")

    after = stored(databases)
    assert after["events"] == before["events"]
    assert after["streams"] == before["streams"]
    events_of = [row for row in before["outbox"] if row["position"] is not None]
    assert [row for row in after["outbox"] if row["position"] is not None] == events_of
    told = [row for row in before["command_answers"] if row["answer"]["events"]]
    assert [row for row in after["command_answers"] if row["answer"]["events"]] == told
    assert done.unanswered == [] and done.accounts == 2
    with databases.stack.postgres("write").superuser() as cursor:
        cursor.execute("SELECT account_id FROM cards WHERE card_token = %s", (programme.card,))
        assert cursor.fetchall() == [(programme.account_id,)]
        cursor.execute(
            "SELECT count(*) FROM cards AS c INNER JOIN events AS e ON e.stream_id = c.account_id AND e.type = 'CardBound'"
        )
        assert cursor.fetchall() == [(1,)]
        cursor.execute("SELECT last_value >= (SELECT max(position) FROM events) FROM event_positions")
        assert cursor.fetchall() == [(True,)]
    _again(databases, programme, before)


def _again(databases: Databases, programme: Programme, before: dict[str, list[Any]]) -> None:
    """The network asks once more, of a process that remembers nothing: the first answer, and nothing is appended."""
    gateway = Gateway(databases.as_role("write", "gateway"), databases.codec, Policy(), 20_000)
    for number, code in ((0, "00"), (1, "00"), (2, "51")):
        asked = request(programme, number, (100, 200, 10**9)[number])
        assert gateway.authorize(asked).response_code == code
    assert stored(databases)["events"] == before["events"]


def test_what_contradicts_is_named_and_its_streams_rest(databases: Databases, owner: Any) -> None:
    mark = newest(databases)
    first, second = live(databases), live(databases)
    records = on_topics(databases)
    lose(databases, mark)
    first.do(first._registration())  # W went on: another event took the version, and a position
    with transaction(owner) as cursor:
        found = survey(cursor, [records])
        cursor.execute("DROP TABLE told")
    torn = {UUID(each.record.key_text or "") for each in found.conflicts}
    assert first.account_id in torn and second.account_id not in torn
    assert not torn & {UUID(each.key_text or "") for each in found.lost}


def test_what_the_topics_lack_is_written_to_the_outbox_again_and_nothing_else(databases: Databases, owner: Any) -> None:
    live(databases)
    before, records = stored(databases)["outbox"], on_topics(databases)
    lost = records[-4:]
    done = {each.headers["ce_id"] for each in lost if each.topic.endswith(".events")}
    with transaction(owner) as cursor:
        survey(cursor, [records[:-4]])
        missed = {str(row[0]) for row in lacking(cursor)}
        assert missed == {each.headers["ce_id"] for each in lost} and done
        cursor.execute(AGAIN)
        assert cursor.rowcount == len(missed)
        cursor.execute("SELECT id::text FROM outbox WHERE xmin = pg_current_xact_id()::xid")
        assert {row[0] for row in cursor.fetchall()} == missed
        cursor.execute("DROP TABLE told")
    assert stored(databases)["outbox"] == before


DROP = """
INSERT INTO outbox_drops (slice, first_number, beyond_number, events, orders, positions, delivered_to, dropped_by)
SELECT 'outbox_x', 0, 1, 0, 0, int8multirange(int8range(%s, NULL)), '0/0', 'test'
"""
LATER = """
INSERT INTO schema_ids (schema_id, subject, type, schema, fingerprint, text_hash, recorded_at)
SELECT schema_id + %s, subject, type, %s, fingerprint, text_hash, %s FROM schema_ids WHERE type = %s ORDER BY schema_id LIMIT 1
"""
OLD = """
INSERT INTO events (position, event_id, stream_id, version, category, type, schema_version, payload, metadata, recorded_at, hash)
VALUES (nextval('event_positions'), %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING position
"""


def announced(owner: Any) -> list[tuple[UUID, bytes]]:
    """What `recover --apply` writes for rows that went with a slice, and how it was counted."""
    with transaction(owner) as cursor:
        cursor.execute("CREATE TEMP TABLE told (id uuid NOT NULL) ON COMMIT DROP")
        lost = gone(cursor)
        assert announce(cursor, load_codec(cursor)) == lost and gone(cursor) == 0
        cursor.execute("SELECT id, payload FROM outbox WHERE xmin = pg_current_xact_id()::xid")
        return [(event_id, bytes(record)) for event_id, record in cursor.fetchall()]


@pytest.fixture
def dropped(databases: Databases) -> Iterator[int]:
    """A slice went with all that was written from this position on."""
    mark = newest(databases) + 1
    yield mark
    with databases.stack.postgres("write").superuser() as cursor:
        cursor.execute("DELETE FROM outbox_drops")


def drop(databases: Databases, mark: int) -> None:
    with databases.stack.postgres("write").superuser() as cursor:
        cursor.execute(DROP, (mark,))
        cursor.execute("DELETE FROM outbox WHERE position::bigint >= %s", (mark,))


def test_rows_that_went_with_a_slice_are_announced_as_they_were(databases: Databases, owner: Any, dropped: int) -> None:
    live(databases)
    before = stored(databases)["outbox"]
    with transaction(owner) as cursor:  # another wording, registered since: today's id is another one
        for name in ("FundsHeld", "PaymentAuthorized"):
            cursor.execute("SELECT schema FROM schema_ids WHERE type = %s", (name,))
            text = cursor.fetchall()[0][0].replace('"doc": "', '"doc": "Anew: ', 1)
            cursor.execute(LATER, (10_000, text, "2999-01-01", name))
    drop(databases, dropped)
    assert len(announced(owner)) > 10
    assert stored(databases)["outbox"] == before


def test_an_event_of_an_older_shape_is_announced_in_it(databases: Databases, owner: Any, dropped: int) -> None:
    """What was lived under release 1: its bytes, under the id that release 1 had been given, and not as today's shape says it."""
    lived = [each for each in golden.lines(1, golden.DAY) if each["type"] in ("PaymentAuthorized", "PaymentRequested")]
    schemas = {name: schema for name, schema in golden.new_in(1).items() if name in {each["type"] for each in lived}}
    numbers = {name: 20_000 + place for place, name in enumerate(schemas)}
    bytes_of = {}
    with databases.stack.postgres("write").superuser() as cursor:
        for name, schema in schemas.items():
            row = (numbers[name], f"{name}-1", name, orjson.dumps(schema).decode(), "1", "1", "2020-01-01")
            cursor.execute("INSERT INTO schema_ids VALUES (%s, %s, %s, %s, %s, %s, %s)", (*row[:5], row[6], row[5]))
        for each in lived:
            event = golden.recorded(each)
            told = (event.event_id, event.stream_id, event.version, event.category, event.type, event.schema_version)
            said = (orjson.dumps(event.payload).decode(), orjson.dumps(event.metadata).decode())
            cursor.execute(OLD, (*told, *said, event.recorded_at, event.hash))
            bytes_of[event.event_id] = FRAME.pack(0, numbers[event.type]) + bytes.fromhex(each["avro"])
    drop(databases, dropped)
    assert bytes_of and dict(announced(owner)) == bytes_of
