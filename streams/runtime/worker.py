"""A process that consumes: the Faust app, its agents, its watchdog and the loops beside them, until SIGTERM."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import Future
from typing import Any

import faust
import structlog
from faust.exceptions import ConsumerNotStarted
from mode import Worker
from sqlalchemy import Engine

from infra.settings import Settings
from streams.runtime import services as loops
from streams.runtime.agent import attach
from streams.runtime.consumer import AfterCommit, Handler
from streams.runtime.positions import Positions, client_config
from streams.runtime.records import Place
from streams.runtime.services import Ending, Service
from streams.runtime.transport import RunApp
from streams.runtime.watchdog import Watchdog

log = structlog.get_logger(__name__)

SESSION_SECONDS, HEARTBEAT_SECONDS = 6, 1.5  # the broker's least; a dead worker's partitions move on after this long
METADATA_MS = 5000
"""A broker that just came back may tell for a moment that it has no topics, and who then shares out partitions gives nobody any. Asked again
after five minutes, as is Faust's way, a group would stand still for as long."""
BUFFERED_RUNS = 32  # runs of a topic that wait for their agent, each of at most `run_records` messages


def run_worker(
    settings: Settings,
    *,
    engine: Engine,
    topics: Sequence[str],
    handler: Handler,
    services: Iterable[Service] = (),
    after_commit: AfterCommit | None = None,
) -> int:
    """Consume the topics as `settings.component` until SIGTERM or SIGINT. Gives the exit code: 0 after a clean stop."""
    asyncio.set_event_loop(asyncio.new_event_loop())
    ending = Ending()
    positions = Positions(engine, settings.component, client_config(settings))
    app = build_app(settings, positions)
    attach(app, topics, settings.component, handler, engine, after_commit=after_commit, fail=ending.fail)
    worker = ConsumerProcess(app, ending)
    threads = loops.start([*services, watchdog(settings, app, positions, topics, worker, ending)], ending)
    code = worker.run()
    ending.stop.set()
    loops.join(threads)
    log.info("worker_ended", exit_code=ending.code or code)
    return ending.code or code


def build_app(settings: Settings, positions: Positions) -> RunApp:
    """The Faust app of one consumer: no tables, no web, no leader, no topics of its own, nothing produced."""
    app = RunApp(
        settings.component,
        broker=f"kafka://{settings.kafka_bootstrap}",
        broker_credentials=_credentials(settings),
        store="memory://",
        autodiscover=False,
        processing_guarantee="at_least_once",
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
        stream_wait_empty=False,
        stream_buffer_maxsize=BUFFERED_RUNS,
        consumer_auto_offset_reset="none",  # a checkpoint below what the topic kept must stop us, not skip messages
        broker_max_poll_records=settings.run_records,
        broker_session_timeout=SESSION_SECONDS,
        broker_heartbeat_interval=HEARTBEAT_SECONDS,
        broker_commit_interval=1.0,
        consumer_metadata_max_age_ms=METADATA_MS,
    )
    app.positions = positions
    return app


def _assigned(app: RunApp) -> Collection[Any]:
    try:
        return app.consumer.assignment()  # type: ignore[no-any-return]
    except ConsumerNotStarted:  # the broker went away meanwhile
        return ()


def watchdog(
    settings: Settings,
    app: RunApp,
    positions: Positions,
    topics: Sequence[str],
    worker: ConsumerProcess,
    ending: Ending,
) -> Watchdog:
    """The watchdog of this app; it speaks to the app's event loop from its own thread."""

    def reached() -> dict[tuple[str, int], int]:
        held = {(tp.topic, tp.partition) for tp in _assigned(app)} if worker.ready else set()
        return {partition: offset for partition, offset in dict(app.reached).items() if partition in held}

    seeking: list[Future[None]] = []

    def seek_back(places: Collection[Place]) -> None:
        """All at once, and one such seek at a time: each throws away what was fetched before it. One that fails is seen in the next look."""
        if any(not each.done() for each in seeking):
            return
        wanted = {(place.topic, place.partition) for place in places}
        held = {tp for tp in app.consumer.assignment() if (tp.topic, tp.partition) in wanted}
        seeking[:] = [asyncio.run_coroutine_threadsafe(app.consumer.seek_back(held), worker.loop)] if held else []

    kafka = client_config(settings)
    return Watchdog(
        positions, kafka, topics, settings.stall_seconds, reached=reached, seek_back=seek_back, fail=ending.fail
    )


class ConsumerProcess(Worker):  # type: ignore[misc]
    """mode's process around the app, with our logging left alone and only the two signals that stop it."""

    def __init__(self, app: RunApp, ending: Ending) -> None:
        loop = asyncio.get_event_loop_policy().get_event_loop()
        super().__init__(app, override_logging=False, redirect_stdouts=False, quiet=True, loop=loop)
        self._ending = ending
        ending.on_stop(self._stop_from_any_thread)

    @property
    def ready(self) -> bool:
        """Whether the app runs, so that its consumer may be asked."""
        return bool(self.services[0].started)

    def run(self) -> int:
        """Run until a signal, a crash, or `Ending.request`. Gives the exit code."""
        try:
            self.execute_from_commandline()
        except SystemExit as end:
            return loops.EXIT_FAILED if end.code else 0
        except Exception:
            log.exception("worker_crashed")
        return loops.EXIT_FAILED

    def install_signal_handlers(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.add_signal_handler(number, self._schedule_shutdown, number)

    def _stop_from_any_thread(self) -> None:
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._schedule_shutdown, signal.SIGTERM)


def _credentials(settings: Settings) -> Any:
    if not settings.kafka_user:
        return None
    password = settings.kafka_password.get_secret_value()
    return faust.SASLCredentials(username=settings.kafka_user, password=password, mechanism="SCRAM-SHA-256")
