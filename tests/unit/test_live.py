"""The feed of the live page without a read side: what pages that come, go or never read may cost."""

from __future__ import annotations

import asyncio
import os
import resource
import threading
from types import SimpleNamespace

from starlette.types import Message

from api.answers import live
from api.answers.live import Feed
from api.routes.live import Stream, _tell
from infra.database import engine

NOWHERE = "postgresql://nobody:nothing@127.0.0.1:1/nowhere"


def test_pages_that_come_and_go_while_the_read_side_is_away_never_hold_up_the_event_loop() -> None:
    feed = Feed(engine(NOWHERE))

    def come_and_go() -> None:
        for _ in range(70_000):  # more than a pipe holds; nobody reads it now
            feed.leave(feed.join(None))

    visits = threading.Thread(target=come_and_go, daemon=True)
    visits.start()
    visits.join(30)
    assert not visits.is_alive() and feed.viewers == 0


def test_the_feed_listens_also_where_its_process_has_thousands_of_files_open() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, before[1]), before[1]))
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]  # select(2) knows 1,024
    heard, said = os.pipe()
    try:
        feed = Feed(engine(NOWHERE))
        assert heard > 1024
        connection = SimpleNamespace(
            fileno=lambda: heard, poll=lambda: os.read(heard, 1), notifies=[SimpleNamespace(payload="1")]
        )
        os.write(said, b".")
        feed._wait(connection)
        assert connection.notifies == [] and feed._moved
    finally:
        for each in (*files, heard, said):
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_page_that_never_reads_keeps_no_more_than_a_page_that_comes_back_is_told() -> None:
    feed = Feed(engine(NOWHERE))
    page = feed.join(None)
    feed._put(1, page, {"snapshot": []})
    for mark in range(20):
        rows = [{"payment_id": f"{mark}/{number}"} for number in range(1000)]
        feed._put(mark, None, {"payments": rows})
        assert len(page.payments) <= live.MOST_MISSED
    feed._put(20, page, {"snapshot": [{"payment_id": "newest"}]})  # it is welcomed anew, with all that is shown
    assert [event for event, _ in page.take()] == ["snapshot"]


def test_a_page_is_told_that_the_read_side_is_there_behind_its_first_rows() -> None:
    feed = Feed(engine(NOWHERE))
    page = feed.join(None)
    feed._put(None, None, {"reading": True})
    assert page.take() == []
    feed._put(1, page, {"snapshot": [], "reading": True})
    assert [event for event, _ in page.take()] == ["snapshot", "reading"]


def test_a_page_that_opens_while_the_read_side_is_away_is_told_so_and_keeps_its_place() -> None:
    feed = Feed(engine(NOWHERE))
    page = feed.join(4711)
    feed._put(None, None, {"reading": False})
    assert (page.take(), page.mark) == ([("reading", False)], 4711)


def test_a_page_that_takes_nothing_makes_room_for_another() -> None:
    feed = Feed(engine(NOWHERE))
    page = feed.join(None)
    feed._put(1, page, {"snapshot": []})

    async def stuck(message: Message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    async def nothing() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def follow() -> None:
        stream = Stream(_tell(feed, page), send_timeout=0.2)
        await asyncio.wait_for(stream({"type": "http", "method": "GET", "path": "/v1/live"}, nothing, stuck), 10)

    asyncio.run(follow())
    assert feed.viewers == 0
