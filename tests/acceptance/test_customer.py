"""`payriver customer`, as a newcomer types it on a river of their own: the card can be swiped at once, as the command says."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable

import httpx
import pytest
from typer.testing import CliRunner

from api.cli.main import build
from api.demo.world import World


@pytest.fixture
def say(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.setattr("api.roots.root.configure_logging", lambda _: None)  # a process's own; the tests share theirs

    def run(*words: str) -> str:
        done = CliRunner().invoke(build("customer"), ["customer", *words, "--home", str(world.stack.home.folder)])
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


def test_a_customer_that_was_made_can_pay_at_once(
    world: World, say: Callable[..., str], agrees: Callable[[], None]
) -> None:
    first, second = json.loads(say("--count", "2", "--funds", "30", "--json"))
    answers = [
        world.post("/v1/authorizations", body(each["card_token"], 20_00), **{"Idempotency-Key": f"made-{i}"}).json()
        for i, each in enumerate((first, second, first))
    ]
    assert [each["approved"] for each in answers] == [True, True, False]
    world.until_payment(answers[0]["payment_id"], outcome="settled")
    agrees()


def test_the_swipe_that_it_prints_is_a_swipe(world: World, say: Callable[..., str]) -> None:
    (line,) = [each for each in say().splitlines() if each.startswith("curl ")]
    _, _, url, *words = shlex.split(line)
    given = list(zip(words[::2], words[1::2], strict=True))
    headers = dict(word.split(": ", 1) for flag, word in given if flag == "-H")
    (content,) = [word for flag, word in given if flag == "-d"]
    told = httpx.post(url, headers=headers, content=content, trust_env=False, timeout=30).json()
    assert told["approved"] and told["authorization_code"]


def body(card_token: str, amount_minor: int) -> dict[str, object]:
    merchant = {"name": "Kaffeehaus", "country": "AT", "mcc": "5814"}
    return {"card_token": card_token, "amount_minor": amount_minor, "currency": "EUR", "merchant": merchant}
