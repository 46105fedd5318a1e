"""Whether this process can work: both databases asked at once, none waited for longer than two seconds, and how far the read side is;
and from when on that is too far, which page and alarms are told here and nowhere else."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import anyio
import psycopg2
import sqlalchemy.exc
from anyio import CapacityLimiter, to_thread
from sqlalchemy import Engine, text

from api.answers.health_models import Readiness, Server
from infra.settings import Settings

PATIENCE_SECONDS = 2.0
ON_WRITE = text("""
SELECT (SELECT max(position) FROM events) AS newest_position, newest_position() - read_horizon() AS unsettled_positions,
       (SELECT coalesce(max(seconds), 0) FROM appending()) AS longest_append_seconds, cursors.seen_number AS chain_block_number,
       (SELECT count(*) FROM parked_messages WHERE state IN ('parked', 'queued')) AS parked_write_messages,
       (SELECT count(*) FROM sagas WHERE state = 'parked' AND ended_at IS NULL) AS parked_sagas,
       (SELECT count(*) FROM webhook_messages WHERE state = 'parked') AS parked_webhooks,
       extract(epoch FROM clock_timestamp() - least(cursors.moved_at, to_timestamp(cursors.seen_time)))::float AS chain_age_seconds,
       (SELECT coalesce(sum(times), 0)::bigint FROM chain_contradictions WHERE kind = 'drift_observed') AS drifts_observed,
       (SELECT coalesce(sum(times), 0)::bigint FROM chain_contradictions WHERE kind = 'endpoint_outvoted') AS endpoints_outvoted,
       (SELECT coalesce(sum(times), 0)::bigint FROM chain_contradictions WHERE kind = 'closed_spend_mined') AS closed_spends_mined,
       (SELECT extract(epoch FROM clock_timestamp() - e.recorded_at)::float FROM events AS e
        WHERE e.position > coalesce((SELECT l.position FROM audit_leaves AS l WHERE l.leaf_index = anchored.size - 1), 0)
        ORDER BY e.position LIMIT 1) AS unanchored_seconds
FROM (SELECT max(a.tree_size) AS size
      FROM audit_anchors AS a INNER JOIN audit_transactions AS t USING (chain_id, sender, nonce)
      WHERE t.state = 'final' AND log_of(a.data) = (SELECT log_id FROM audit_log)) AS anchored
LEFT JOIN (SELECT * FROM chain_cursors ORDER BY seen_time DESC LIMIT 1) AS cursors ON true
""")
ON_READ = text("""
SELECT (SELECT max(position) FROM deliveries) AS delivered_position,
       (SELECT count(*) FROM parked_messages WHERE state IN ('parked', 'queued')) AS parked_read_messages,
       (SELECT begun_at FROM rebuilds WHERE state = 'running') AS rebuilding_since,
       (SELECT count(*) FROM lost_events INNER JOIN deliveries USING (event_id, version, position)) AS set_aside_shown
""")
BEHIND = text("""
SELECT extract(epoch FROM clock_timestamp() - recorded_at)::float AS lag_seconds
FROM events WHERE position > :delivered ORDER BY position LIMIT 1
""")


class Health:
    """Asks both servers. Its threads are its own: a server that hangs keeps nobody else waiting."""

    def __init__(self, write: Engine, read: Engine, settings: Settings) -> None:
        self._write, self._read = (each.execution_options(isolation_level="AUTOCOMMIT") for each in (write, read))
        self._threads = CapacityLimiter(6)
        self._late = {
            "read_late_seconds": settings.read_late_seconds,
            "chain_stale_seconds": settings.chain_stale_seconds,
            "anchor_late_seconds": 2 * settings.anchor_seconds,
        }

    async def readiness(self) -> Readiness:
        """The state of both servers and of the lag between them."""
        found: dict[str, tuple[Server, Mapping[str, Any]]] = {}
        async with anyio.create_task_group() as group:
            group.start_soon(self._ask, found, "write", self._write, ON_WRITE, {})
            group.start_soon(self._ask, found, "read", self._read, ON_READ, {})
        servers = [found[name][0] for name in ("write", "read")]
        told = {**found["write"][1], **found["read"][1]}
        ready = all(server.reachable for server in servers)
        lag = await self._lag(told) if ready else {}
        return Readiness(status="ready" if ready else "not_ready", servers=servers, **told, **lag, **self._late)

    async def _lag(self, told: Mapping[str, Any]) -> dict[str, Any]:
        newest, delivered = told["newest_position"] or 0, told["delivered_position"] or 0
        if newest <= delivered:
            return {"lag_events": 0, "lag_seconds": 0.0}
        behind: dict[str, tuple[Server, Mapping[str, Any]]] = {}
        await self._ask(behind, "write", self._write, BEHIND, {"delivered": delivered})
        return {"lag_events": newest - delivered, "lag_seconds": behind["write"][1].get("lag_seconds")}

    async def _ask(self, found: dict[str, Any], name: str, server: Engine, query: Any, values: dict[str, Any]) -> None:
        began = time.monotonic()
        row: Mapping[str, Any] = {}
        error: str | None = f"no answer within {PATIENCE_SECONDS:g} seconds"
        with anyio.move_on_after(PATIENCE_SECONDS):
            row, error = await to_thread.run_sync(
                _row, server, query, values, limiter=self._threads, abandon_on_cancel=True
            )
        took = round((time.monotonic() - began) * 1000, 2)
        found[name] = Server(name=name, reachable=error is None, milliseconds=None if error else took, error=error), row


def _row(server: Engine, query: Any, values: dict[str, Any]) -> tuple[Mapping[str, Any], str | None]:
    try:
        with server.connect() as connection:
            return dict(connection.execute(query, values).mappings().one_or_none() or {}), None
    except (sqlalchemy.exc.SQLAlchemyError, psycopg2.Error):
        return {}, "it does not answer, or refuses us"  # the driver's own words name addresses: they are for the log
