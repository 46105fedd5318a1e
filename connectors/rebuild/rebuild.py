"""The read models made anew: a second copy is filled from the topics up to where the shown one stands, and takes its place in one transaction.

tables -> places, row in `rebuilds` -> runs of records, up to the shown copy's checkpoints -> those locked -> the last runs, what the topics
have no more -> the copy in the first one's place. Whatever dies in between: said again, it goes on from the copy's own checkpoints.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg2.errors
from confluent_kafka.admin import AdminClient
from sqlalchemy import Engine
from tenacity import retry, retry_if_exception, stop_after_delay, wait_fixed

from connectors.kafka.provision import places
from connectors.recovery.agreement import check_topics
from connectors.recovery.reading import stretches
from infra.database import Cursor, transaction
from infra.errors import Conflict, Misconfigured
from infra.failpoints import failpoint
from infra.migrations.runner import files
from infra.transient import is_transient
from schemas.codec import Codec
from schemas.topics import SUBSCRIPTIONS
from streams import set_aside
from streams.projections import rebuilds, second_copy
from streams.projections.projector import Projector
from streams.projections.rebuilds import RebuildRow
from streams.projections.second_copy import Copyist
from streams.runtime import checkpoint, extents
from streams.runtime.consumer import process
from streams.runtime.records import Place, Run

Progress = Callable[[str, int, int], None]
"""(what is done, how much of it, of how much)."""
(PROJECTIONS,) = (each for each in SUBSCRIPTIONS if each.component == "projections")
NEAR_OFFSETS = 2000
"""So many at most are read while the projector waits."""
LOCK_TIMEOUT = "500ms"
"""A lock that is waited for keeps all others waiting: who reads for longer is let finish, and the lock is asked for again."""
PAUSE_SECONDS, PATIENCE_SECONDS = 0.5, 30.0
SIZES = """
SELECT relname, greatest(reltuples, 0)::bigint, pg_total_relation_size(oid) FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relname = ANY(%s) ORDER BY relname
"""
WAITING = "SELECT count(*) FROM parked_messages WHERE state IN ('parked', 'queued')"
ASIDE = "SELECT count(*) FROM lost_events"
NAMES = "SELECT name FROM migrations"
COUNT = f"SELECT count(*) FROM {second_copy.SCHEMA}.deliveries"


@dataclass(frozen=True)
class Plan:
    """What would be done. `offsets`: to read, of them `done` by a rebuild that was begun; `tables`: (name, rows as the planner knows, bytes).

    `waiting`: messages that wait for a person, `aside`: events that were put aside, `running`: the rebuild that was begun and has not ended.
    """

    offsets: int
    done: int
    tables: list[tuple[str, int, int]]
    waiting: int
    aside: int
    running: RebuildRow | None


@dataclass(frozen=True)
class Rebuild:
    """`write`, `read`: W and R as role owner; `copy`: R too, looking into the copy's schema. `kafka`: as who may read the topics of events."""

    write: Engine
    read: Engine
    copy: Engine
    kafka: Mapping[str, Any] = field(repr=False)
    codec: Codec
    group: str = "payriver-rebuild"

    def look(self) -> Plan:
        """Say what would be done; changes nothing. Raises what `run` raises before it begins."""
        self._must_be_in_order()
        firsts = self._firsts()
        with transaction(self.read) as cursor:
            shown, running = checkpoint.load(cursor, PROJECTIONS.component, firsts), _goes_on(cursor)
            cursor.execute(SIZES, (list(second_copy.MODELS),))
            tables = cursor.fetchall()
            cursor.execute(WAITING)
            waiting = int(cursor.fetchall()[0][0])
        done = self._checkpoints(firsts) if running is not None else firsts
        with transaction(self.write) as cursor:
            cursor.execute(ASIDE)
            aside = int(cursor.fetchall()[0][0])
        total = sum(shown[place] - first for place, first in firsts.items())
        return Plan(total, sum(done[p] - first for p, first in firsts.items()), tables, waiting, aside, running)

    def run(self, by: str, reason: str, progress: Progress, *, afresh: bool = False) -> RebuildRow:
        """Make them anew, or go on with what was begun; `afresh`: not go on, but begin again. Gives its row, which is done.

        Raises Conflict while somebody else is at it; BehindTopics, LostRecords, MissingCheckpoint, Misconfigured where W, the topics, the places
        or the tables are not in order; what is transient where a server is away: say it again, what was done is done.
        """
        with self._alone():
            self._must_be_in_order()
            firsts = self._firsts()
            row = self._begun(by, reason, firsts, afresh=afresh)
            self._catch_up(firsts, progress)
            events = self._counted()
            while not self._swapped(row, by, firsts, events, progress):
                time.sleep(PAUSE_SECONDS)
                self._catch_up(firsts, progress)
        with transaction(self.read) as cursor:
            return next(each for each in rebuilds.find(cursor) if each.rebuild_id == row.rebuild_id)

    def abandon(self, by: str, reason: str) -> RebuildRow:
        """Throw the copy away that was begun; what is shown stays as it is. Raises Conflict where there is none, or somebody is at it."""
        with self._alone(), transaction(self.read) as cursor:
            row = rebuilds.running(cursor)
            if row is None:
                raise Conflict(
                    "no rebuild was begun that has not ended; `payriver projections status` shows those of before"
                )
            rebuilds.end(cursor, row, "abandoned", by, reason)
            second_copy.throw_away(cursor)
        return row

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Held by a session of its own, so it ends with us, however we end."""
        connection = self.read.raw_connection()
        connection.detach()
        raw: Any = connection.dbapi_connection
        try:
            raw.autocommit = True
            with raw.cursor() as cursor:
                cursor.execute(rebuilds.ALONE)
                if not cursor.fetchone()[0]:
                    raise Conflict(
                        "somebody makes the read models anew just now; `payriver projections status` says who"
                    )
            yield
        finally:
            raw.close()

    def _must_be_in_order(self) -> None:
        check_topics(self.write, self.kafka, self.group, PROJECTIONS.topics)
        with transaction(self.read) as cursor:
            cursor.execute(NAMES)
            missing = {path.name for path in files("read")} - {name for (name,) in cursor.fetchall()}
        if missing:
            raise Misconfigured(
                f"R lacks {', '.join(sorted(missing))}: run `payriver migrate`, so that both copies have one shape"
            )

    def _firsts(self) -> dict[Place, int]:
        """Each partition's first offset. Raises LostRecords where the topics lack what the projector was told of."""
        admin = AdminClient(dict(self.kafka))
        found = [place for place in places(admin) if place.topic in PROJECTIONS.topics]
        there = extents.extents(admin, found)
        with transaction(self.read) as cursor:
            extents.check(PROJECTIONS.component, checkpoint.load(cursor, PROJECTIONS.component, found), there)
        return {place: there[place].start for place in found}

    def _begun(self, by: str, reason: str, firsts: Mapping[Place, int], *, afresh: bool) -> RebuildRow:
        with transaction(self.write) as on_write, transaction(self.read) as cursor:
            set_aside.tell(on_write, cursor)
            row = rebuilds.running(cursor)
            if row is not None and row == _goes_on(cursor) and not afresh:
                return row
            if row is not None:
                why = "begun afresh" if afresh else "the code that began it, or its copy, is no more"
                rebuilds.end(cursor, row, "abandoned", by, why)
        second_copy.make_tables(self.read, self.copy)
        failpoint("rebuild.after_tables")
        with transaction(self.read) as cursor:
            second_copy.begin(cursor, PROJECTIONS.component, firsts)
            return rebuilds.begin(cursor, by, reason, second_copy.code())

    def _catch_up(self, firsts: Mapping[Place, int], progress: Progress) -> None:
        """Up to where the shown copy stands, which goes on meanwhile; until little is left."""
        while True:
            with transaction(self.read) as cursor:
                shown = checkpoint.load(cursor, PROJECTIONS.component, firsts)
            total, left = sum(shown[place] - first for place, first in firsts.items()), self._left(shown)
            progress("records", total - left, total)
            self._read_up_to(shown, lambda remain, of=total: progress("records", of - remain, of))  # type: ignore[misc]
            if left <= NEAR_OFFSETS:
                return

    def _counted(self) -> int:
        """Events in the copy; and the planner knows its tables from the first question on."""
        with transaction(self.copy) as cursor:
            cursor.execute(f"ANALYZE {', '.join(second_copy.MODELS)}")
            cursor.execute(COUNT)
            return int(cursor.fetchall()[0][0])

    def _swapped(self, row: RebuildRow, by: str, firsts: Mapping[Place, int], events: int, progress: Progress) -> bool:
        try:
            return self._swap(row, by, firsts, events)
        except psycopg2.errors.LockNotAvailable:
            progress("waits for who reads", events, events)
            return False

    def _swap(self, row: RebuildRow, by: str, firsts: Mapping[Place, int], events: int) -> bool:
        """The projector waits before its next run, the rest is read, and the copy takes its place: both stand at the same offsets then.

        So workers notice nothing, and who reads never sees less than before.
        """
        with transaction(self.read) as cursor:
            cursor.execute(
                f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; LOCK TABLE public.checkpoints IN EXCLUSIVE MODE"
            )
            shown = checkpoint.load(cursor, PROJECTIONS.component, firsts)
            if self._left(shown) > NEAR_OFFSETS:
                return False
            self._read_up_to(shown, lambda _: None)
            self._fill()
            second_copy.lock(cursor)
            rebuilds.end(cursor, row, "done", by, None, events)
            second_copy.take_its_place(cursor, firsts, by, f"taken when the read models were made anew: {row.reason}")
            failpoint("rebuild.before_swap")
        failpoint("rebuild.after_swap")
        return True

    def _read_up_to(self, shown: Mapping[Place, int], left: Callable[[int], None]) -> None:
        """Never further: what is not shown yet is told to open pages when it is."""
        made = self._checkpoints(shown)
        copyist = Copyist(Projector(self.codec, self.write))
        remaining = self._left(shown)
        for run in stretches(self.kafka, self.group, {place: range(made[place], end) for place, end in shown.items()}):
            self._take(copyist, run)
            failpoint("rebuild.after_run")
            remaining -= run.end - run.start
            left(remaining)

    @retry(
        retry=retry_if_exception(is_transient),
        stop=stop_after_delay(PATIENCE_SECONDS),
        wait=wait_fixed(PAUSE_SECONDS),
        reraise=True,
    )
    def _take(self, copyist: Copyist, run: Run) -> None:
        if not process(self.copy, PROJECTIONS.component, copyist, run):
            raise Conflict(
                f"{run.place.topic}/{run.place.partition}: the copy was changed by somebody else; say it again"
            )

    def _fill(self) -> None:
        """What is shown and stands on no topic any more comes from the event store, as far as W still says so."""
        copyist, after = Copyist(Projector(self.codec, self.write)), UUID(int=0)
        while True:
            with transaction(self.copy) as cursor:
                gaps = second_copy.behind(cursor, after)
                if not gaps:
                    return
                found = copyist.projector.gaps.there(gaps)
                copyist.take(cursor, [event for gap in gaps for event in found[gap]])
            after = gaps[-1].stream_id

    def _left(self, shown: Mapping[Place, int]) -> int:
        made = self._checkpoints(shown)
        return sum(max(0, end - made[place]) for place, end in shown.items())

    def _checkpoints(self, of: Mapping[Place, int]) -> dict[Place, int]:
        with transaction(self.copy) as cursor:
            return checkpoint.load(cursor, PROJECTIONS.component, of)


def _goes_on(cursor: Cursor) -> RebuildRow | None:
    """What was begun and can be gone on with: its copy is there, and was filled by this very code."""
    row = rebuilds.running(cursor)
    return row if row is not None and row.code == second_copy.code() and second_copy.there(cursor) else None
