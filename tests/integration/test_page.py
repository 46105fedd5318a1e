"""The page in a real browser: who may look, payments that travel, the story of one, thousands of them, and nothing from outside."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from sqlalchemy import Engine

from infra.database import transaction
from infra.errors import Undecodable
from streams.domain.card.table import KNOWN
from streams.projections.outcomes import FAR, outcome
from streams.runtime.parked import park
from streams.runtime.records import Place, Record
from tests.browser.chromium import running_browser
from tests.integration.conftest import Databases
from tests.integration.programme import KEYS, Programme, client, running_api

BURST = """
INSERT INTO payments (payment_id, account_id, origin, state, spend_state, outcome, amount_minor, currency, amount_raw, decimals,
                      merchant_name, version, requested_at, changed_at)
SELECT gen_random_uuid(), %s, 'network', 'authorized', 'planned', 'open', 100, 'EUR', 0, 18, 'Burst', 1, clock_timestamp(), clock_timestamp()
FROM generate_series(1, %s)
"""
SETTLE = """
UPDATE payments SET spend_state = 'settled', outcome = 'settled', change = DEFAULT, changed_in = DEFAULT WHERE account_id = %s
"""
LONG_FRAMES = """
window.longest = 0; let last = performance.now();
const tick = (now) => { window.longest = Math.max(window.longest, now - last); last = now; requestAnimationFrame(tick); };
requestAnimationFrame(tick);
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as running:
        yield running


@pytest.fixture(scope="module")
def programme(databases: Databases) -> Programme:
    made = Programme(databases)
    made.deliver()
    return made


@pytest.fixture(scope="module")
def address(databases: Databases, programme: Programme) -> Iterator[str]:
    with running_api(databases, programme.gateway) as address:
        yield address


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1440, "height": 1080})
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext, address: str) -> Iterator[Page]:
    """A page that is let in; whatever it complains of or asks elsewhere fails the test."""
    made = context.new_page()
    wrong: list[str] = []
    made.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    made.on("pageerror", lambda error: wrong.append(str(error)))
    made.on("request", lambda asked: None if asked.url.startswith(address) else wrong.append(f"asks {asked.url}"))
    made.goto(f"{address}/#key={KEYS['reader']}")
    expect(made.locator("#link")).to_have_text("live")
    yield made
    assert wrong == []


def swipe(address: str, programme: Programme, cents: int = 1234) -> str:
    with client(address, "network", **{"Idempotency-Key": uuid4().hex}) as network:
        body = {
            "card_token": programme.card,
            "amount_minor": cents,
            "currency": "EUR",
            "merchant": {"name": "Kaffeehaus <b>"},
        }
        payment_id: str = network.post("/v1/authorizations", json=body).json()["payment_id"]
    programme.streams.append(UUID(payment_id))
    return payment_id


def card(page: Page, stage: str, payment_id: str) -> Any:
    return page.locator(f'[data-stage="{stage}"] [data-payment="{payment_id}"]')


def test_the_page_shows_nothing_to_who_has_no_key(context: BrowserContext, address: str) -> None:
    page = context.new_page()
    page.goto(f"{address}/#key=another-that-is-none")
    expect(page.locator("#door-says")).to_contain_text("does not know this key")
    page.goto(f"{address}/?again")
    expect(page.get_by_role("dialog", name="Who is looking?")).to_be_visible()
    page.get_by_label("API key").fill("not-a-key-of-ours")
    page.get_by_role("button", name="Open the page").click()
    expect(page.locator("#door-says")).to_contain_text("does not know this key")
    assert page.locator(".card").count() == 0
    page.get_by_label("API key").fill(KEYS["reader"])
    page.get_by_role("button", name="Open the page").click()
    expect(page.locator("#link")).to_have_text("live")
    page.set_viewport_size({"width": 1280, "height": 900})
    cut = "all => all.filter(each => each.scrollWidth > each.clientWidth).map(each => each.textContent)"
    assert page.locator(".head .what").evaluate_all(cut) == []  # what stands in a column is said in full
    page.reload()
    expect(page.locator("#link")).to_have_text("live")


