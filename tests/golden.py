"""Golden files: what was really said in every released shape, kept for ever. Read by the contract tests, written once a release.

contract/golden/NUMBER/ of release NUMBER holds:
- day.jsonl: whole streams of a real day of the demo, events in order, each with its stored payload, hash and Avro body;
- stories.jsonl: the same of what a day does not hold (captures, reversals, expiry, ...), decided by the product, not lived;
- types.jsonl: for every record whose schema_version is new in the release, generated payloads with their Avro bodies;
- ends.json: story and stream -> what the fold of its events came to when the files were made;
- SHA256SUMS over them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from schemas.releases import Releases, Schema
from streams.event_store.recorded import RecordedEvent

FOLDER = Path(__file__).parent / "contract" / "golden"
DAY, STORIES, TYPES, ENDS = "day.jsonl", "stories.jsonl", "types.jsonl", "ends.json"
Key = tuple[str, UUID]
"""(story, stream): ids are those of a story; the day is one."""


@dataclass(frozen=True)
class Golden:
    """One message as it was said: its stored payload, and the Avro body that went to the topic."""

    release: int
    type: str
    schema_version: int
    payload: dict[str, Any]
    avro: bytes


def releases() -> list[int]:
    """Releases with golden files, oldest first."""
    return sorted(int(each.name) for each in FOLDER.iterdir() if each.name.isdigit())


def lines(release: int, name: str) -> Iterator[dict[str, Any]]:
    """The file's lines, decoded."""
    yield from map(json.loads, (FOLDER / str(release) / name).read_text().splitlines())


def said(release: int) -> list[Golden]:
    """Every golden message of a release."""
    return [said_in(release, each) for name in (DAY, STORIES, TYPES) for each in lines(release, name)]


def said_in(release: int, line: dict[str, Any]) -> Golden:
    """A line of one of the files as a message."""
    return Golden(release, line["type"], line["schema_version"], line["payload"], bytes.fromhex(line["avro"]))


def streams(release: int) -> dict[Key, list[RecordedEvent]]:
    """Whole streams, as the store would give them."""
    found: dict[Key, list[RecordedEvent]] = {}
    for each in (*lines(release, DAY), *lines(release, STORIES)):
        event = recorded(each)
        found.setdefault((each.get("story", "day"), event.stream_id), []).append(event)
    return found


def ends(release: int) -> dict[Key, dict[str, Any]]:
    """What each stream's fold came to."""
    told = json.loads((FOLDER / str(release) / ENDS).read_text())
    return {(story, UUID(stream_id)): end for story, of in told.items() for stream_id, end in of.items()}


def recorded(line: dict[str, Any]) -> RecordedEvent:
    """A line of a day as a stored event."""
    return RecordedEvent(
        position=line["position"],
        event_id_text=line["event_id"],
        stream_id=UUID(line["stream_id"]),
        version=line["version"],
        category=line["category"],
        type=line["type"],
        schema_version=line["schema_version"],
        payload=line["payload"],
        metadata_text=json.dumps(line["metadata"]),
        recorded_at_text=line["recorded_at"],
        hash_text="\\x" + line["hash"],
    )


def new_in(release: int) -> dict[str, Schema]:
    """Records whose schema_version was first published in this release."""
    found = {}
    for name, versions in Releases().history.items():
        known: set[int] = set()
        for number, schema in versions:
            if number == release and schema["schema_version"] not in known:
                found[name] = schema
            known.add(schema["schema_version"])
    return found


def end_of(state: Any) -> dict[str, Any]:
    """What a fold came to, in words and amounts that outlive the class: numbers as text, a mapping as its size or its words."""
    if hasattr(state, "legs"):
        legs = sorted(f"{leg.kind} {leg.state} {leg.amount_raw}" for leg in state.legs.values())
        return {
            "card": state.card,
            "held": state.held_raw > 0,
            "reason": state.reason,
            "verdict": state.verdict,
            "legs": legs,
        }
    return {
        "card_state": state.card_state,
        "integrity": state.integrity,
        "queue_empty": state.queue_empty,
        "final_raw": str(state.final_raw),
        "held_raw": str(state.held_raw),
        "debits_raw": str(state.debits_raw),
        "allowance_raw": str(state.allowances.final.balance),
    }
