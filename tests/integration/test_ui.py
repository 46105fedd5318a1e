"""Kafka in the browser: the pages stand on loopback, load nothing from outside, and show our Avro decoded to who may only look."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import aiohttp
import httpx
import pytest

from infra.database import engine, transaction
from infra.stack import access
from infra.stack.ports import free_port
from infra.stack.supervisor import Stack
from schemas.codec import Codec
from schemas.messages.payment_events import PaymentReversed
from schemas.registry import load_codec
from schemas.topics import PAYMENT_EVENTS, TOPICS
from tests.integration.outbox import OutboxRow, event_row, read_records, write_rows

OUTSIDE = re.compile(r"(?:src|href)=\"https?://(?!127\.0\.0\.1)")


pytestmark = pytest.mark.timeout(900)  # the first test may have to start the servers and to fetch the UI
SHOWN_SECONDS = 60
ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07]*\x07|[@-_])")


def deliver(stack: Stack, reversal_ids: Sequence[str]) -> None:
    """Events of ours reach their topic, as every event does."""
    with transaction(engine(access.database_url(stack.home, "write", "auditor"))) as cursor:
        codec = load_codec(cursor)
    write_rows(stack, [_row(codec, each) for each in reversal_ids])


def _row(codec: Codec, reversal_id: str) -> OutboxRow:
    payment = uuid.uuid4()
    value = codec.encode(PaymentReversed(payment_id=payment, reversal_id=reversal_id, amount_minor=1, currency="EUR"))
    return event_row(PAYMENT_EVENTS, str(payment), value, "PaymentReversed", stream_version="1", position="1")


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


def test_the_newest_event_is_shown_first_and_decoded_however_many_came_before(stack: Stack, address: str) -> None:
    deliver(stack, [f"old-{n}" for n in range(300)])
    newest = f"rev-{uuid.uuid4().hex[:10]}"
    deliver(stack, [newest])
    read_records(stack, [PAYMENT_EVENTS], lambda found: any(newest.encode() in each.value() for each in found))
    asyncio.run(must_show(f"{address}/{PAYMENT_EVENTS}", newest))


def test_a_topic_is_shown_from_its_beginning_on_request(stack: Stack, address: str) -> None:
    deliver(stack, [f"old-{n}" for n in range(30)])
    records = read_records(stack, [PAYMENT_EVENTS], lambda found: len(found) >= 30)
    oldest = {record.partition(): record.key().decode() for record in reversed(records)}
    asyncio.run(must_show(f"{address}/{PAYMENT_EVENTS}.all", *oldest.values()))


async def must_show(page: str, *wanted: str) -> None:
    """What the page's terminal is sent holds one of those wanted, in time."""
    told = bytearray()
    url = f"{page}/ws?width=400&height=50"
    with contextlib.suppress(TimeoutError):
        async with (
            asyncio.timeout(SHOWN_SECONDS),
            aiohttp.ClientSession() as session,
            session.ws_connect(url, max_msg_size=0) as socket,
        ):
            async for message in socket:
                told += message.data if isinstance(message.data, bytes) else message.data.encode()
                if any(each.encode() in told for each in wanted):
                    return
    text = re.sub(r"\s+", " ", ESCAPES.sub(" ", told.decode("utf-8", "replace")))
    pytest.fail(f"{page} shows none of {wanted} after {SHOWN_SECONDS} s, but: {text[-3000:]}", pytrace=False)
