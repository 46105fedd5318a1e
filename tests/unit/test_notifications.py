"""What others are told, where webhooks may go, and when they are tried again."""

from __future__ import annotations

import ipaddress
import json
import re
import socket
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import BadInput
from schemas.messages import payment_events
from streams.notifications import messages
from streams.notifications.agent import Addressee, rows_of
from streams.notifications.endpoints import check_url
from streams.notifications.guard import AddressRefused, GuardedBackend, checked_address, is_public
from streams.notifications.schedule import DELAYS_SECONDS, delay_seconds, retry_after_seconds
from tests.happenings import BEGAN
from tests.worlds import World, steps

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@given(steps)
def test_every_told_event_has_a_type_and_a_small_body(taken: list[tuple[str, int, int]]) -> None:
    for event in World.of(taken).events:
        name = messages.type_of(event.message)
        if name is not None:
            assert name in messages.TYPES and re.fullmatch(r"[a-zA-Z0-9_]+(\.[a-zA-Z0-9_]+)*", name)
            body = messages.body_of(event, name)
            told = json.loads(body)
            assert told.keys() == {"type", "timestamp", "data"} and len(body.encode()) < messages.MAX_BODY_BYTES
            assert (told["data"]["event"], told["data"]["stream_version"]) == (event.type, event.version)
            assert datetime.fromisoformat(told["timestamp"]) == event.recorded_at


def test_a_swipe_is_told_from_creation_to_confirmation() -> None:
    world = World.of(
        [("request", 0, 500), ("authorize", 0, 0), ("submit", 0, 1), ("see_leg", 0, 0), ("finalize", 0, 0)]
    )
    told = [messages.type_of(event.message) for event in world.of_stream(world.payments[0])]
    assert [name for name in told if name] == [
        "card.transaction.created",
        "card.transaction.authorized",
        "card.transaction.confirmed",
    ]


def test_a_merchant_with_an_endless_name_makes_no_endless_webhook() -> None:
    event = World.of([("request", 0, 500)]).events[-1]
    assert isinstance(event.message, payment_events.PaymentRequested)
    long = replace(event, message=replace(event.message, merchant_name="é" * 20_000))
    told = json.loads(messages.body_of(long, "card.transaction.created"))
    assert told["data"]["abridged"] is True and told["data"]["stream_id"] == str(event.stream_id)


def test_amounts_are_told_as_strings() -> None:
    event = World.of([("request", 0, 500)]).events[-1]
    data = json.loads(messages.body_of(event, "card.transaction.created"))["data"]
    assert data["amount_raw"] == "5000000000000000000" and data["amount_minor"] == 500


def test_the_vocabulary_in_the_docstring_is_the_table() -> None:
    shown = re.findall(r"^\| (\w[\w, ]+?) +\| ([\w.]+) +\|", messages.__doc__ or "", re.M)
    said = {(one, name) for events, name in shown[1:] for one in events.split(", ")}
    table = {
        (f"{cls.__name__} {kind}".strip(), name)
        for cls, told in messages.TOLD.items()
        for kind, name in ({"": told} if isinstance(told, str) else told).items()
    }
    assert said == table


@pytest.mark.parametrize(
    ("event_types", "name", "taken"),
    [
        ((), "account.registered", True),
        (("card.transaction",), "card.transaction.created", True),
        (("card.transaction.created",), "card.transaction.created", True),
        (("card.trans",), "card.transaction.created", False),
        (("account", "card.status"), "card.transaction.created", False),
    ],
)
def test_a_filter_names_a_type_or_all_below_it(event_types: tuple[str, ...], name: str, taken: bool) -> None:
    assert messages.wants(event_types, name) is taken


def test_an_endpoint_is_told_of_what_was_recorded_since_it_was_enabled() -> None:
    event = World.of([]).events[0]
    before, after = Addressee(uuid4(), (), BEGAN), Addressee(uuid4(), (), event.recorded_at + timedelta(microseconds=1))
    rows = rows_of(event, "account.registered", [before, after])
    assert [row[1] for row in rows] == [before.endpoint_id]
    assert rows == rows_of(event, "account.registered", [before])  # the same ids again


