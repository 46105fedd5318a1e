"""Sends webhooks: claims messages that are due, posts them outside any transaction, writes down how that ended. At least once.

claim (attempts written, committed) -> HTTP -> attempt completed and message ended, retried or parked, in one commit. A sender that
dies in between lets its claim run out; another sends the same body under the same `webhook-id`, which is what a receiver
remembers. Only 2xx is success; a redirect is a failure; 410 disables the endpoint; 429, 502, 503 and 504 pause it.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC

import httpcore
import structlog
from sqlalchemy import Engine

from infra.database import Cursor, transaction
from infra.failpoints import failpoint
from infra.settings import Settings
from infra.transient import is_transient
from streams.notifications import endpoints, outgoing, signing
from streams.notifications.guard import AddressRefused, GuardedBackend
from streams.notifications.outgoing import Answer, Claimed
from streams.notifications.schedule import DELAYS_SECONDS, GONE, THROTTLING, delay_seconds, retry_after_seconds

log = structlog.get_logger(__name__)

SENDERS = 8
IDLE_SECONDS, ERASE_SECONDS = 0.2, 60.0
WAVE_SECONDS = 0.05
"""So long at most the next claim waits for those that are being sent: several are claimed in one commit."""
CLAIM_MARGIN_SECONDS = 10
ERROR_CHARACTERS = 300


@dataclass(frozen=True)
class Sender:
    """`timeout_seconds`: for the whole exchange with an endpoint. `allowed_hosts`: may lead into our own network, by plain http too."""

    engine: Engine
    timeout_seconds: float
    allowed_hosts: frozenset[str]

    def claim(self, limit: int = 1) -> list[Claimed]:
        """Take messages that are due, so that nobody else sends them now."""
        with transaction(self.engine) as cursor:
            claimed = outgoing.claim(cursor, self.timeout_seconds + CLAIM_MARGIN_SECONDS, limit)
        if claimed:
            failpoint("sender.after_claim")
        return claimed

    def erase(self) -> None:
        """Take away the secrets that sign no more."""
        with transaction(self.engine) as cursor:
            signing.erase(cursor)

    def send(self, claimed: Claimed) -> None:
        """Post it and write down how that ended."""
        answer = post(claimed, self.timeout_seconds, self.allowed_hosts)
        failpoint("sender.after_send")
        with transaction(self.engine) as cursor:
            self._conclude(cursor, claimed, answer)
        failpoint("sender.after_conclusion")
        log.info(
            "webhook_attempted",
            webhook_id=str(claimed.message_id),
            attempt=claimed.attempt,
            outcome=answer.reason,
            status=answer.status,
            duration_ms=answer.duration_ms,
        )

    def _conclude(self, cursor: Cursor, claimed: Claimed, answer: Answer) -> None:
        """Rows are taken in one order, the endpoint's before its messages', as everywhere."""
        outgoing.complete(cursor, claimed, answer)
        failpoint("sender.after_attempt")
        delay = delay_seconds(claimed.message_id, claimed.attempt - claimed.replayed_after, answer.retry_after)
        if answer.reason == "delivered":
            outgoing.delivered(cursor, claimed)
        elif answer.status == GONE:
            endpoints.disable(cursor, claimed.endpoint_id, "gone", by="sender")
        elif delay is None or answer.reason == AddressRefused.reason:
            outgoing.park(cursor, claimed, answer.reason)
        else:
            if answer.status in THROTTLING:
                outgoing.pause(cursor, claimed.endpoint_id, answer.retry_after or DELAYS_SECONDS[0])
                failpoint("sender.after_pause")
            outgoing.again(cursor, claimed, delay)
        failpoint("sender.before_commit")


def post(claimed: Claimed, seconds: float, allowed_hosts: frozenset[str]) -> Answer:
    """One signed POST, no redirect followed, its answer's body not read. Says how it ended; raises nothing."""
    began, status, wanted, error, reason = time.monotonic(), None, None, None, "delivered"
    try:
        status, headers = _exchange(claimed, seconds, allowed_hosts)
        if not 200 <= status < 300:
            wanted = retry_after_seconds(headers.get("retry-after"), claimed.started_at)
            error, reason = f"HTTP {status}", f"http_{status}"
    except Exception as failed:  # noqa: BLE001 (whatever an address of somebody else's does to us, this attempt ends with it)
        error, reason = f"{type(failed).__name__}: {failed}"[:ERROR_CHARACTERS], _reason(failed)
    return Answer(round((time.monotonic() - began) * 1000), status, error, reason, wanted)


def _reason(failed: Exception) -> str:
    if isinstance(failed, AddressRefused):
        return failed.reason
    return "timeout" if isinstance(failed, httpcore.TimeoutException) else "unreachable"


def _exchange(claimed: Claimed, seconds: float, allowed_hosts: frozenset[str]) -> tuple[int, dict[str, str]]:
    message_id, body, at = str(claimed.message_id), claimed.body, claimed.started_at.astimezone(UTC)
    headers: dict[bytes | str, bytes | str] = {
        "content-type": "application/json",
        "user-agent": "payriver",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signing.signatures(claimed.secrets, message_id, at, body),
    }
    with (
        httpcore.ConnectionPool(network_backend=GuardedBackend(allowed_hosts, seconds)) as pool,
        pool.stream("POST", claimed.url, headers=headers, content=body.encode()) as response,
    ):
        told = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        return response.status, told


def run(settings: Settings, engine: Engine, stop: threading.Event) -> None:
    """Send until `stop` is set, several at a time, so that a slow endpoint holds up only itself. Raises what is not transient."""
    sender = Sender(engine, settings.webhook_timeout_seconds, frozenset(settings.webhook_allowed_hosts))
    sending, crashed, erase_at = set[Future[None]](), list[BaseException](), 0.0

    def finished(sent: Future[None]) -> None:
        if (error := sent.exception()) is not None and not _passes(error):
            crashed.append(error)
            stop.set()

    with ThreadPoolExecutor(SENDERS, thread_name_prefix="sender") as pool:
        while not stop.is_set():
            claimed = _claim(sender, SENDERS - len(sending)) if len(sending) < SENDERS else []
            for each in claimed:
                sending.add(sent := pool.submit(sender.send, each))
                sent.add_done_callback(finished)
            if sending:
                sending = wait(sending, timeout=WAVE_SECONDS).not_done
            else:
                stop.wait(IDLE_SECONDS)
            if time.monotonic() > erase_at:
                erase_at = time.monotonic() + ERASE_SECONDS
                pool.submit(sender.erase).add_done_callback(finished)
    if crashed:
        raise crashed[0]


def _claim(sender: Sender, limit: int) -> list[Claimed]:
    try:
        return sender.claim(limit)
    except Exception as error:
        if not _passes(error):
            raise
        return []


def _passes(error: BaseException) -> bool:
    """Whether it may pass by itself; a message whose end could not be written is claimed again when its claim runs out."""
    if is_transient(error):
        log.warning("sender_waits", error=str(error))
        return True
    return False
