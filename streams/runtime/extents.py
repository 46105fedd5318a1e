"""What each partition has, held against how far a consumer has come: records that are gone stop us, and are not stepped over.

A broker that lost its newest records (a power failure, an unclean election) gives their offsets away a second time; a consumer that had come
by them would never be told of the next ones. A topic that keeps records for too short a time loses what nobody has taken yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from infra.errors import LostRecords, Unreachable
from streams.runtime.records import Place

ASK_SECONDS = 10.0
GUIDE = (
    "Nothing was taken. `payriver recover` says what the topics lack and announces it again (infra/runbooks/restore.md)"
)


def extents(admin: AdminClient, places: Iterable[Place]) -> dict[Place, range]:
    """The offsets of each partition, from its first record's to the one behind its last. Raises Unreachable."""
    found = list(places)
    first, end = (_offsets(admin, found, spec) for spec in (OffsetSpec.earliest(), OffsetSpec.latest()))
    return {place: range(first[place], end[place]) for place in found}


def check(consumer: str, checkpoints: Mapping[Place, int], of: Mapping[Place, range]) -> None:
    """Raises LostRecords where a partition ends before the consumer's checkpoint, or begins behind it."""
    for place, offset in checkpoints.items():
        first, end = of[place].start, of[place].stop
        if first <= offset <= end:
            continue
        gone = f"ends at {end}: Kafka has lost" if offset > end else f"begins at {first}: Kafka has deleted"
        where = f"{place.topic}/{place.partition}"
        raise LostRecords(f"{consumer} has come to offset {offset} of {where}, which {gone} records. {GUIDE}")


def _offsets(admin: AdminClient, places: Iterable[Place], spec: OffsetSpec) -> dict[Place, int]:
    wanted = {TopicPartition(place.topic, place.partition): place for place in places}
    try:
        asked = admin.list_offsets(dict.fromkeys(wanted, spec), request_timeout=ASK_SECONDS) if wanted else {}
        return {wanted[each]: found.result().offset for each, found in asked.items()}
    except KafkaException as error:
        raise Unreachable(f"the broker did not tell what its topics have: {error.args[0].str()}") from error
