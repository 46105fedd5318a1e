"""The fence: how far a consumer has come stands in PostgreSQL, in the same commit as what it did.

`next_offset` moves from a to b only by a transaction that starts at a. So two workers that both hold a partition for a
moment (one frozen and thawed, one too slow for a rebalance) cannot both apply a message, and none is stepped over.
"""

from __future__ import annotations

from collections.abc import Iterable

from infra.database import Cursor
from infra.errors import MissingCheckpoint
from streams.runtime.records import Place, Run

WHERE = "WHERE cluster = %s AND topic_id = %s AND partition = %s AND consumer = %s"


def advance(cursor: Cursor, consumer: str, run: Run) -> Run | None:
    """Move the checkpoint past the run. Gives the part that is new (it may be empty), or None for a hole before it.

    A hole means that an earlier run was dropped: nothing was moved, the reader must seek back to the checkpoint.
    """
    while True:
        cursor.execute(
            f"UPDATE checkpoints SET next_offset = %s, moved_at = clock_timestamp() {WHERE} AND next_offset = %s",
            (run.end, *_key(consumer, run.place), run.start),
        )
        if cursor.rowcount == 1:
            return run
        known = next_offset(cursor, consumer, run.place, lock=True)
        if known < run.start:
            return None
        run = run.since(known)
        if run.start == run.end:
            return run


def next_offset(cursor: Cursor, consumer: str, place: Place, *, lock: bool = False) -> int:
    """The offset that the consumer wants next. Raises MissingCheckpoint: an absent row is never offset 0."""
    cursor.execute(f"SELECT next_offset FROM checkpoints {WHERE}{' FOR UPDATE' * lock}", _key(consumer, place))
    if row := cursor.fetchone():
        return int(row[0])
    raise MissingCheckpoint(
        f"no checkpoint of consumer {consumer} for {place.topic}/{place.partition} (topic id {place.topic_id}, cluster"
        f" {place.cluster}); if the topic is new or was made anew, run `payriver provision`, which writes it"
    )


def load(cursor: Cursor, consumer: str, places: Iterable[Place]) -> dict[Place, int]:
    """Where to seek, per place."""
    return {place: next_offset(cursor, consumer, place) for place in places}


def provision(cursor: Cursor, consumer: str, places: Iterable[Place], next_offset: int = 0) -> None:
    """Write the checkpoint of each place, unless it is there already. Only provisioning calls this, never a worker."""
    for place in places:
        cursor.execute(
            "INSERT INTO checkpoints (cluster, topic_id, topic, partition, consumer, next_offset)"
            " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (place.cluster, place.topic_id, place.topic, place.partition, consumer, next_offset),
        )


def rewind(cursor: Cursor, consumer: str, topic: str, offset: int = 0) -> None:
    """Deliver the topic again from `offset` on: a running worker meets the moved checkpoint and seeks back by itself."""
    cursor.execute(
        "UPDATE checkpoints SET next_offset = least(next_offset, %s) WHERE consumer = %s AND topic = %s",
        (offset, consumer, topic),
    )


def _key(consumer: str, place: Place) -> tuple[str, str, int, str]:
    return place.cluster, place.topic_id, place.partition, consumer
