"""The card network as a bench plays it: authorizations at a steady rate, or as fast as they are answered, to both of the API's processes."""

from __future__ import annotations

import itertools
import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection, RemoteDisconnected
from urllib.parse import urlsplit

from api.bench.figure import BenchFailed
from infra.settings import settings_from
from infra.stack.supervisor import Stack

THREADS, TIMEOUT_SECONDS, AMOUNT_MINOR = 64, 30, 1_00
UNANSWERED_SECONDS = 10.0  # what a request counts as that was told neither yes nor no
APPROVED = "00"  # DE39
MERCHANT = {"name": "Kaffeehaus", "country": "AT", "mcc": "5814"}


@dataclass(frozen=True)
class Answer:
    """One answer. `seconds` from the moment the request was due, so that a request that had to wait for its turn counts in full."""

    seconds: float
    payment_id: str
    response_code: str


class Network:
    """Asks for euros on these cards in turn. A thread keeps one connection to each process of the API, as a network's switch does."""

    def __init__(self, stack: Stack, cards: Sequence[str], processes: int = 2) -> None:
        self._cards = itertools.cycle(cards)
        self._doors = itertools.cycle(urlsplit(stack.url("api", each + 1)).netloc for each in range(processes))
        self._key = settings_from(stack.settings_for("api")).api_keys["demo"][0].get_secret_value()
        self._run = f"bench-{secrets.token_hex(4)}"
        self._numbers = itertools.count()
        self._turns = threading.Lock()
        self._kept = threading.local()

    def steadily(self, a_second: int, seconds: float) -> list[Answer]:
        """Open loop: a request every 1/rate seconds, whether or not those before it were answered. In the order of sending."""
        began = time.monotonic() + 0.1
        with ThreadPoolExecutor(THREADS, thread_name_prefix="network") as pool:
            asked = []
            for number in range(int(a_second * seconds)):
                due = began + number / a_second
                time.sleep(max(0.0, due - time.monotonic()))
                asked.append(pool.submit(self._ask, due))
            return [each.result() for each in asked]

    def busily(self, count: int, clients: int) -> list[Answer]:
        """Closed loop: so many clients, each of which asks again once it is answered."""
        with ThreadPoolExecutor(clients, thread_name_prefix="network") as pool:
            return list(pool.map(lambda _: self._ask(time.monotonic()), range(count)))

    def _ask(self, due: float) -> Answer:
        with self._turns:
            card, door, number = next(self._cards), next(self._doors), next(self._numbers)
        body = {"card_token": card, "amount_minor": AMOUNT_MINOR, "currency": "EUR", "merchant": MERCHANT}
        headers = {
            "Content-Type": "application/json",
            "X-Api-Key": self._key,
            "Idempotency-Key": f"{self._run}-{number}",
        }
        status, told = self._told(door, json.dumps(body).encode(), headers)
        seconds = time.monotonic() - due
        if status in (503, 504):
            return Answer(max(seconds, UNANSWERED_SECONDS), "", f"HTTP {status}")
        if status != 200:
            raise BenchFailed(f"{door} answered an authorization with HTTP {status}: {told[:300]!r}")
        answer = json.loads(told)
        return Answer(seconds, answer["payment_id"], answer["response_code"])

    def _told(self, door: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """Status and body. A connection that rested too long was closed at the other end: once more, under the same key."""
        connection = self._connection(door)
        rested = connection.sock is not None
        try:
            connection.request("POST", "/v1/authorizations", body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (BrokenPipeError, ConnectionResetError, RemoteDisconnected) as error:
            connection.close()
            if not rested:
                raise BenchFailed(f"{door} hung up on an authorization: {error!r}") from error
            return self._told(door, body, headers)

    def _connection(self, door: str) -> HTTPConnection:
        found: dict[str, HTTPConnection] = self._kept.__dict__.setdefault("doors", {})
        if door not in found:
            found[door] = HTTPConnection(door, timeout=TIMEOUT_SECONDS)
        return found[door]


def codes(answers: Sequence[Answer]) -> str:
    """How many answers of which response code: `00` is approved; `HTTP 504`: none in time."""
    return ", ".join(
        f"{code} x {count}" for code, count in sorted(Counter(each.response_code for each in answers).items())
    )
