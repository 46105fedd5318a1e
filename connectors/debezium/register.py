"""Makes the slot before anything is written, then tells Connect of the connector and waits until it really reads.

The slot comes first and its own: what is committed after it exists is delivered, whenever the connector starts.
"""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path
from string import Template
from typing import Any

import httpx
import psycopg2
import psycopg2.errors
from psycopg2.extensions import ISOLATION_LEVEL_AUTOCOMMIT
from sqlalchemy import make_url

from connectors.kafka.access import CONNECTOR
from infra.errors import Misconfigured, Unreachable

TEMPLATE = Path(__file__).with_name("connector.json")
SLOT = "outbox_slot"
HEADERS = (
    "ce_specversion",
    "ce_id",
    "ce_type",
    "ce_source",
    "ce_subject",
    "ce_time",
    "traceparent",
    "causation_id",
    "correlation_id",
    "stream_version",
    "position",
    "actor",
    "command",
    "transaction_id",
)
PAUSE_SECONDS = 0.1


def connector(database_host: str, database_port: int) -> dict[str, str]:
    """The connector's configuration; host and port as Connect sees them. Its password stays in the worker's environment."""
    values = {
        "database_host": database_host,
        "database_port": database_port,
        "slot": SLOT,
        "headers": ",".join(f"{column}:header:{column}" for column in HEADERS),
    }
    filled: dict[str, str] = json.loads(Template(TEMPLATE.read_text()).substitute(values))
    return filled


def create_slot(cdc_url: str, *, events_stored: bool) -> bool:
    """Makes the slot by role `cdc`, unless it is there. Whether it was made.

    It must stand before the first append: a slot made after events were stored would skip, without a word, what the lost one had not
    delivered yet, so that is refused.
    """
    with closing(_connect(cdc_url)) as connected, connected.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_replication_slots WHERE slot_name = %s", (SLOT,))
        if cursor.fetchone():
            return False
        if events_stored:
            raise Misconfigured(
                f"W holds events and no slot {SLOT}: what it had not delivered yet would be lost by making it anew; `payriver recover` "
                "compares the topics with the store, makes the slot and announces again what they lack"
            )
        cursor.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (SLOT,))
        return True


def register(connect_url: str, cdc_url: str, *, database: tuple[str, int] | None = None, seconds: float = 60) -> None:
    """Puts the connector in place and waits until it runs AND holds the slot: Connect alone tells of a dead task too late.

    `database` is where Connect finds W, if that is elsewhere than in `cdc_url`.
    """
    known = make_url(cdc_url)
    host, port = database or (known.host or "127.0.0.1", known.port or 5432)
    with httpx.Client(base_url=connect_url, timeout=30, trust_env=False) as http:
        until = time.monotonic() + seconds
        _put(http, connector(host, port), until)
        with closing(_connect(cdc_url)) as connected:
            while not (_runs(http) and slot_is_active(connected)):
                if time.monotonic() > until:
                    raise Unreachable(f"the connector does not run after {seconds:.0f} s: {_status(http)}")
                time.sleep(PAUSE_SECONDS)


def stop(connect_url: str, seconds: float = 30) -> None:
    """Ends the connector and lets Connect forget where it stood; one that was never there is no error."""
    with httpx.Client(base_url=connect_url, timeout=30, trust_env=False) as http:
        if _ask(http, "GET", f"/connectors/{CONNECTOR}").status_code == 404:
            return
        until = time.monotonic() + seconds
        _ask(http, "PUT", f"/connectors/{CONNECTOR}/stop")
        while _status(http).get("connector", {}).get("state") != "STOPPED" or _status(http).get("tasks"):
            if time.monotonic() > until:
                raise Unreachable(f"the connector does not stop within {seconds:.0f} s: {_status(http)}")
            time.sleep(PAUSE_SECONDS)
        while not (answer := _ask(http, "DELETE", f"/connectors/{CONNECTOR}/offsets")).is_success:
            if time.monotonic() > until:
                raise Unreachable(
                    f"Connect does not forget where the connector stood: {answer.status_code} {answer.text[:300]}"
                )
            time.sleep(PAUSE_SECONDS)


