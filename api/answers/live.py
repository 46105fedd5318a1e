"""Payments as they move, for every open page: one connection listens on R, each change is read once and handed to all.

The projector says `payments_changed` when it commits. A row carries the transaction that changed it (`changed_in`); whatever is older
than the oldest transaction still open can change no more, so that mark is the event id a page resumes from: nothing that commits late
is stepped over. What is newer is sent at once, and once. A page that cannot keep up gets the newest row of each payment, not a queue, and
everything anew where that would be too many.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import select
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg2
import sqlalchemy.exc
import structlog
from psycopg2.extras import RealDictCursor
from sqlalchemy import Engine

from infra.errors import Retry
from streams.projections.projector import ANEW

log = structlog.get_logger(__name__)

CHANNEL = "payments_changed"
PACE_SECONDS = 0.1
LOOK_SECONDS = 1.0
MOST_VIEWERS = 64
SHOWN_PAYMENTS = 600
MOST_MISSED = 3000
ROW = """payment_id::text, account_id::text, origin, outcome, state, spend_state, refund_state, amount_minor, currency, merchant_name,
reason, card_token, requested_at, changed_at, block_number, change, changed_in::text::bigint AS changed_in"""
MARK = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS mark"
RECENT = f"SELECT {ROW} FROM payments ORDER BY payments.requested_at DESC, payments.payment_id LIMIT %s"
SINCE = f"""
SELECT {ROW} FROM payments WHERE changed_in >= %s::text::xid8 AND change <> ALL(%s) ORDER BY payments.changed_in, payments.change LIMIT %s
"""
TOTALS = """
SELECT outcome, state, spend_state, refund_state, currency, count(*) AS payments, sum(amount_minor)::bigint AS amount_minor
FROM payments GROUP BY 1, 2, 3, 4, 5
"""

Row = dict[str, Any]


@dataclass(eq=False)
class Viewer:
    """One open page: what it is to be told next, the newest word of each payment only."""

    resume_from: int | None
    welcomed: bool = False
    told: asyncio.Event = field(default_factory=asyncio.Event)
    snapshot: list[Row] | None = None
    payments: dict[str, Row] = field(default_factory=dict)
    totals: list[Row] | None = None
    reading: bool | None = None
    mark: int = 0

    def take(self) -> list[tuple[str, Any]]:
        """What there is to tell, as (event, data), and forget it."""
        told: list[tuple[str, Any]] = []
        if self.snapshot is not None:
            told.append(("snapshot", self.snapshot))
        if self.payments:
            told.append(("payments", list(self.payments.values())))
        if self.totals is not None:
            told.append(("totals", self.totals))
        if self.reading is not None:
            told.append(("reading", self.reading))  # last: who is told that R is there has its rows
        self.snapshot, self.totals, self.reading, self.payments = None, None, None, {}
        self.told.clear()
        return told


class Feed:
    """The one reader. Its thread reads; viewers live in the event loop, and only there."""

    def __init__(self, read: Engine) -> None:
        self._read = read
        self._viewers: set[Viewer] = set()
        self._arrived: queue.SimpleQueue[Viewer] = queue.SimpleQueue()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)  # whoever calls is the event loop
        self._stopping = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._mark: int | None = None  # None: nobody looks, so nothing is followed
        self._sent: dict[int, int] = {}
        self._totals_due = 0.0
        self._moved = False

    def start(self) -> None:
        """Begin to listen; call it in the event loop."""
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._run, name="live feed", daemon=True).start()

    def stop(self) -> None:
        """Let all pages go, and the thread end when it next looks up."""
        self._stopping.set()
        self._wake()
        for viewer in self._viewers:
            viewer.told.set()

    @property
    def stopping(self) -> bool:
        """Whether pages should go."""
        return self._stopping.is_set()

    @property
    def viewers(self) -> int:
        """Open pages."""
        return len(self._viewers)

    def join(self, resume_from: int | None) -> Viewer:
        """A page opened, for the first time or again after `resume_from`. Raises Retry when there are too many."""
        if len(self._viewers) >= MOST_VIEWERS:
            raise Retry(
                f"{MOST_VIEWERS} pages are open at this instance; close one, or open this one at another instance"
            )
        viewer = Viewer(resume_from, mark=resume_from or 0)
        self._viewers.add(viewer)
        self._arrived.put(viewer)
        self._wake()
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """A page closed."""
        self._viewers.discard(viewer)

    # --- in the thread -------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full of calls that nobody heard yet: one is enough
            os.write(self._wake_write, b".")

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with contextlib.closing(self._connect()) as connection:
                    self._tell(None, reading=True)
                    self._follow(connection)
            except (psycopg2.Error, sqlalchemy.exc.SQLAlchemyError) as error:
                log.warning("live_feed_lost_the_read_side", error=str(error).strip())
                self._tell(None, reading=False)
                self._stopping.wait(LOOK_SECONDS)

    def _connect(self) -> Any:
        pooled = self._read.raw_connection()
        pooled.detach()  # ours for as long as we listen: it takes no place in the pool
        connection: Any = pooled.dbapi_connection
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")
        return connection

    def _follow(self, connection: Any) -> None:
        self._moved = True  # while we were not listening, anything may have happened
        while not self._stopping.is_set():
            began = time.monotonic()
            with connection.cursor(cursor_factory=RealDictCursor) as cursor:
                self._welcome(cursor)
                if self._viewers and self._mark is not None:
                    self._pass_on(cursor, self._mark)
                elif not self._viewers:
                    self._mark = None
            self._stopping.wait(max(0.0, PACE_SECONDS - (time.monotonic() - began)))
            self._wait(connection)

    def _wait(self, connection: Any) -> None:
        """Until somebody says something; with pages open also after a second, in case nobody did."""
        patience = LOOK_SECONDS if self._viewers else 30.0
        heard = select.poll()  # which, unlike select, takes any number of a file
        heard.register(connection, select.POLLIN)
        heard.register(self._wake_read, select.POLLIN)
        if self._wake_read in dict(heard.poll(patience * 1000)):
            os.read(self._wake_read, 4096)
        connection.poll()
        if connection.notifies:
            anew = any(notice.payload == ANEW for notice in connection.notifies)
            connection.notifies.clear()
            self._moved = True
            if anew and self._loop is not None:
                self._loop.call_soon_threadsafe(self._welcome_all_anew)

    def _welcome(self, cursor: Any) -> None:
        """Give each page that just opened what it lacks: all that is shown, or what it missed."""
        while not self._arrived.empty():
            viewer = self._arrived.get()
            if viewer not in self._viewers:
                continue  # it went before it was welcomed
            try:
                self._show(cursor, viewer)
            except psycopg2.Error:
                self._arrived.put(viewer)  # R went away just now: the page is welcomed when it is back
                raise

    def _show(self, cursor: Any, viewer: Viewer) -> None:
        cursor.execute(MARK)
        mark: int = cursor.fetchone()["mark"]
        missed = self._missed(cursor, viewer.resume_from, mark)
        if missed is None:
            cursor.execute(RECENT, (SHOWN_PAYMENTS,))
            self._tell(mark, viewer, snapshot=cursor.fetchall(), reading=True)
        else:
            self._tell(mark, viewer, payments=missed, reading=True)
        if self._mark is None:
            self._mark, self._sent = mark, {}
        self._totals_due, self._moved = 0.0, True

    def _missed(self, cursor: Any, resume_from: int | None, mark: int) -> list[Row] | None:
        """What changed since a page was last told; None: show it everything again."""
        if resume_from is None or not 0 < resume_from <= mark:
            return None
        cursor.execute(SINCE, (str(resume_from), [], MOST_MISSED + 1))
        rows: list[Row] = cursor.fetchall()
        return rows if len(rows) <= MOST_MISSED else None

    def _pass_on(self, cursor: Any, since: int) -> None:
        cursor.execute(MARK)  # taken first: what the next statement does not see yet is at or above it
        mark: int = cursor.fetchone()["mark"]
        cursor.execute(SINCE, (str(since), list(self._sent), MOST_MISSED))
        rows: list[Row] = cursor.fetchall()
        self._sent |= {row["change"]: row["changed_in"] for row in rows}
        if len(rows) < MOST_MISSED:
            self._mark = since = mark
            self._sent = {change: changed_in for change, changed_in in self._sent.items() if changed_in >= mark}
        totals = self._totals(cursor, bool(rows))
        if rows or totals is not None:
            self._tell(since, payments=rows, totals=totals)

    def _totals(self, cursor: Any, moved: bool) -> list[Row] | None:
        """Counts and sums, when something moved, and never more than a twentieth of the time."""
        self._moved = self._moved or moved
        began = time.monotonic()
        if not self._moved or began < self._totals_due:
            return None
        cursor.execute(TOTALS)
        rows: list[Row] = cursor.fetchall()
        took = time.monotonic() - began
        self._totals_due, self._moved = began + max(0.5, 20 * took), False
        return rows

    def _tell(self, mark: int | None, to: Viewer | None = None, **told: Any) -> None:
        """Hand over to the event loop: for one page that is welcomed by it, or for all that were; that R is away, for all."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the process is ending
                self._loop.call_soon_threadsafe(self._put, mark, to, told)

    # --- in the event loop ---------------------------------------------------------------------------------------------

    def _put(self, mark: int | None, to: Viewer | None, told: Mapping[str, Any]) -> None:
        """Lay what was read into each page's box."""
        if to is not None:
            to.welcomed = True
        away = told.get("reading") is False
        for viewer in [to] if to is not None else [each for each in self._viewers if each.welcomed or away]:
            viewer.mark = viewer.mark if mark is None else mark
            viewer.payments |= {row["payment_id"]: row for row in told.get("payments") or ()}
            for name in ("snapshot", "totals", "reading"):
                if told.get(name) is not None:
                    setattr(viewer, name, told[name])
            if len(viewer.payments) > MOST_MISSED:
                self._welcome_anew(viewer)
            viewer.told.set()

    def _welcome_all_anew(self) -> None:
        """The read models were made anew, and may say other things now."""
        for viewer in self._viewers:
            if viewer.welcomed:
                self._welcome_anew(viewer)

    def _welcome_anew(self, viewer: Viewer) -> None:
        """It is shown everything again, as is one that reads so slowly that it has missed too much to be told one by one."""
        viewer.payments, viewer.resume_from, viewer.welcomed = {}, None, False
        self._arrived.put(viewer)
        self._wake()