def test_a_key_behind_the_address_is_used_and_not_kept(page: Page, address: str) -> None:
    assert page.url == f"{address}/"
    assert page.evaluate("document.cookie") == ""
    assert page.evaluate("JSON.stringify([localStorage, sessionStorage])").find(KEYS["reader"]) == -1


def test_a_payment_travels_from_column_to_column(page: Page, address: str, programme: Programme) -> None:
    payment_id = swipe(address, programme)
    programme.deliver()
    expect(card(page, "approved", payment_id)).to_be_visible()
    expect(card(page, "approved", payment_id)).to_contain_text(
        "Kaffeehaus <b>"
    )  # as text, whatever a merchant calls itself
    expect(card(page, "approved", payment_id)).to_contain_text("€12.34")
    programme.spend(UUID(payment_id), 1234, final=False)
    programme.deliver()
    expect(card(page, "seen", payment_id)).to_be_visible()
    expect(card(page, "approved", payment_id)).to_have_count(0)
    expect(page.locator('[data-stage="seen"] .count')).not_to_have_text("0")


def test_a_payments_story_opens_by_keyboard_and_closes_back_to_its_card(
    page: Page, address: str, programme: Programme
) -> None:
    payment_id = swipe(address, programme)
    programme.spend(UUID(payment_id), 1234)
    programme.deliver()
    expect(card(page, "settled", payment_id)).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type(payment_id)
    expect(page.locator(".card")).to_have_count(1)
    page.locator("#river").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    drawer = page.get_by_role("dialog", name="Kaffeehaus <b>")
    expect(drawer).to_be_visible()
    expect(drawer.locator(".story li")).to_have_count(8)
    expect(drawer.locator(".story li").last).to_contain_text("leg settled")
    expect(drawer.locator(".story li").last).to_contain_text("the money has moved")
    expect(drawer.locator(".story li").first).to_contain_text("RequestPayment by network")
    expect(drawer.locator(".story li").first).to_contain_text("payments.events / 1 @")
    expect(drawer.locator(".account")).to_contain_text("spendable")
    assert page.url.endswith(f"#payment={payment_id}")
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    assert page.evaluate("document.activeElement.closest('[data-payment]')?.dataset.payment") == payment_id


def test_a_link_to_a_payment_opens_its_story(page: Page, address: str, programme: Programme) -> None:
    payment_id = swipe(address, programme)
    programme.deliver()
    page.goto(f"{address}/#payment={payment_id}")
    expect(page.locator("#drawer")).to_contain_text("Payment requested", ignore_case=True)
    expect(page.locator("#drawer .axis [aria-current]").first).to_have_text("authorized")


def test_what_is_looked_for_and_is_not_there_is_said(page: Page, address: str, programme: Programme) -> None:
    payment_id = swipe(address, programme)
    programme.deliver()
    expect(card(page, "approved", payment_id)).to_be_visible()
    page.get_by_label("Find by merchant").fill("a merchant that nobody knows")
    expect(page.locator("#not-found")).to_contain_text("a merchant that nobody knows")
    expect(page.locator(".card")).to_have_count(0)
    page.get_by_label("Find by merchant").fill("")
    expect(page.locator("#not-found")).to_be_hidden()
    expect(card(page, "approved", payment_id)).to_be_visible()


def test_a_spend_that_the_chain_showed_first_was_neither_planned_nor_sent_by_us(page: Page) -> None:
    ask = "async (rows) => { const { stepsOf } = await import('/static/stages.js'); return rows.map((row) => stepsOf('Spend', row)); }"
    hash_ = "0x" + "5c" * 32
    rows = [
        {"origin": origin, "spend_state": state, "spend_tx_hash": hash_}
        for origin, state in (("network", "settled"), ("chain", "settled"), ("chain", "unseen"), ("network", "unseen"))
    ]
    assert page.evaluate(ask, rows) == [
        ["planned", "submitted", "seen", "settled"],
        ["seen", "settled"],
        ["seen", "unseen"],
        ["planned", "submitted", "seen", "unseen"],
    ]


