"""A little river in which payments of every kind came to their end: what the tests of verify and explain look at."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import UUID, uuid4

import pytest

from infra.database import transaction
from infra.stack.supervisor import Stack
from streams.event_store import slices
from streams.notifications import endpoints
from streams.notifications.sender import Sender
from streams.persons.sealing import Details
from streams.runtime import replay
from tests.integration.little_river import EUR, LittleRiver


@pytest.fixture(scope="module")
def river() -> Iterator[LittleRiver]:
    """Payments of every kind, brought to rest: approved, declined, verified, frozen and paid back, seen on chain, and one underway."""
    with Stack(servers=("write", "read", "node"), components=()) as stack:
        made = LittleRiver(stack)
        _, hooks = endpoint(made, [500])
        _live(made)
        made.anchor()
        yield made
        hooks.shutdown()


def _live(river: LittleRiver) -> None:
    ana, bo, eve = river.chain.create_accounts(3)
    river.chain.wait_receipts([river.chain.mint(each.safe, 500 * EUR) for each in (ana, bo, eve)])
    river.chain.mine(10)
    river.register(None)
    known, gone = (river.persons.register(uuid4(), Details(f"Person {n}"), "test") for n in (1, 2))
    river.persons.hold(known, datetime(2999, 1, 1, tzinfo=UTC), "the law", "test")
    river.persons.forget(gone, "asked for", "test")
    river.register(ana, "card-ana", known)
    river.register(bo, "card-bo")
    frozen = river.register(eve, "card-eve")
    river.flow(10)
    river.authorize("approved", "card-ana", 2_000, network_reference="RRN-1")
    river.authorize("too-much", "card-ana", 900_000)
    river.authorize("is-it-good", "card-bo", 0)
    river.gateway.freeze_card(frozen, "stolen", "test")
    river.authorize("frozen", "card-eve", 100)
    river.authorize("unknown", "card-nobody", 100)
    river.chain.wait_receipts([river.chain.spend(bo, 7 * EUR), river.chain.spend(eve, 3 * EUR)])
    river.chain.wait_receipts([river.chain.mint(bo.safe, EUR)])
    river.poison()
    for _ in range(3):
        river.flow(10)
    send_webhooks(river)
    _discard(river)
    assert list(slices.archive(river.as_role("write", "operator"), datetime.now(UTC), at_once=2))
    river.authorize("underway", "card-bo", 100)
    river.pump()
    river.keep_states()


def _discard(river: LittleRiver) -> None:
    with transaction(river.as_role("write", "operator")) as cursor:
        parked = replay.find(cursor, states=("parked",))
    for each in parked:
        replay.discard(river.as_role("write", "operator"), each.parked_id, by="test", reason="broken on purpose")


def endpoint(river: LittleRiver, statuses: list[int]) -> tuple[UUID, ThreadingHTTPServer]:
    """An endpoint of ours that answers with these, one after the other, then with 200."""

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(statuses.pop(0) if statuses else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/hooks"
    with transaction(river.as_role("write", "operator")) as cursor:
        made, _ = endpoints.register(cursor, url, allowed_hosts={"127.0.0.1"}, by="test")
    return made.endpoint_id, server


def send_webhooks(river: LittleRiver) -> None:
    """Send what is due now."""
    sender = Sender(river.as_role("write", "sender"), 5, frozenset({"127.0.0.1"}))
    while claimed := sender.claim(100):
        for each in claimed:
            sender.send(each)
