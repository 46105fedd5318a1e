"""The live stream on a real PostgreSQL: every change reaches every open page, also one that commits late, also after a break."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest

from api.answers import live
from infra.database import transaction
from streams.projections.projector import ANEW, CHANNEL
from tests.integration.conftest import Databases
from tests.integration.programme import KEYS, Programme, client, running_api
from tests.waiting import until


@dataclass
class Page:
    """One open page: what it was told, event by event."""

    told: list[tuple[str, Any]] = field(default_factory=list)
    last_id: str = ""

    def payments(self, event: str = "payments") -> list[dict[str, Any]]:
        """All rows of these events."""
        return [row for name, rows in list(self.told) if name == event for row in rows]

    def knows(self, payment_id: str, **states: str) -> bool:
        """Whether the page was told that the payment is so."""
        rows = [*self.payments("snapshot"), *self.payments()]
        return any(row["payment_id"] == payment_id and states.items() <= row.items() for row in rows)

    def events(self, name: str) -> list[Any]:
        """The data of these events."""
        return [data for event, data in list(self.told) if event == name]


@contextmanager
def open_page(address: str, last_id: str = "") -> Iterator[Page]:
    page = Page()
    connection = http.client.HTTPConnection(address.removeprefix("http://"))
    headers = {"X-Api-Key": KEYS["reader"], **({"Last-Event-ID": last_id} if last_id else {})}
    connection.request("GET", "/v1/live", headers=headers)
    reading = threading.Thread(target=_follow, args=(connection, page), daemon=True)
    reading.start()
    try:
        yield page
    finally:
        with contextlib.suppress(OSError):  # the server may have ended it
            connection.sock.shutdown(socket.SHUT_RDWR)
        reading.join(5)
        connection.close()
    assert not reading.is_alive()


def _follow(connection: http.client.HTTPConnection, page: Page) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):  # the page was closed, or the server ended
        answer = connection.getresponse()
        fields: dict[str, str] = {}
        while line := answer.readline():
            name, _, value = line.decode().strip().partition(": ")
            if name:
                fields[name] = value
            elif "event" in fields:
                page.last_id = fields["id"]
                page.told.append((fields["event"], json.loads(fields["data"])))
                fields = {}


@pytest.fixture(scope="module")
def programme(databases: Databases) -> Programme:
    made = Programme(databases)
    made.deliver()
    return made


@pytest.fixture(scope="module")
def address(databases: Databases, programme: Programme) -> Iterator[str]:
    with running_api(databases, programme.gateway) as address:
        yield address


def swipe(address: str, programme: Programme, cents: int = 100) -> str:
    with client(address, "network", **{"Idempotency-Key": uuid4().hex}) as network:
        body = {"card_token": programme.card, "amount_minor": cents, "currency": "EUR"}
        payment_id: str = network.post("/v1/authorizations", json=body).json()["payment_id"]
    programme.streams.append(UUID(payment_id))
    return payment_id


def test_a_page_that_opens_is_shown_the_newest_payments_and_the_totals(address: str, programme: Programme) -> None:
    payment_id = swipe(address, programme)
    programme.deliver()
    with open_page(address) as page:
        until(lambda: page.knows(payment_id, outcome="open"), "the snapshot")
        until(lambda: bool(page.events("totals")), "the totals")
        found = page.events("totals")[-1]
        assert {"outcome", "state", "spend_state", "refund_state", "currency", "payments", "amount_minor"} == set(
            found[0]
        )
        assert sum(row["payments"] for row in found) >= 1


def test_every_open_page_is_told_of_a_change_at_once_and_once(address: str, programme: Programme) -> None:
    with open_page(address) as one, open_page(address) as other:
        until(lambda: bool(one.events("snapshot") and other.events("snapshot")), "both snapshots")
        payment_id = swipe(address, programme)
        programme.deliver()
        began = time.monotonic()
        until(lambda: one.knows(payment_id) and other.knows(payment_id), "the change on both pages")
        assert time.monotonic() - began < 2
        programme.spend(UUID(payment_id), 100)
        programme.deliver()
        until(lambda: one.knows(payment_id, outcome="settled"), "settled")
        time.sleep(1.5)
        changes = [row["change"] for row in one.payments()]
        assert len(changes) == len(set(changes))


def test_a_page_that_comes_back_is_told_what_it_missed_and_no_more(address: str, programme: Programme) -> None:
    with open_page(address) as page:
        known = swipe(address, programme)
        programme.deliver()
        until(lambda: page.knows(known), "the first payment")
    missed = swipe(address, programme)
    programme.deliver()
    with open_page(address, page.last_id) as again:
        until(lambda: again.knows(missed), "what was missed")
        assert again.events("snapshot") == []


def test_read_models_that_were_made_anew_are_shown_whole_to_every_open_page(
    address: str, databases: Databases, programme: Programme
) -> None:
    """Rows may say other things than before, though nothing happened to their payments."""
    payment_id = swipe(address, programme)
    programme.deliver()
    with open_page(address) as one, open_page(address) as other:
        until(lambda: one.knows(payment_id) and other.knows(payment_id), "the payment on both pages")
        told = [len(page.events("snapshot")) for page in (one, other)]
        with transaction(databases.as_role("read", "owner")) as cursor:
            cursor.execute("UPDATE payments SET reason = 'made anew' WHERE payment_id = %s", (payment_id,))
            cursor.execute("SELECT pg_notify(%s, %s)", (CHANNEL, ANEW))
        until(lambda: all(page.knows(payment_id, reason="made anew") for page in (one, other)), "the row as it is now")
        assert [len(page.events("snapshot")) for page in (one, other)] == [count + 1 for count in told]


def test_a_change_that_commits_late_is_not_stepped_over(
    address: str, databases: Databases, programme: Programme
) -> None:
    late, early = swipe(address, programme), swipe(address, programme)
    programme.deliver()
    touch = "UPDATE payments SET reason = %s, change = DEFAULT, changed_in = DEFAULT WHERE payment_id = %s"
    notify = "SELECT pg_notify('payments_changed', '1')"
    read = databases.as_role("read", "projections")
    with open_page(address) as page:
        until(lambda: bool(page.events("snapshot")), "the snapshot")
        with transaction(read) as slow:
            slow.execute(touch, ("late", late))
            with transaction(read) as quick:
                quick.execute(touch, ("early", early))
                quick.execute(notify)
            until(lambda: page.knows(early, reason="early"), "the one that committed")
            assert not page.knows(late, reason="late")
            left_at = page.last_id
            slow.execute(notify)
        until(lambda: page.knows(late, reason="late"), "the one that committed late")
    with open_page(address, left_at) as again:  # as a page that was away meanwhile
        until(lambda: again.knows(late, reason="late"), "the late one, after a break")


@pytest.mark.parametrize("last_id", ["99999999999999", "0", "-1", "x"])
def test_a_page_that_comes_from_elsewhere_is_shown_everything(address: str, last_id: str) -> None:
    with open_page(address, last_id) as page:
        until(lambda: bool(page.events("snapshot")), "the snapshot")


def test_pages_live_through_the_loss_of_the_read_side(address: str, databases: Databases, programme: Programme) -> None:
    with open_page(address) as page:
        until(lambda: bool(page.events("snapshot")), "the snapshot")
        with databases.stack.postgres("read").superuser() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'queries'")
        until(lambda: page.events("reading")[-2:] == [False, True], "the news that the read side was away and is back")
        payment_id = swipe(address, programme)
        programme.deliver()
        until(lambda: page.knows(payment_id), "a change after the loss")


def test_a_page_that_opens_while_the_read_side_is_away_is_told_so_until_its_rows_are_there(
    address: str, databases: Databases, programme: Programme
) -> None:
    payment_id = swipe(address, programme)
    programme.deliver()
    door = databases.stack.postgres("read")
    with door.superuser() as cursor:
        cursor.execute("ALTER ROLE queries NOLOGIN")
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'queries'")
    try:
        with open_page(address) as page:
            until(lambda: page.events("reading")[-1:] == [False], "the news that the read side is away")
            assert page.events("snapshot") == []
            with door.superuser() as cursor:
                cursor.execute("ALTER ROLE queries LOGIN")
            until(lambda: page.events("reading")[-1:] == [True], "the news that it is back")
            assert page.knows(payment_id)
    finally:
        with door.superuser() as cursor:
            cursor.execute("ALTER ROLE queries LOGIN")


def test_more_pages_than_one_instance_bears_are_sent_away(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST_VIEWERS", 1)
    with open_page(address) as page, client(address, "reader") as caller:
        until(lambda: bool(page.events("snapshot")), "the snapshot")
        answer = caller.get("/v1/live")
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/retry")


def test_the_server_ends_at_once_though_pages_are_open(databases: Databases, programme: Programme) -> None:
    with contextlib.ExitStack() as ending:
        address = ending.enter_context(running_api(databases, programme.gateway))
        with open_page(address) as page:
            until(lambda: bool(page.events("snapshot")), "the snapshot")
            began = time.monotonic()
            ending.close()
            assert time.monotonic() - began < 2
