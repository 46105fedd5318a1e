"""What was really said in every released shape still loads, folds and comes to the same end; store and topic tell the same."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from connectors.recovery.bring_back import _back
from schemas.codec import FRAME, Codec
from schemas.definition import MESSAGES
from schemas.releases import SUMS, Releases, Schema, sums_of
from schemas.upcasters import UPCASTERS, message_of, upcast
from streams.aggregates import evolve
from streams.delivered import from_store
from streams.event_store.recorded import RecordedEvent, event_hash
from streams.projections import balances, ledger, payments
from streams.runtime.records import Record
from tests import golden
from tests.golden import Golden

RELEASES = golden.releases()
SAID = [each for release in RELEASES for each in golden.said(release)]
STREAMS = {(release, *key): told for release in RELEASES for key, told in golden.streams(release).items()}


def test_every_released_shape_has_golden_files() -> None:
    missing = [
        f"{name} schema_version {schema['schema_version']}: run `python -m tests.make_golden`"
        for release in Releases().numbers
        for name, schema in golden.new_in(release).items()
        if not any(each.type == name and each.schema_version == schema["schema_version"] for each in SAID)
    ]
    assert missing == []


@pytest.mark.parametrize("release", RELEASES)
def test_golden_files_are_what_they_were(release: int) -> None:
    folder = golden.FOLDER / str(release)
    texts = {path.name: path.read_text() for path in folder.iterdir() if path.name != SUMS}
    assert sums_of(texts) == (folder / SUMS).read_text()


@pytest.mark.parametrize("name", MESSAGES)
def test_what_was_said_in_any_shape_is_told_alike_by_store_and_topic(name: str) -> None:
    told = [each for each in SAID if each.type == name]
    for each in told:
        message = message_of(each.type, each.schema_version, each.payload)
        codec = Codec({}, {7: _schema(each)})
        assert codec.decode(FRAME.pack(0, 7) + each.avro) == message, each
    assert told or name not in Releases().history


@pytest.mark.parametrize("name", MESSAGES)
def test_what_was_stored_in_any_shape_is_written_again_byte_for_byte(name: str) -> None:
    for each in (each for each in SAID if each.type == name):
        codec = Codec({}, {7: _schema(each)})
        assert codec.ids_of(each.type, each.schema_version, each.payload) == [7]
        assert codec.encode_stored(7, each.payload) == FRAME.pack(0, 7) + each.avro


def test_an_upcaster_leaves_what_it_is_given_as_it_was_and_says_the_same_twice() -> None:
    for each in SAID:
        before = copy.deepcopy(each.payload)
        today = MESSAGES[each.type].schema_version
        once = upcast(each.type, each.schema_version, each.payload, today)
        assert each.payload == before
        assert upcast(each.type, each.schema_version, each.payload, today) == once
    assert {kind for kind, _ in UPCASTERS} <= {each.type for each in SAID}


def test_the_hash_of_a_stored_event_is_that_of_its_stored_payload() -> None:
    for event in (event for told in STREAMS.values() for event in told):
        told = event.event_id, event.stream_id, event.version, event.type, event.schema_version
        assert event_hash(*told, event.payload, event.metadata) == event.hash


@pytest.mark.parametrize("release", RELEASES)
def test_an_event_of_any_shape_comes_back_from_its_topic_as_it_was_stored(release: int) -> None:
    """W was restored to a point before an upgrade, and lost events that the older payriver had written: their leaves are anchored."""
    for name in (golden.DAY, golden.STORIES):
        for each in golden.lines(release, name):
            event, said = golden.recorded(each), golden.said_in(release, each)
            told = {name: value for name, value in event.metadata.items() if value is not None}
            headers = told | {"ce_id": str(event.event_id), "ce_type": event.type, "stream_version": str(event.version)}
            headers |= {"ce_time": each["recorded_at"], "position": str(event.position), "transaction_id": "1"}
            key, bytes_ = str(event.stream_id).encode(), FRAME.pack(0, 7) + said.avro
            topic = f"{event.category}s.events"
            record = Record(topic, 0, 0, key, bytes_, headers, 0)
            back = _back(Codec({}, {7: _schema(said)}), record)
            stored = (event.schema_version, event.payload, event.hash)
            assert (back.schema_version, back.event.payload, back.event.hash) == stored, each


@pytest.mark.parametrize("key", STREAMS, ids=lambda key: f"{key[0]}-{key[1]}-{str(key[2])[:8]}")
def test_a_stream_of_an_old_release_folds_to_what_it_came_to_then(key: tuple[Any, ...]) -> None:
    release, *stream = key
    state = None
    for number, event in enumerate(STREAMS[key], 1):
        assert event.version == number
        state = evolve(event.category, state, event.message())
    assert golden.end_of(state) == golden.ends(release)[tuple(stream)]


@pytest.mark.parametrize("key", STREAMS, ids=lambda key: f"{key[0]}-{key[1]}-{str(key[2])[:8]}")
def test_the_read_models_take_a_stream_of_an_old_release(key: tuple[Any, ...]) -> None:
    told = STREAMS[key]
    if told[0].category == "payment":
        assert _shown(payments, told).version == len(told)
        return
    row = _shown(balances, told)
    booked = [each for event in told for each in ledger.postings(from_store(event), ledger.chart_of(key[2], row.kind))]
    of_account = ledger.totals(booked)[ledger.chart_of(key[2], row.kind).liability]
    assert of_account.credits_posted - of_account.debits_posted == row.final_raw


def test_a_day_is_varied() -> None:
    ends = [end for (story, _), end in golden.ends(1).items() if story == "day"]
    assert {"authorized", "declined"} <= {each["card"] for each in ends if "card" in each}
    legs = {leg.rsplit(" ", 1)[0] for each in ends for leg in each.get("legs", ())}
    assert {"spend settled", "spend unseen", "refund settled"} <= legs
    origins = {told[0].payload.get("origin") for told in golden.streams(1).values()}
    assert {"chain", "network"} <= origins


def _schema(said: Golden) -> Schema:
    """The schema that its bytes were written by: of that version, the newest published up to its release."""
    found = [
        schema
        for number, schema in Releases().history[said.type]
        if number <= said.release and schema["schema_version"] == said.schema_version
    ]
    return found[-1]


def _shown(model: Any, told: list[RecordedEvent]) -> Any:
    row = None
    for event in told:
        row = model.apply(row, from_store(event))
    return row
