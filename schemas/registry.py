"""The registry's ids, and our own copy of them in W: bytes are read without a registry, and a lost one gets the same ids again.

Subject = topic, a hyphen, the record's full name (TopicRecordNameStrategy), compatibility FULL_TRANSITIVE.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import fastavro.schema
import httpx

import schemas.messages  # noqa: F401  (fills the vocabulary)
from infra.database import Cursor
from infra.errors import Misconfigured, Unreachable
from schemas.codec import Codec
from schemas.definition import MESSAGES, Message, avro_schema

SAVE = """
INSERT INTO schema_ids (schema_id, subject, type, schema, fingerprint, text_hash) VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (schema_id) DO NOTHING
"""
KNOWN = "SELECT schema_id, subject, type, schema FROM schema_ids ORDER BY recorded_at, schema_id"
RESTORE = "`payriver up --restore`, or `payriver provision --restore` where the servers run already,"


@dataclass(frozen=True)
class Known:
    """A schema as W remembers it."""

    schema_id: int
    subject: str
    type: str
    text: str


def subject_of(cls: type[Message]) -> str:
    """`payments.events-payriver.payments.events.PaymentRequested`."""
    return f"{cls.topic}-{avro_schema(cls)['namespace']}.{cls.__name__}"


@cache
def fingerprint(text: str) -> str:
    """SHA-256 of a schema's Parsing Canonical Form (Avro specification, "Schema Fingerprints"), hex: equal where the bytes are.

    Documentation and defaults do not count in it; `text_hash` is of the text itself.
    """
    form = fastavro.schema.to_parsing_canonical_form(json.loads(text))
    return str(fastavro.schema.fingerprint(form, "SHA-256"))


def text_hash(text: str) -> str:
    """SHA-256 of a schema's text, hex: what is given back to a lost registry is what it was."""
    return hashlib.sha256(text.encode()).hexdigest()


def remember(cursor: Cursor, schema_id: int, cls: type[Message]) -> None:
    """Write down which id today's schema of a message has; one that is known stays."""
    text = json.dumps(avro_schema(cls))
    cursor.execute(SAVE, (schema_id, subject_of(cls), cls.__name__, text, fingerprint(text), text_hash(text)))


def remember_all(cursor: Cursor) -> None:
    """Give today's schemas ids in the vocabulary's order: for a W that has no registry beside it, as in benches and tests."""
    for number, cls in enumerate(MESSAGES.values(), 1):
        remember(cursor, number, cls)


def known(cursor: Cursor) -> list[Known]:
    """Every schema that ever had an id, in the order in which they got it."""
    cursor.execute(KNOWN)
    return [Known(*row) for row in cursor.fetchall()]


def register(cursor: Cursor, registry_url: str) -> int:
    """Make every message known to the registry and keep its ids in W, in the caller's transaction. Gives how many types there are.

    Raises Misconfigured when the registry refuses a schema or gives other ids than W remembers (nothing was changed then),
    Unreachable when it does not answer.
    """
    with door(registry_url) as http:
        must_agree(http, known(cursor))
        for cls in MESSAGES.values():
            remember(cursor, _register_one(http, subject_of(cls), json.dumps(avro_schema(cls))), cls)
    return len(MESSAGES)


@contextmanager
def door(registry_url: str) -> Iterator[httpx.Client]:
    """A client of the registry. Raises Unreachable when it does not answer."""
    with httpx.Client(base_url=registry_url, timeout=10, trust_env=False) as http:
        try:
            yield http
        except httpx.TransportError as error:
            raise Unreachable(f"the schema registry at {registry_url} does not answer: {error}") from error


def must_agree(http: httpx.Client, remembered: Sequence[Known]) -> None:
    """Hold the registry's ids against W's. Raises Misconfigured, with the first id that is another's, and what to do."""
    found = {each: _text_of(http, each.schema_id) for each in remembered}
    lacking = [each for each, text in found.items() if text is None]
    if remembered and len(lacking) == len(remembered) and is_empty(http):
        raise Misconfigured(
            f"the registry at {http.base_url} is empty, and W knows {len(remembered)} schema ids: topics could not be read by anybody. "
            f"{RESTORE} gives it the same ids again"
        )
    for each, text in found.items():
        if text is None or json.loads(text) != json.loads(each.text):
            says = "does not know it" if text is None else f"says {json.loads(text).get('name', text[:60])}"
            raise Misconfigured(
                f"schema id {each.schema_id} is {each.type} in W, and the registry at {http.base_url} {says}: it is another's, or was "
                f"filled anew. Name the right one in PAYRIVER_REGISTRY_URL, or empty its database; {RESTORE} gives it W's ids"
            )


def is_empty(http: httpx.Client) -> bool:
    """Whether it has no subject at all."""
    answer = http.get("/subjects")
    answer.raise_for_status()
    return not answer.json()


def load_codec(cursor: Cursor) -> Codec:
    """The codec, from W's own copy of the ids; no registry is asked. Raises Misconfigured before `payriver provision`.

    A message is written under the newest id whose schema makes the same bytes as its class does: one that another version of
    payriver registered later is read, never written under.
    """
    writers = {each.schema_id: json.loads(each.text) for each in known(cursor)}
    if not writers:
        raise Misconfigured("W knows no schema ids; run `payriver provision` first")
    numbers = {_bytes_of(schema): number for number, schema in writers.items()}
    today = {name: numbers.get(_bytes_of(avro_schema(cls))) for name, cls in MESSAGES.items()}
    return Codec({name: number for name, number in today.items() if number is not None}, writers)


def _bytes_of(schema: dict[str, Any]) -> tuple[str, int]:
    """What of a schema decides on the bytes, and on what they mean."""
    return fingerprint(json.dumps(schema)), schema.get("schema_version", 1)


def _text_of(http: httpx.Client, schema_id: int) -> str | None:
    answer = http.get(f"/schemas/ids/{schema_id}")
    if answer.status_code == 404:
        return None
    answer.raise_for_status()
    return str(answer.json()["schema"])


def _register_one(http: httpx.Client, subject: str, text: str) -> int:
    answer = http.post(f"/subjects/{subject}/versions", json={"schema": text, "schemaType": "AVRO"})
    if answer.is_success:
        http.put(f"/config/{subject}", json={"compatibility": "FULL_TRANSITIVE"}).raise_for_status()
        return int(answer.json()["id"])
    raise Misconfigured(f"the registry refused {subject}: {answer.status_code} {answer.text[:300]}")