def test_an_operator_sees_how_far_behind_the_read_side_is_and_what_waits_for_a_person(
    page: Page, databases: Databases
) -> None:
    health, owner = page.locator("#health"), databases.as_role("read", "owner")
    expect(health).to_contain_text("read side")
    poison = Record("payments.events", 0, 1, None, b"poison", {}, 0)
    with transaction(owner) as cursor:
        park(cursor, "projections", Place("page", "page", poison.topic, 0), poison, Undecodable("poison"))
    try:
        waiting = sum(_waiting(databases.as_role(server, "owner")) for server in ("read", "write"))
        expect(health).to_contain_text(f"{waiting} message{'s' * (waiting != 1)}", timeout=15_000)
        expect(health.locator("[data-state=bad]").last).to_contain_text("payriver parked list")
    finally:
        with transaction(owner) as cursor:
            cursor.execute("DELETE FROM parked_messages WHERE topic_id = 'page'")


def _waiting(server: Engine) -> int:
    with transaction(server) as cursor:
        cursor.execute("SELECT count(*) FROM parked_messages WHERE state IN ('parked', 'queued')")
        return int(cursor.fetchall()[0][0])


def test_on_a_phone_the_river_runs_down_one_column(page: Page, address: str, programme: Programme) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    lefts = "[...document.querySelectorAll('.stream .column')].map((each) => each.getBoundingClientRect().left)"
    assert len(set(page.evaluate(lefts))) == 1
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_paused_page_stands_still_and_catches_up(page: Page, address: str, programme: Programme) -> None:
    before = swipe(address, programme)
    programme.deliver()
    expect(card(page, "approved", before)).to_be_visible()  # all that was there when the page was opened has come, too
    page.keyboard.press("p")
    payment_id = swipe(address, programme)
    programme.deliver()
    expect(page.locator("#pause")).to_have_text("Go on (1)")
    assert card(page, "approved", payment_id).count() == 0
    page.keyboard.press("p")
    expect(card(page, "approved", payment_id)).to_be_visible()


def test_thousands_of_payments_at_once_do_not_weigh_the_page_down(page: Page, databases: Databases) -> None:
    crowd, many = uuid4(), 3000
    read, notify = databases.as_role("read", "projections"), "SELECT pg_notify('payments_changed', '1')"
    page.evaluate(LONG_FRAMES)
    try:
        for query, values in ((BURST, (crowd, many)), (SETTLE, (crowd,))):
            with transaction(read) as cursor:
                cursor.execute(query, values)
                cursor.execute(notify)
            time.sleep(1)
        expect(page.locator('[data-stage="settled"] .more')).to_contain_text("more", timeout=15_000)
        page.wait_for_function(
            f"Number(document.querySelector('[data-stage=settled] .count').textContent.replaceAll(',', '')) >= {many}"
        )
        assert page.locator(".card").count() <= 5 * 12 + 6 * 3
        assert page.evaluate("window.longest") < 1500  # milliseconds, on a machine that is busy with everything else
    finally:
        with transaction(databases.as_role("read", "owner")) as cursor:
            cursor.execute("DELETE FROM payments WHERE account_id = %s", (crowd,))


def test_every_state_a_payment_can_be_in_has_its_column(page: Page) -> None:
    states = (None, *FAR)
    rows = [
        {
            "state": card,
            "spend_state": spend,
            "refund_state": refund,
            "outcome": outcome(card, _legs(spend, refund), due, owed),
        }
        for card, spend, refund, due, owed in product(KNOWN, states, states, (0, 5), (0, 1))
    ]
    ask = "async (rows) => { const { stageOf } = await import('/static/stages.js'); return rows.map(stageOf); }"
    columns = page.evaluate("[...document.querySelectorAll('.column')].map((each) => each.dataset.stage)")
    found = page.evaluate(ask, rows)
    assert set(found) <= set(columns)
    for row, stage in zip(rows, found, strict=True):
        assert row["outcome"] == "open" or row["outcome"] == stage


def _legs(spend: str | None, refund: str | None) -> dict[str, dict[str, str]]:
    return {
        kind: {"kind": kind, "state": state, "amount_raw": "5"}
        for kind, state in (("spend", spend), ("refund", refund))
        if state
    }


def test_the_apis_documentation_is_drawn_without_anything_from_outside(context: BrowserContext, address: str) -> None:
    page, asked = context.new_page(), list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/docs")
    expect(page.get_by_text("/v1/authorizations", exact=True).first).to_be_visible()
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
