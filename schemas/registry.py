"""The registry's ids, and our own copy of them in W: a lost registry can be given the same ids again.

Subject = topic, a hyphen, the record's full name (TopicRecordNameStrategy), compatibility FULL_TRANSITIVE.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import httpx

import schemas.messages  # noqa: F401  (fills the vocabulary)
from infra.database import Cursor
from infra.errors import Misconfigured, Unreachable
from schemas.codec import Codec
from schemas.definition import MESSAGES, Message, avro_schema

SAVE = """
INSERT INTO schema_ids (schema_id, subject, type, schema, fingerprint) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (schema_id) DO NOTHING
"""
LOAD = "SELECT schema_id, schema FROM schema_ids ORDER BY recorded_at, schema_id"


def subject_of(cls: type[Message]) -> str:
    """`payments.events-payriver.payments.events.PaymentRequested`."""
    return f"{cls.topic}-{avro_schema(cls)['namespace']}.{cls.__name__}"


def register(cursor: Cursor, registry_url: str) -> int:
    """Make every message known to the registry and keep its ids in W, in the caller's transaction. Gives how many types there are.

    Raises Misconfigured when the registry refuses a schema, Unreachable when it does not answer.
    """
    with httpx.Client(base_url=registry_url, timeout=10) as http:
        for cls in MESSAGES.values():
            text = json.dumps(avro_schema(cls))
            subject = subject_of(cls)
            number = _register_one(http, subject, text)
            cursor.execute(SAVE, (number, subject, cls.__name__, text, hashlib.sha256(text.encode()).hexdigest()))
    return len(MESSAGES)


def _register_one(http: httpx.Client, subject: str, text: str) -> int:
    try:
        answer = http.post(f"/subjects/{subject}/versions", json={"schema": text, "schemaType": "AVRO"})
        if answer.is_success:
            http.put(f"/config/{subject}", json={"compatibility": "FULL_TRANSITIVE"}).raise_for_status()
            return int(answer.json()["id"])
    except httpx.TransportError as error:
        raise Unreachable(f"the schema registry at {http.base_url} does not answer: {error}") from error
    raise Misconfigured(f"the registry refused {subject}: {answer.status_code} {answer.text[:300]}")


def load_codec(cursor: Cursor) -> Codec:
    """The codec, from W's own copy of the ids; no registry is asked. Raises Misconfigured before `payriver provision`.

    A message is written under the newest id whose schema makes the same bytes as its class does: one that another version of
    payriver registered later is read, never written under.
    """
    cursor.execute(LOAD)
    writers = {number: json.loads(text) for number, text in cursor.fetchall()}
    if not writers:
        raise Misconfigured("W knows no schema ids; run `payriver provision` first")
    numbers = {_bytes_of(schema): number for number, schema in writers.items()}
    today = {name: numbers.get(_bytes_of(avro_schema(cls))) for name, cls in MESSAGES.items()}
    return Codec({name: number for name, number in today.items() if number is not None}, writers)


def _bytes_of(schema: dict[str, Any]) -> tuple[Any, ...]:
    """What of a schema decides on the bytes: the record, and its fields' types in order."""
    version = schema.get("schema_version", 1)
    return schema["namespace"], schema["name"], version, json.dumps([each["type"] for each in schema["fields"]])
