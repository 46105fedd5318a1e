"""The saga's door for payment events that came over Kafka, and the loop that fires its timeouts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event
from uuid import UUID

import structlog
from sqlalchemy import Engine as Database

from infra.database import Cursor, transaction
from infra.failpoints import failpoint
from infra.transient import is_transient
from schemas.codec import Codec
from streams.runtime.records import Record
from streams.sagas.engine import Engine

log = structlog.get_logger(__name__)
TICK_SECONDS = 0.25


@dataclass(frozen=True)
class SagaAgent:
    """The handler of payments.events."""

    codec: Codec
    engine: Engine

    def apply(self, cursor: Cursor, records: Sequence[Record]) -> None:
        """Each payment's events are taken in its stream's order; the record's bytes must be what they claim to be."""
        delivered: dict[UUID, list[tuple[int, UUID]]] = {}
        for record in records:
            message = self.codec.decode(record.value)
            delivered.setdefault(message.key, []).append(
                (record.header("stream_version", int), record.header("ce_id", UUID))
            )
        self.engine.deliver(cursor, delivered)


@dataclass(frozen=True)
class Timeouts:
    """Fires due timeouts, a batch a transaction, by W's clock; several workers share the work by skipping locked rows."""

    database: Database
    engine: Engine

    def __call__(self, stop: Event) -> None:
        """Run until `stop` is set."""
        while not stop.wait(TICK_SECONDS):
            try:
                while self._fire():
                    pass
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("timeouts_wait", error=str(error))

    def _fire(self) -> int:
        with transaction(self.database) as cursor:
            fired = self.engine.fire(cursor)
            failpoint("timeout.before_commit")
        failpoint("timeout.after_commit")
        return fired
