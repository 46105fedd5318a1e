"""A registry that was lost, or is another's: W remembers every id, and bytes that stood on topics are read again as before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from api.roots.provisioning import Doors, River, teach_vocabulary
from infra.database import engine, transaction
from infra.errors import Misconfigured
from infra.stack import access
from infra.stack.choice import stack_for_tests
from infra.stack.supervisor import Stack
from tests.integration.outbox import read_records
from tests.integration.read_side import a_world, append
from tests.integration.test_schema_ids import HELD, written_under

pytestmark = pytest.mark.long  # a registry of its own is lost and refilled, schema by schema
TOPICS = ("payments.events", "accounts.events")
NEWCOMER = {"type": "record", "name": "Newcomer", "namespace": "elsewhere", "fields": []}
SEEN = "SELECT schema_id, schema FROM schema_ids ORDER BY schema_id"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack of its own, whose registry may be lost."""
    with stack_for_tests(River()) as running:
        yield running


@pytest.fixture(scope="module")
def told(stack: Stack) -> list[tuple[str, bytes, Any]]:
    """Topic, bytes and meaning of records that stand on the topics, as a Confluent consumer read them before the loss."""
    world = a_world()
    append(stack, world)
    records = read_records(stack, TOPICS, lambda found: len(found) >= len(world.events))
    assert len(records) == len(world.events) > 10
    return [(r.topic(), r.value(), _deserialized(stack, r.topic(), r.value())) for r in records]


def _deserialized(stack: Stack, topic: str, value: bytes) -> Any:
    registry = SchemaRegistryClient({"url": access.url(stack.home, "registry")})
    return AvroDeserializer(registry)(value, SerializationContext(topic, MessageField.VALUE))


def _empty_registry(stack: Stack, *first: dict[str, Any]) -> None:
    """Lose the registry's database; a fresh one takes its place, and these schemas, of somebody else, come first."""
    stack.stop_process("registry")
    with stack.postgres("read").superuser("postgres") as cursor:
        cursor.execute("DROP DATABASE registry WITH (FORCE)")
    stack.postgres("read").create_roles()
    stack.start_process("registry")
    for number, schema in enumerate(first):
        told = {"schema": json.dumps(schema), "schemaType": "AVRO"}
        httpx.post(f"{stack.url('registry')}/subjects/other-{number}/versions", json=told).raise_for_status()


def _ids(stack: Stack) -> dict[int, str]:
    with stack.postgres("write").superuser() as cursor:
        cursor.execute(SEEN)
        return dict(cursor.fetchall())


def test_a_lost_registry_gets_the_same_ids_again_and_old_bytes_are_read(stack: Stack, told: list[Any]) -> None:
    _forget_some_and_age(stack)
    remembered = _ids(stack)
    _empty_registry(stack)
    with pytest.raises(Misconfigured, match=r"is empty, and W knows .* --restore"):
        teach_vocabulary(Doors.of(stack))
    assert httpx.get(f"{stack.url('registry')}/subjects").json() == []

    teach_vocabulary(replace(Doors.of(stack), restore=True))

    for number, text in remembered.items():
        answer = httpx.get(f"{stack.url('registry')}/schemas/ids/{number}").json()
        assert json.loads(answer["schema"]) == json.loads(text)
    assert [_deserialized(stack, topic, value) for topic, value, _ in told] == [meaning for *_, meaning in told]
    assert _ids(stack) == remembered


def _forget_some_and_age(stack: Stack) -> None:
    """Ids with gaps and an older version of one schema, as years leave them."""
    url = stack.url("registry")
    httpx.post(f"{url}/subjects/gap/versions", json={"schema": json.dumps(NEWCOMER), "schemaType": "AVRO"})
    with transaction(engine(access.database_url(stack.home, "write", "owner"))) as cursor:
        cursor.execute("SELECT schema, subject FROM schema_ids WHERE type = %s", (HELD.__name__,))
        ((text, subject),) = cursor.fetchall()
        today = written_under(cursor)
        grown = json.loads(text)
        grown["fields"].append({"name": "of_tomorrow", "type": ["null", "string"], "doc": "x", "default": None})
        told = {"schema": json.dumps(grown), "schemaType": "AVRO"}
        number = httpx.post(f"{url}/subjects/{subject}/versions", json=told).json()["id"]
        cursor.execute(
            "INSERT INTO schema_ids (schema_id, subject, type, schema, fingerprint, text_hash) VALUES (%s, %s, %s, %s, '', '')",
            (number, subject, HELD.__name__, json.dumps(grown)),
        )
        assert written_under(cursor) == today != number, "a schema of tomorrow beside today's class disturbs nobody"


def test_what_is_new_gets_a_new_id_and_its_compatibility_is_watched_as_before(stack: Stack, told: list[Any]) -> None:
    url, highest = stack.url("registry"), max(_ids(stack))
    fresh = {"schema": json.dumps({**NEWCOMER, "name": "Later"}), "schemaType": "AVRO"}
    assert httpx.post(f"{url}/subjects/later/versions", json=fresh).json()["id"] > highest
    subject = next(each for each in httpx.get(f"{url}/subjects").json() if each.startswith("payments.events"))
    schema = json.loads(httpx.get(f"{url}/subjects/{subject}/versions/latest").json()["schema"])
    schema["fields"].append({"name": "of_everyone_at_once", "type": "string"})
    strict = {"schema": json.dumps(schema), "schemaType": "AVRO"}
    assert httpx.post(f"{url}/subjects/{subject}/versions", json=strict).status_code == 409


def test_a_registry_with_other_ids_is_refused_and_not_touched(stack: Stack, told: list[Any]) -> None:
    _empty_registry(stack, NEWCOMER)
    for doors in (Doors.of(stack), replace(Doors.of(stack), restore=True)):
        with pytest.raises(Misconfigured, match=r"schema id 1 is .* in W, and the registry at .* says Newcomer"):
            teach_vocabulary(doors)
    assert httpx.get(f"{stack.url('registry')}/subjects").json() == ["other-0"]
