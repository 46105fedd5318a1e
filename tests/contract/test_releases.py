"""What was published is read for ever: a change that breaks a release is refused by name, and old and new bytes read each other."""

from __future__ import annotations

import copy
import io
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import avro.io
import avro.schema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.errors import Conflict
from schemas import files
from schemas.codec import Codec
from schemas.definition import MESSAGES, avro_schema
from schemas.releases import SUMS, Releases, Schema
from tests.spoken import apache_bytes, as_written, datums, messages

Vocabulary = dict[str, Schema]
PUBLISHED = [(number, name) for name, versions in Releases().history.items() for number, _ in versions]


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    """A first release of today's vocabulary, in a folder of its own."""
    made = Releases(tmp_path)
    made.release(files.vocabulary())
    return Releases(tmp_path)


def field_of(vocabulary: Vocabulary, record: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in vocabulary[record]["fields"] if each["name"] == name)
    return found


def without_field(vocabulary: Vocabulary) -> None:
    vocabulary["FundsHeld"]["fields"].remove(field_of(vocabulary, "FundsHeld", "amount_raw"))
    vocabulary["FundsHeld"]["schema_version"] += 1


def other_type(vocabulary: Vocabulary) -> None:
    field_of(vocabulary, "LegSeen", "block_number")["type"] = "string"
    vocabulary["LegSeen"]["schema_version"] += 1


def field_without_default(vocabulary: Vocabulary) -> None:
    vocabulary["HoldFunds"]["fields"].append({"name": "urgency", "type": "string", "doc": "How soon."})
    vocabulary["HoldFunds"]["schema_version"] += 1


def without_record(vocabulary: Vocabulary) -> None:
    del vocabulary["PaymentExpired"]


def other_topic(vocabulary: Vocabulary) -> None:
    vocabulary["CardFrozen"]["namespace"] = "payriver.cards.events"


def same_version(vocabulary: Vocabulary) -> None:
    vocabulary["CardFrozen"]["fields"].append(NEW_FIELD)


def jumped_version(vocabulary: Vocabulary) -> None:
    vocabulary["CardFrozen"]["fields"].append(NEW_FIELD)
    vocabulary["CardFrozen"]["schema_version"] += 2


NEW_FIELD = {"name": "asked_by", "type": ["null", "string"], "default": None, "doc": "Who asked for it."}
BREAKS: dict[Callable[[Vocabulary], None], tuple[str, str]] = {
    without_field: ("FundsHeld.amount_raw", "was removed"),
    other_type: ("LegSeen.block_number", "changed its type from long to string"),
    field_without_default: ("HoldFunds.urgency", "without a default"),
    without_record: ("PaymentExpired", "keep the class"),
    other_topic: ("CardFrozen", "keeps its full name"),
    same_version: ("CardFrozen", "raise it to 2"),
    jumped_version: ("CardFrozen", "the next one is 2"),
}


@pytest.mark.parametrize("change", BREAKS, ids=lambda change: change.__name__)
def test_a_change_that_breaks_a_release_is_refused_by_name(
    releases: Releases, change: Callable[[Vocabulary], None]
) -> None:
    vocabulary = copy.deepcopy(files.vocabulary())
    change(vocabulary)
    name, why = BREAKS[change]
    problems = releases.problems(vocabulary)
    assert len(problems) == 1 and name in problems[0] and why in problems[0]
    with pytest.raises(Conflict, match=name):
        releases.release(vocabulary)
    assert releases.numbers == [1]


def test_a_field_with_a_default_makes_a_release_of_that_record_alone(releases: Releases) -> None:
    vocabulary = copy.deepcopy(files.vocabulary())
    vocabulary["CardFrozen"]["fields"].append(NEW_FIELD)
    vocabulary["CardFrozen"]["schema_version"] += 1
    number, changes = releases.release(vocabulary)
    assert (number, [(each.name, each.added, each.removed) for each in changes]) == (
        *(2, [("CardFrozen", ["asked_by"], [])]),
    )
    assert sorted(path.name for path in (releases.folder / "2").iterdir()) == ["CardFrozen.avsc", SUMS]
    assert releases.of("CardFrozen") == [files.vocabulary()["CardFrozen"], vocabulary["CardFrozen"]]
    assert releases.release(vocabulary) == (2, [])


def test_a_field_that_a_later_release_took_away_is_held_against_the_earlier_one_too(releases: Releases) -> None:
    vocabulary = copy.deepcopy(files.vocabulary())
    for number in (2, 3):
        vocabulary["CardFrozen"]["schema_version"] = number
        releases.release(vocabulary)
    field_of(vocabulary, "CardFrozen", "reason")["type"] = "long"
    vocabulary["CardFrozen"]["schema_version"] = 4
    assert len(releases.problems(vocabulary)) == 1, "the same break with three releases is told once"
    (releases.folder / "2" / "CardFrozen.avsc").unlink()
    assert any("never changed" in each for each in releases.problems(vocabulary))


def test_releases_stand_in_the_order_of_their_numbers_not_of_their_names(releases: Releases) -> None:
    vocabulary = copy.deepcopy(files.vocabulary())
    for number in range(2, 12):
        vocabulary["CardFrozen"]["schema_version"] = number
        releases.release(vocabulary)
    assert [each["schema_version"] for each in releases.of("CardFrozen")] == list(range(1, 12))
    assert releases.numbers == list(range(1, 12))


def test_a_published_file_that_was_changed_is_named(releases: Releases) -> None:
    path = releases.folder / "1" / "FundsHeld.avsc"
    path.write_text(path.read_text().replace("Funds were set aside", "Money was set aside"))
    assert [each for each in releases.problems(files.vocabulary()) if "release 1" in each]
    (releases.folder / "1" / SUMS).unlink()
    assert [each for each in releases.problems(files.vocabulary()) if "release 1" in each]


def test_everything_that_is_said_today_was_published_or_may_be() -> None:
    assert Releases().numbers[0] == 1
    assert Releases().problems(files.vocabulary()) == []
    assert {name for name, versions in Releases().history.items() if versions} <= MESSAGES.keys()


@pytest.mark.parametrize(("number", "name"), PUBLISHED)
@settings(max_examples=10)
@given(data=st.data())
def test_todays_codec_reads_what_apache_wrote_by_a_released_schema(number: int, name: str, data: st.DataObject) -> None:
    schema = _released(number, name)
    datum = data.draw(datums(schema))
    value = Codec({}, {7: schema}).decode(struct.pack(">bI", 0, 7) + apache_bytes(schema, datum))
    known = {each: told for each, told in as_written(value).items() if each in datum}
    assert known == {each: told for each, told in datum.items() if each in known} != {}


@pytest.mark.parametrize(("number", "name"), PUBLISHED)
@settings(max_examples=10)
@given(data=st.data())
def test_apache_reads_todays_bytes_by_a_released_schema(number: int, name: str, data: st.DataObject) -> None:
    today, old = avro_schema(MESSAGES[name]), _released(number, name)
    value = data.draw(messages(MESSAGES[name]))
    encoded = Codec({name: 7}, {7: today}).encode(value)
    reader = avro.io.DatumReader(avro.schema.parse(json.dumps(today)), avro.schema.parse(json.dumps(old)))
    read = reader.read(avro.io.BinaryDecoder(io.BytesIO(encoded[5:])))
    both = {each["name"] for each in old["fields"]} & value.__dict__.keys()
    assert both and {each: read[each] for each in both} == {each: as_written(value)[each] for each in both}


def _released(number: int, name: str) -> Schema:
    return next(schema for each, schema in Releases().history[name] if each == number)
