"""One question before a decision: whoever waited for a rival sees all that the rival did, and no plan reads a table that it need not."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from infra.database import transaction
from schemas.messages.account_commands import FreezeCard, UnfreezeCard
from schemas.messages.account_events import CardFrozen
from streams.event_store import look as looking
from streams.event_store.look import look
from streams.event_store.store import NOWHERE, Head
from streams.orders import Order
from tests.given import only
from tests.integration.write_side import WriteSide, cause

WHOLE = """
SELECT relname FROM pg_stat_xact_user_tables
WHERE seq_scan > 0 AND relname ~ '^(streams|snapshots|command_answers|(events|outbox)_.*)$' ORDER BY relname
"""


def test_who_waited_for_the_head_is_told_the_events_of_the_one_before(side: WriteSide) -> None:
    account_id, _ = side.account()
    freeze = Order(uuid4(), FreezeCard(account_id=account_id, reason="a"), cause(account_id))
    with ThreadPoolExecutor(1) as threads:
        with transaction(side.door("commands")) as cursor:
            side.handler().handle(cursor, [freeze])
            waiting = threads.submit(side.do, UnfreezeCard(account_id=account_id, reason="b"), None, side.handler())
            while not side.rows("SELECT 1 FROM pg_locks WHERE NOT granted"):
                time.sleep(0.01)
        assert [event.version for event in waiting.result(10).events] == [3]
    assert side.types(account_id) == ["AccountRegistered", "CardFrozen", "CardUnfrozen"]


def test_the_answer_is_where_streams_stand_and_what_came_since_the_version_known(side: WriteSide) -> None:
    (first, _), (second, _), nowhere = side.account(), side.account(), uuid4()
    command = uuid4()
    with transaction(side.door("commands")) as cursor:
        before = look(cursor, {first: 0})
    side.do(FreezeCard(account_id=first, reason="a"), command)
    with transaction(side.door("commands")) as cursor:
        whole = look(cursor, {first: 0, second: 0, nowhere: 0}, [command, uuid4()])
        since = look(cursor, {first: 1, second: 1})
        ahead = look(cursor, {first: 9})
        nothing = look(cursor, {})
    assert {each: (seen.head.version, seen.events.types) for each, seen in whole.streams.items()} == {
        first: (2, ["AccountRegistered", "CardFrozen"]),
        second: (1, ["AccountRegistered"]),
    }
    assert [(answer[0], answer[1]) for answer in whole.answers] == [(str(command), "FreezeCard")]
    came = since.streams[first].since(before.streams[first].head)
    assert came is not None and only(CardFrozen, list(came)).reason == "a"
    assert since.streams[second].events.types == [] == ahead.streams[first].events.types
    other = Head(1, b"\x07")
    assert (
        since.streams[first].since(other)
        is whole.streams[first].since(other)
        is ahead.streams[first].since(NOWHERE)
        is None
    )
    assert (nothing.streams, nothing.answers) == ({}, []) and nothing.asked_at >= whole.asked_at


def test_more_than_a_page_of_it_does_not_come_along(side: WriteSide, monkeypatch: pytest.MonkeyPatch) -> None:
    account_id, _ = side.account()
    side.do(FreezeCard(account_id=account_id, reason="a"))
    side.do(UnfreezeCard(account_id=account_id, reason="b"))
    monkeypatch.setattr(looking, "MOST", 2)
    with transaction(side.door("commands")) as cursor:
        assert look(cursor, {account_id: 0}).streams[account_id].events.types == []
        assert look(cursor, {account_id: 1}).streams[account_id].events.types[1:] == ["CardFrozen", "CardUnfrozen"]
    assert side.state(account_id).card_state == "active"


def test_a_command_reads_no_table_whole_however_small_it_was_when_its_plan_was_made(side: WriteSide) -> None:
    account_id, _ = side.account()
    handler = side.handler()
    with transaction(side.door("commands")) as cursor:
        for number in range(8):
            message = (FreezeCard, UnfreezeCard)[number % 2](account_id=account_id, reason="a")
            handler.handle(cursor, [Order(uuid4(), message, cause(account_id))])
            side.handler().state(cursor, account_id)
        cursor.execute(WHOLE)
        assert cursor.fetchall() == []