def start(connect_url: str, cdc_url: str, *, database: tuple[str, int] | None = None) -> None:
    """Puts the connector in place, whether it was stopped or is new, and waits until it reads."""
    with httpx.Client(base_url=connect_url, timeout=30, trust_env=False) as http:
        _ask(http, "PUT", f"/connectors/{CONNECTOR}/resume")
    register(connect_url, cdc_url, database=database)


def has_slot(cdc_url: str) -> bool:
    """Whether the slot is there, read or not."""
    with closing(_connect(cdc_url)) as connected, connected.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_replication_slots WHERE slot_name = %s", (SLOT,))
        return cursor.fetchone() is not None


def drop_slot(cdc_url: str, seconds: float = 30) -> None:
    """Drops the slot, if it is there, as soon as nobody reads it."""
    until = time.monotonic() + seconds
    with closing(_connect(cdc_url)) as connected, connected.cursor() as cursor:
        while True:
            try:
                cursor.execute(
                    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s", (SLOT,)
                )
                return
            except psycopg2.errors.ObjectInUse as error:
                if time.monotonic() > until:
                    raise Unreachable(
                        f"somebody reads the slot {SLOT} and does not stop: {str(error).strip()}"
                    ) from error
                time.sleep(PAUSE_SECONDS)


def slot_is_active(connected: Any) -> bool:
    """Whether somebody reads the slot now."""
    with connected.cursor() as cursor:
        cursor.execute("SELECT active FROM pg_replication_slots WHERE slot_name = %s", (SLOT,))
        row = cursor.fetchone()
    if row is None:
        raise Misconfigured(
            f"the slot {SLOT} is gone; events may not have been announced: `payriver recover` finds them"
        )
    return bool(row[0])


def _put(http: httpx.Client, configuration: dict[str, str], until: float) -> None:
    """A worker that is rebalancing answers 409; it is asked again."""
    while True:
        answer = _ask(http, "PUT", f"/connectors/{CONNECTOR}/config", configuration)
        if answer.is_success:
            return
        if answer.status_code not in (409, 500, 503) or time.monotonic() > until:
            raise Misconfigured(f"Connect refused the connector: {answer.status_code} {answer.text[:600]}")
        time.sleep(PAUSE_SECONDS)


def _runs(http: httpx.Client) -> bool:
    status = _status(http)
    tasks = status.get("tasks", [])
    failed = [task for task in tasks if task["state"] == "FAILED"]
    if failed:
        _ask(http, "POST", f"/connectors/{CONNECTOR}/restart?includeTasks=true&onlyFailed=true")
        time.sleep(1)
    return status.get("connector", {}).get("state") == "RUNNING" and bool(tasks) and not failed


def _status(http: httpx.Client) -> dict[str, Any]:
    answer = _ask(http, "GET", f"/connectors/{CONNECTOR}/status")
    found: dict[str, Any] = answer.json() if answer.is_success else {"error": answer.text}
    return found


def _ask(http: httpx.Client, method: str, path: str, body: dict[str, str] | None = None) -> httpx.Response:
    try:
        return http.request(method, path, json=body)
    except httpx.TransportError as error:
        raise Unreachable(
            f"Kafka Connect at {http.base_url.host}:{http.base_url.port} does not answer: {error}"
        ) from error


def _connect(url: str) -> Any:
    try:
        connected = psycopg2.connect(url, connect_timeout=5, application_name="payriver provision")
    except psycopg2.OperationalError as error:
        raise Unreachable(f"role cdc cannot log in to W: {str(error).strip()}") from error
    connected.set_isolation_level(ISOLATION_LEVEL_AUTOCOMMIT)
    return connected
