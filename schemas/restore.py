"""A lost registry gets the same ids again: W's copy of all schemas as the archive that Apicurio's import reads.

Its Confluent door takes a schema with an id in mode IMPORT and gives it another id all the same (tried with 3.3.3); its own import keeps them.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

from infra.database import Cursor
from infra.errors import Misconfigured
from schemas.registry import Known, door, is_empty, known, must_agree

CONFLUENT = "/apis/ccompat/"
IMPORT = "/apis/registry/v3/admin/import"
FORMAT = {"systemName": "Apicurio Registry (SQL)", "systemVersion": "3.3.3", "exportVersion": "3.0", "dbVersion": "109"}
KEEP_IDS = {"X-Registry-Preserve-GlobalId": "true", "X-Registry-Preserve-ContentId": "true"}
NOBODY = {"owner": "", "createdOn": 0, "modifiedBy": "", "modifiedOn": 0}


def restore(cursor: Cursor, registry_url: str) -> int:
    """Give an empty registry the ids that W remembers. Gives how many; 0 where it agrees already.

    Raises Misconfigured for a registry with other ids, for one that is not Apicurio, and where W remembers nothing.
    """
    remembered = known(cursor)
    if not remembered:
        raise Misconfigured(
            "W remembers no schema ids, so there is nothing to restore: `payriver provision` makes them"
        )
    root, confluent, _ = registry_url.partition(CONFLUENT)
    with door(registry_url) as http:
        if not is_empty(http):
            must_agree(http, remembered)
            return 0
        if not confluent:
            raise Misconfigured(
                f"only an Apicurio registry can be given ids ({registry_url} has no {CONFLUENT}); restore another one's own backup"
            )
        told = {"content-type": "application/zip", **KEEP_IDS}
        answer = http.post(f"{root}{IMPORT}", content=archive(remembered), headers=told, timeout=120)
        if not answer.is_success:
            raise Misconfigured(f"the registry refused its ids: {answer.status_code} {answer.text[:300]}")
        must_agree(http, remembered)
    return len(remembered)


def archive(remembered: Sequence[Known]) -> bytes:
    """The ZIP of an export: contents by hash, then each subject with its versions in the order of their ids."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as into:
        about = {**FORMAT, "systemDescription": "payriver", "exportedOn": 0, "exportedBy": ""}
        into.writestr("manifest-1.Manifest.json", json.dumps(about))
        for each in remembered:
            for name, text in _content(each):
                into.writestr(name, text)
        for subject in dict.fromkeys(each.subject for each in remembered):
            ids = sorted(each.schema_id for each in remembered if each.subject == subject)
            for name, entry in _artifact(subject, ids):
                into.writestr(f"groups/default/artifacts/{subject}/{name}.json", json.dumps(entry))
    return out.getvalue()


def _content(each: Known) -> Iterator[tuple[str, str]]:
    digest = hashlib.sha256(each.text.encode()).hexdigest()
    entry = {
        "contentId": each.schema_id,
        "contentHash": digest,
        "artifactType": "AVRO",
        "contentType": "application/json",
    }
    yield f"content/{digest}.Content.json", json.dumps({**entry, "canonicalHash": None, "serializedReferences": None})
    yield f"content/{digest}.Content.data", each.text


def _artifact(subject: str, ids: list[int]) -> Iterator[tuple[str, dict[str, Any]]]:
    nameless = {"groupId": None, "artifactId": subject, "description": None, **NOBODY}
    yield "MetaData.Artifact", {**nameless, "artifactType": "AVRO", "name": None, "labels": None}
    for order, number in enumerate(ids, 1):
        version = {
            "globalId": number,
            "contentId": number,
            "version": str(order),
            "versionOrder": order,
            "state": "ENABLED",
        }
        yield f"versions/{order}.ArtifactVersion", {**nameless, **version, "name": None, "labels": None}
    versions = [str(order) for order, _ in enumerate(ids, 1)]
    yield "branches/latest.Branch", {**nameless, "branchId": "latest", "systemDefined": True, "versions": versions}
