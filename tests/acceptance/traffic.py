"""Payments that flow while something is killed: swipes on chain and requests of the network, until told to stop."""

from __future__ import annotations

import itertools
import threading
from uuid import uuid4

import httpx

from api.demo.world import World
from infra.devchain.values import Sent


class Traffic:
    """Runs in a thread between `with` and the end of the block; whatever was asked must come to a right end afterwards."""

    def __init__(self, world: World, *, pause_seconds: float = 0.25) -> None:
        self.world, self.pause_seconds = world, pause_seconds
        self.keys: list[str] = []
        self.sent: list[Sent] = []
        self.unanswered = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic")

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        for n in itertools.count():
            payer = self.world.customers[n % 6]
            if n % 2:
                self.sent.append(self.world.spend(payer, 10 + n % 7))
            else:
                self.keys.append(f"traffic-{uuid4()}")
                try:
                    self.world.authorize(payer, 10 + n % 7, self.keys[-1])
                except httpx.HTTPError:
                    self.unanswered += 1  # a network that got no answer asks again, below
            if self._ended.wait(self.pause_seconds):
                return

    def answered_at_last(self) -> list[dict[str, object]]:
        """The network repeats everything it asked: each repeat gets the answer that stands."""
        return [
            self.world.authorize(self.world.customers[2 * n % 6], 10 + 2 * n % 7, key)
            for n, key in enumerate(self.keys)
        ]
