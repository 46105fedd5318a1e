"""The machine loses its power: Kafka had acknowledged what its disk never got. By the commands alone, as an operator goes through it."""

from __future__ import annotations

import json
from contextlib import suppress

import psutil
import pytest

from tests.acceptance.test_foreign_node import EUR, Abroad, abroad, begin, eventually
from tests.integration.torn_log import tear

__all__ = ["abroad"]


@pytest.mark.long  # test_lost_records takes each of its steps
@pytest.mark.timeout(600)
def test_what_a_power_failure_took_from_the_topics_is_named_and_announced_again(abroad: Abroad) -> None:
    begin(abroad)
    for _ in range(3):
        sent = abroad.chain.spend(abroad.accounts[0], EUR, sender_key=abroad.chain.deployment.outsider_key)
        abroad.chain.wait_receipts([sent])
    assert abroad.told("verify")["ok"]
    lose_power(abroad)
    assert tear(abroad.home / "kafka", "payments.events", 1) + tear(abroad.home / "kafka", "accounts.events", 1) > 0

    assert "Kafka has lost records" in abroad.payriver("up", "--chain", str(abroad.file), "--throwaway", status=1)
    told = json.loads(abroad.payriver("recover", "--json", status=1))
    assert told["lacking"] > 0 and told["astray"] > 0
    assert "Kafka has lost records" in abroad.payriver("up", "--chain", str(abroad.file), "--throwaway", status=1), (
        "looked at only"
    )
    done = abroad.told("recover", "--apply")
    assert (done["announced"], done["set_right"]) == (done["lacking"], done["astray"])

    abroad.payriver("up", "--chain", str(abroad.file), "--throwaway")
    eventually(lambda: agrees(abroad), "all agrees after")
    abroad.payriver("down")


def lose_power(abroad: Abroad) -> None:
    """Every process at once, and none has a last word."""
    state = json.loads((abroad.home / "state.json").read_text())
    running = [psutil.Process(state["supervisor"]["pid"])]
    running += running[0].children(recursive=True)
    for each in running:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(running, 10)


def agrees(abroad: Abroad) -> bool:
    """What was announced again is still on its way for some seconds."""
    with suppress(AssertionError):
        return bool(abroad.told("verify")["ok"])
    return False