@given(st.uuids(), st.integers(1, len(DELAYS_SECONDS)))
def test_a_delay_is_the_schedules_or_a_fifth_more(message_id: UUID, attempt: int) -> None:
    delay = delay_seconds(message_id, attempt)
    assert delay is not None and DELAYS_SECONDS[attempt - 1] <= delay <= DELAYS_SECONDS[attempt - 1] * 1.2
    assert delay == delay_seconds(message_id, attempt)


def test_the_schedule_is_that_of_standard_webhooks() -> None:
    assert timedelta(seconds=sum(DELAYS_SECONDS)) == timedelta(hours=75, minutes=35, seconds=5)
    assert delay_seconds(uuid4(), len(DELAYS_SECONDS) + 1) is None


def test_what_the_endpoint_asks_for_counts_where_it_is_longer_and_not_for_ever() -> None:
    one = uuid4()
    assert delay_seconds(one, 1, retry_after=600) == 600
    assert delay_seconds(one, 2, retry_after=1) == delay_seconds(one, 2)
    assert delay_seconds(one, 1, retry_after=10**9) == 86_400


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120),
        ("Sun, 01 Mar 2026 00:02:00 GMT", 120),
        ("Sat, 28 Feb 2026 00:00:00 GMT", None),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999999999", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, NOW) == seconds


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "224.0.0.1",
        ),
        *("::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1"),
        *("2002:7f00:1::", "2002:a00:1::", "255.255.255.255", "198.18.0.1", "192.0.2.1", "192.0.0.8", "192.0.0.192"),
        *("fec0::1", "64:ff9b:1::a00:1", "::127.0.0.1", "::ffff:0:10.0.0.1", "5f00::1", "4000::1", "3fff::1"),
    ],
)
def test_no_webhook_goes_to_an_inner_address(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111", "64:ff9b::1.1.1.1", "::ffff:1.1.1.1"])
def test_webhooks_go_to_public_addresses(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_a_name_that_leads_inside_is_refused_unless_it_is_allowed() -> None:
    for host in ("localhost", "127.0.0.1", "0x7f000001", "2130706433", "127.1", "::1"):
        with pytest.raises(AddressRefused, match="not a public address"):
            checked_address(host, 80, (), 5)
    assert checked_address("127.0.0.1", 80, ("127.0.0.1",), 5) == "127.0.0.1"


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.com/", "ftp://example.com/", "https://", "https:///hook", "https://u:p@example.com/", "hook"),
        *("https://example.com:port/", "https://example.com/#part", "https://exämple.com/", "", "https://[::1/"),
        *(
            "https://example.com/a b",
            "https://exam ple.com/",
            "https://example.com/\r\nX-Told: us",
            " https://example.com/",
        ),
        *("https://example.com/\x00", "https://example.com:0/", "https://@example.com/", "https://a..example/"),
        *("https://example.com/#", f"https://{'a' * 64}.example/", f"https://example.com/{'a' * 2048}"),
    ],
)
def test_a_url_that_cannot_be_taken_is_refused(url: str) -> None:
    with pytest.raises(BadInput, match="webhook URL"):
        check_url(url, ())


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "10.1.2.3", "0x7f.1", "2130706433", "[::1]", "[fd00::1]", "[::ffff:10.0.0.1]", "1"]
)
def test_an_address_inside_is_refused_when_it_is_registered_and_not_by_the_first_attempt(host: str) -> None:
    with pytest.raises(BadInput, match="is not a public address"):
        check_url(f"https://{host}:8443/hook", ())
    check_url(f"https://{host}:8443/hook", (host.strip("[]"),))
    check_url("https://8.8.8.8/hook", ())


def test_a_resolver_that_does_not_answer_costs_no_more_than_the_exchange_may_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers.wait(10))
    began = time.monotonic()
    with pytest.raises(httpcore.ConnectTimeout, match=r"slow\.example"):
        GuardedBackend((), 0.2).connect_tcp("slow.example", 443)
    answers.set()
    assert time.monotonic() - began < 2


def test_plain_http_goes_only_where_the_settings_allow() -> None:
    check_url("https://example.com/hook?x=1", ())
    check_url("http://receiver/hook", ("receiver",))
