"""Subject: our copy of the registry's ids. Every schema reads, is what its fingerprint says, and every message type has one."""

from __future__ import annotations

import json
from typing import Any

import fastavro
import fastavro.schema

from connectors.verify.report import Findings
from connectors.verify.snapshot import Snapshot
from infra.errors import Misconfigured
from schemas.codec import Codec
from schemas.definition import MESSAGES
from schemas.registry import fingerprint, text_hash

SCHEMAS = (
    "SELECT schema_id, subject, type, schema, fingerprint, text_hash FROM schema_ids ORDER BY recorded_at, schema_id"
)
UNREADABLE = (ValueError, KeyError, TypeError, fastavro.schema.SchemaParseException, fastavro.schema.UnknownType)


def load(snapshot: Snapshot, findings: Findings) -> Codec:
    """The codec, made of the rows that are good. Raises Misconfigured where there are none at all."""
    newest: dict[str, int] = {}
    writers: dict[int, dict[str, Any]] = {}
    rows = snapshot.rows(SCHEMAS)
    if not rows:
        raise Misconfigured("W knows no schema ids; run `payriver provision` first")
    for schema_id, subject, kind, text, *digests in rows:
        findings.checked["schemas"] += 1
        schema = _read(text)
        if schema is None:
            findings.differ(
                "schema_ids", schema_id, text, f"the Avro schema of {kind}", "column schema: cannot be read"
            )
            continue
        _hold_together(findings, schema_id, schema, subject, kind)
        found = dict(zip(("fingerprint", "text_hash"), digests, strict=True))
        expected = {"fingerprint": fingerprint(text), "text_hash": text_hash(text)}
        findings.compare("schema_ids", schema_id, found, expected, "is another schema's")
        newest[schema["name"]], writers[schema_id] = schema_id, schema
    for name in MESSAGES.keys() - newest.keys():
        findings.absent("schema_ids", name, "an id", "nobody can write this message")
    return Codec(newest, writers)


def _read(text: str) -> dict[str, Any] | None:
    try:
        schema: dict[str, Any] = json.loads(text)
        fastavro.parse_schema(schema)
        return schema if schema["name"] and schema["namespace"] else None
    except UNREADABLE:
        return None


def _hold_together(findings: Findings, schema_id: int, schema: dict[str, Any], subject: str, kind: str) -> None:
    """Type and subject follow from the schema's own name: topic, a hyphen, the record's full name."""
    name, namespace = schema["name"], schema["namespace"]
    topic = namespace.removeprefix("payriver.")
    found, expected = {"subject": subject, "type": kind}, {"subject": f"{topic}-{namespace}.{name}", "type": name}
    findings.compare("schema_ids", schema_id, found, expected, "the schema is called otherwise")
