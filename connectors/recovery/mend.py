"""W and the topics in step again, in both directions, while nothing of ours runs. Whatever dies in between: done again, it ends the same.

connector stopped and its place forgotten -> slot dropped -> what W lost is brought back -> slot made -> what the topics lack is announced
again -> consumers' places -> connector. Between the two slots nothing that is written is announced: so what comes back is not told a second time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from confluent_kafka.admin import AdminClient
from psycopg2.extras import execute_values
from sqlalchemy import Engine

from connectors.anchoring.onchain import Stated
from connectors.debezium import register
from connectors.kafka.provision import places
from connectors.recovery.anchors import bring_back_anchors, forgotten
from connectors.recovery.announce import announce, gone
from connectors.recovery.bring_back import Result, bring_back
from connectors.recovery.chain import Chain, bring_back_chain
from connectors.recovery.places import astray, set_right
from connectors.recovery.reading import Progress, everything
from connectors.recovery.survey import LACKING, Conflict, Survey, lacking, survey
from infra.database import Cursor, transaction
from infra.errors import Conflict as WorldMovedOn
from infra.errors import Misconfigured
from schemas.codec import Codec
from schemas.topics import CHAIN_COMMANDS, TOPICS
from streams import set_aside
from streams.projections import second_copy
from streams.runtime.extents import extents
from streams.runtime.records import Place, Record

OURS = """
SELECT DISTINCT application_name FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'payriver %%' ORDER BY 1
"""
AGAIN = f"""
WITH lacking AS ({LACKING}), taken AS (DELETE FROM outbox USING lacking WHERE outbox.id = lacking.id RETURNING outbox.*)
INSERT INTO outbox SELECT * FROM taken ORDER BY position::bigint NULLS LAST, number
"""
PARK = """
INSERT INTO lost_events (event_id, stream_id, version, position, type, topic, partition, "offset", payload, headers, reason) VALUES %s
ON CONFLICT (event_id) DO NOTHING
"""
PASS_BY = "DO $$ BEGIN WHILE pg_current_xact_id() <= '{}'::xid8 LOOP COMMIT; END LOOP; END $$"
"""Some 100,000 transactions a second."""
PAUSE_SECONDS = 0.1


@dataclass
class Plan:
    """What stands between W, the topics and the chain.

    `lacking`: outbox rows that were never announced, and events whose row is gone and that no topic holds. `slot`: whether it is there.
    `anchors`: final ones that no row names. `extents`: what the topics have; `astray`: checkpoints, on W and R, where theirs has nothing: Kafka
    lost records.
    """

    survey: Survey
    lacking: int
    slot: bool
    anchors: list[Stated]
    extents: Mapping[Place, range]
    astray: int

    @property
    def agrees(self) -> bool:
        """Nothing does."""
        return self.slot and not (
            self.survey.lost or self.survey.conflicts or self.lacking or self.anchors or self.astray
        )


@dataclass
class Mended:
    """What was done."""

    back: Result = field(default_factory=Result)
    announced: int = 0
    parked: int = 0
    transactions: int = 0
    in_doubt: int = 0
    anchors: int = 0
    set_right: int = 0


@dataclass(frozen=True)
class Recovery:
    """`write`, `read`: W and R as role owner. `kafka`: as its administrator. `database`: where Connect finds W, if elsewhere than in `cdc_url`.

    `chain`: None where the submitter ordered nothing that was lost; else Misconfigured is raised, for a refund could be paid twice.
    """

    write: Engine
    read: Engine
    cdc_url: str = field(repr=False)
    kafka: Mapping[str, Any] = field(repr=False)
    connect_url: str = field(repr=False)
    codec: Codec
    database: tuple[str, int] | None = None
    chain: Chain | None = None
    patience_seconds: float = 3.0

    def look(self, progress: Progress) -> Plan:
        """Hold everything against everything; changes nothing."""
        with self._session() as (cursor, _):
            return self._plan(cursor, progress)

    def mend(self, progress: Progress, *, park: bool = False) -> Mended:
        """Bring both in step. `park`: what W contradicts is put aside for a person; else it is refused, and nothing was changed.

        Raises Conflict while one of our processes holds a connection, and for what W contradicts.
        """
        with self._session() as (cursor, commit):
            self._nobody_may_run(cursor, commit)
            plan = self._plan(cursor, progress)
            done = Mended()
            if plan.survey.conflicts and not park:
                raise WorldMovedOn(
                    f"{len(plan.survey.conflicts)} events on topics contradict W, the first at {_where(plan.survey.conflicts[0])}; "
                    "`--park` puts them aside for a person and brings back the rest"
                )
            if self.chain is None and any(order.topic == CHAIN_COMMANDS for order in plan.survey.orders):
                raise Misconfigured(
                    "orders to the submitter are among what was lost: name the chain file and the keystore (PAYRIVER_CHAIN_FILE, "
                    "PAYRIVER_KEYSTORE), so that what was sent is asked of the node and nothing is paid twice"
                )
            commit()
            register.stop(self.connect_url)
            register.drop_slot(self.cdc_url)
            self._pass_by(plan.survey.lost)
            done.back = bring_back(cursor, self.codec, plan.survey.lost, plan.survey.orders)
            if self.chain is not None:
                lost, orders = plan.survey.lost, plan.survey.orders
                done.transactions, done.in_doubt = bring_back_chain(cursor, self.codec, self.chain, lost, orders)
                done.anchors = bring_back_anchors(cursor, self.chain.rpc, self.chain.settings, plan.anchors)
            done.parked = _park(cursor, plan.survey.conflicts)
            commit()
            register.create_slot(self.cdc_url, events_stored=False)
            cursor.execute(AGAIN)
            done.announced = cursor.rowcount + announce(cursor, self.codec)
            commit()  # before the places: while they are astray nothing of ours starts
            with transaction(self.read) as on_read:
                # A rebuild's copy was filled from places that may be others now: it begins again.
                second_copy.throw_away(on_read)
                set_aside.tell(cursor, on_read)
                done.set_right = set_right(on_read, plan.extents, read_side=True)
            done.set_right += set_right(cursor, plan.extents, read_side=False)
            commit()
        register.start(self.connect_url, self.cdc_url, database=self.database)
        return done

    def _plan(self, cursor: Cursor, progress: Progress) -> Plan:
        names = [topic.name for topic in TOPICS]
        found = survey(cursor, everything(self.kafka, "payriver-recover", names, progress))
        anchors = forgotten(cursor, self.chain.rpc, self.chain.settings) if self.chain else []
        admin = AdminClient(dict(self.kafka))
        there = extents(admin, places(admin))
        with transaction(self.read) as on_read:
            beyond = astray(cursor, there) + astray(on_read, there)
        missing = len(lacking(cursor)) + gone(cursor)
        return Plan(found, missing, register.has_slot(self.cdc_url), anchors, there, beyond)

    def _pass_by(self, lost: Sequence[Record]) -> None:
        """W's count of transactions went back too. It passes by those of the events that come back: no number is given twice."""
        newest = max((int(record.headers["transaction_id"]) for record in lost), default=0)
        with self.write.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.detach()  # closed, and not kept: an open one is taken for a process of ours that runs
            connection.exec_driver_sql("SET synchronous_commit = off")
            connection.exec_driver_sql(PASS_BY.format(newest))

    def _nobody_may_run(self, cursor: Cursor, commit: Callable[[], None]) -> None:
        """A process that has just ended is there a moment longer: so each look is a transaction of its own, which sees anew."""
        until = time.monotonic() + self.patience_seconds
        while running := _ours(cursor):
            if time.monotonic() > until:
                raise WorldMovedOn(
                    f"{', '.join(running)} run on this W; end our processes first, so that nothing is appended meanwhile"
                )
            commit()
            time.sleep(PAUSE_SECONDS)

    @contextmanager
    def _session(self) -> Iterator[tuple[Cursor, Any]]:
        """One session for all, since what was read of the topics lies in a table of its own; no pool gets it back."""
        connection = self.write.raw_connection()
        connection.detach()
        raw: Any = connection.dbapi_connection
        try:
            with raw.cursor() as cursor:
                yield cursor, raw.commit
        finally:
            raw.close()


def _ours(cursor: Cursor) -> list[str]:
    cursor.execute(OURS)
    return [row[0] for row in cursor.fetchall()]


def _park(cursor: Cursor, conflicts: list[Conflict]) -> int:
    rows = [_parked(each.record, each.why) for each in conflicts]
    if rows:
        execute_values(cursor, PARK, rows)
    return len(rows)


def _parked(record: Record, why: str) -> tuple[Any, ...]:
    headers = record.headers
    about = (
        headers["ce_id"],
        record.key_text,
        int(headers["stream_version"]),
        int(headers["position"]),
        headers.get("ce_type"),
    )
    place = (record.topic, record.partition, record.offset)
    return (*about, *place, record.value, orjson.dumps(headers).decode(), why)


def _where(conflict: Conflict) -> str:
    record = conflict.record
    return f"{record.topic}/{record.partition}/{record.offset}: {conflict.why}"
