"""Kafka in the browser: the pages stand on loopback, load nothing from outside, and show our Avro decoded to who may only look."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import httpx
import pytest

from infra.database import engine, transaction
from infra.stack import access
from infra.stack.ports import free_port
from infra.stack.supervisor import Stack
from schemas.messages.payment_events import PaymentReversed
from schemas.registry import load_codec
from schemas.topics import PAYMENT_EVENTS, TOPICS
from tests.integration.outbox import OutboxRow, write_rows

OUTSIDE = re.compile(r"(?:src|href)=\"https?://(?!127\.0\.0\.1)")


def deliver(stack: Stack, reversal_id: str) -> None:
    """An event of ours reaches its topic, as every event does."""
    with transaction(engine(access.database_url(stack.home, "write", "auditor"))) as cursor:
        codec = load_codec(cursor)
    payment, row = uuid.uuid4(), uuid.uuid4()
    value = codec.encode(PaymentReversed(payment_id=payment, reversal_id=reversal_id, amount_minor=1, currency="EUR"))
    headers = (
        "1.0",
        str(row),
        "PaymentReversed",
        "payriver",
        str(payment),
        "2026-01-01T00:00:00Z",
        *[None] * 3,
        "1",
        "1",
    )
    write_rows(stack, [OutboxRow(row, PAYMENT_EVENTS, str(payment), value, headers)])


@pytest.fixture(scope="module")
def address(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("ui"), free_port(set())
    told = {**stack.settings_for("ui"), "TMPDIR": str(folder), "PATH": "/usr/bin:/bin", "HOME": str(Path.home())}
    command = [sys.executable, "-m", "api.cli.main", "ui", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(command, env=told, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 240
        while b"Kafka:" not in (folder / "log").read_bytes():
            assert running.poll() is None and time.monotonic() < until, (folder / "log").read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait(20)
    assert list(folder.glob("payriver-ui-*")) == [], "the folder with the password went with it"


def test_the_pages_list_every_topic_and_load_nothing_from_outside(address: str) -> None:
    listing = httpx.get(f"{address}/").text
    assert all(f'href="{topic.name}/"' in listing for topic in TOPICS)
    for page in ("", "admin/", f"{PAYMENT_EVENTS}/"):
        assert not OUTSIDE.search(httpx.get(f"{address}/{page}").text), page


def test_an_event_of_ours_is_shown_decoded(stack: Stack, address: str) -> None:
    reversal_id = f"rev-{uuid.uuid4().hex[:10]}"
    deliver(stack, reversal_id)
    assert reversal_id in asyncio.run(shown(f"{address}/{PAYMENT_EVENTS}/ws?width=400&height=50", reversal_id))


async def shown(url: str, wanted: str, seconds: float = 120) -> str:
    """What the page's terminal was sent, until it holds what is wanted."""
    text, until = "", time.monotonic() + seconds
    async with aiohttp.ClientSession() as session, session.ws_connect(url, max_msg_size=0) as socket:
        while wanted not in text and time.monotonic() < until:
            message = await socket.receive(timeout=seconds)
            if message.type not in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT):
                break
            text += message.data if isinstance(message.data, str) else message.data.decode("utf-8", "replace")
    return text
