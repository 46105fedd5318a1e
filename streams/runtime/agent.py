"""The agent of every consumer: take a run off the stream, see it through, never let an error out to Faust.

Faust acknowledges a message whose agent raised, and goes on with the next. Here a run is tried until it is done, or its
partition is somebody else's, or the process ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from typing import Any

import structlog
from faust.types import TP
from sqlalchemy import Engine

from infra.errors import Stop
from streams.runtime.consumer import AfterCommit, Handler, process
from streams.runtime.parked import describe
from streams.runtime.transport import Fetched, RunApp, RunSchema

log = structlog.get_logger(__name__)

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 2.0


def attach(
    app: RunApp,
    topics: Iterable[str],
    consumer: str,
    handler: Handler,
    engine: Engine,
    *,
    after_commit: AfterCommit | None = None,
    fail: Callable[[str], None],
) -> None:
    """Give the app an agent for each topic. `fail` ends the process, with the reason."""

    async def read(stream: AsyncIterable[Fetched]) -> None:
        async for fetched in stream:
            await finish(app, fetched, work, fail)

    def work(fetched: Fetched) -> bool:
        return process(engine, consumer, handler, fetched.run(), after_commit=after_commit)

    for topic in topics:
        channel = app.topic(topic, schema=_raw_runs(), internal=False)
        app.agent(channel, name=f"{consumer}.{topic}")(read)


async def finish(app: RunApp, fetched: Fetched, work: Callable[[Fetched], bool], fail: Callable[[str], None]) -> None:
    """See one run through, off the event loop. A hole before it is met by seeking back to the checkpoint."""
    place = fetched.place
    tp = TP(place.topic, place.partition)
    for pause in pauses():
        if tp not in app.consumer.assignment() or app.seeks[tp] != fetched.seek or app.should_stop:
            return  # it comes again: to whoever holds the partition now, from the checkpoint on
        try:
            if await asyncio.to_thread(work, fetched):
                app.reached[tp] = fetched.end
            else:
                log.info("run_after_hole", topic=place.topic, partition=place.partition, start=fetched.start)
                await app.consumer.seek_back({tp})
            return
        except Stop as error:
            fail(describe(error))
            return
        except Exception as error:  # noqa: BLE001 - must not reach Faust, which would take the run for done
            log.warning("run_tried_again", topic=place.topic, partition=place.partition, error=describe(error))
        await asyncio.sleep(pause)


def pauses() -> Iterator[float]:
    """Seconds between tries: doubling, bounded, for ever."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        yield pause
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _raw_runs() -> Any:
    return RunSchema(key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
