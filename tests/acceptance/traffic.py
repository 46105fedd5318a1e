"""Payments that flow while something is killed: swipes on chain and requests of the network, and what must have become of each."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import uuid4

import httpx
import requests

from api.demo.world import World
from infra.database import transaction
from infra.devchain.values import Sent

T = TypeVar("T")
LATE = """
SELECT a.stream_id FROM events AS a INNER JOIN events AS r ON r.stream_id = a.stream_id AND r.type = 'PaymentRequested'
WHERE a.type = 'PaymentAuthorized' AND (r.payload ->> 'deadline')::timestamptz < a.recorded_at
"""
HELD = "SELECT account_id, held_raw FROM balances WHERE account_id = ANY(%s) AND held_raw <> 0"


class Traffic:
    """Flows from six customers between `with` and the end of the block; `all_end` then demands the right end of each payment."""

    def __init__(self, world: World, *, pause_seconds: float = 0.1) -> None:
        self.world, self.pause_seconds = world, pause_seconds
        self.customers = world.customers[:6]
        self.keys: list[tuple[str, int, int]] = []  # key, customer's number, cents
        self.sent: list[Sent] = []
        self.asked = 0
        self._failed: Exception | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic")

    def __enter__(self) -> Traffic:
        self._thread.start()
        self.goes_on()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if self._failed is not None:
            raise self._failed

    def goes_on(self, more: int = 4, seconds: float = 60) -> None:
        """Wait until so many more payments were asked for, whatever the answers."""
        wanted = self.asked + more
        self.world.until(f"{more} payments more", lambda: self.asked >= wanted or self._failed, seconds)

    def all_end(self, seconds: float = 150) -> None:
        """The network asks again for all that it asked for; then each payment ends, nothing is held, nothing was approved late."""
        told = self.world.until("the network gets its answers", lambda: _quietly(self._answers), seconds)
        wanted = {str(each["payment_id"]): "settled" if each["approved"] else "declined" for each in told}
        wanted |= {str(self.world.payment_of(each)): "settled" for each in self.sent}
        self.world.until("every payment ends", lambda: _quietly(lambda: self._have_ended(wanted)), seconds)
        with transaction(self.world.auditor.write) as cursor:
            cursor.execute(LATE)
            assert cursor.fetchall() == [], "approved after the deadline"
        self.world.until("nothing is held any more", lambda: not self._held())

    def _run(self) -> None:
        for n in itertools.count():
            try:
                self._ask(n % len(self.customers), n % 2 == 0, 10 + n % 7)
            except (httpx.HTTPError, requests.RequestException):
                pass  # a network that got no answer asks again, in the end; a swipe that reached no node was none
            except Exception as error:  # noqa: BLE001 - raised where the traffic ends
                self._failed = error
                return
            self.asked += 1
            if self._ended.wait(self.pause_seconds):
                return

    def _ask(self, number: int, of_network: bool, cents: int) -> None:
        payer = self.customers[number]
        if of_network:
            self.keys.append((f"traffic-{uuid4()}", number, cents))
            self.world.authorize(payer, cents, self.keys[-1][0])
        else:
            self.sent.append(self.world.spend(payer, cents))

    def _answers(self) -> list[dict[str, Any]]:
        """Each repeat gets the answer that stands."""
        return [self.world.authorize(self.customers[number], cents, key) for key, number, cents in self.keys]

    def _have_ended(self, wanted: dict[str, str]) -> bool:
        """Drops from `wanted` what has ended rightly. Blocks are mined, so that nobody waits for finality."""
        for payment_id, outcome in list(wanted.items()):
            told = self.world.payment(payment_id)
            if told is not None and told["outcome"] == outcome:
                del wanted[payment_id]
        if wanted:
            self.world.chain.mine(2)
        return not wanted

    def _held(self) -> list[Any]:
        with transaction(self.world.auditor.read) as cursor:
            cursor.execute(HELD, ([each.account_id for each in self.customers],))
            return cursor.fetchall()


def _quietly(look: Callable[[], T]) -> T | None:
    """What is just starting again is asked again."""
    try:
        return look()
    except httpx.HTTPError:
        return None
