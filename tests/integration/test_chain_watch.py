"""`payriver chain watch` on a real chain: a transfer climbs as blocks come, and a reorg pushes it back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rich.console import Console

from api.cli.chain_watch import Screen
from tests.integration.customers import Shore, shore
from tests.integration.little_river import EUR

SAFE_AFTER = 4


@pytest.fixture(scope="module")
def at() -> Iterator[Shore]:
    with shore() as made:
        yield made


def line_of(screen: Screen, account_id: object) -> str:
    """What the screen says of the account's transfer that moved last."""
    console = Console(width=160)
    with console.capture() as said:
        console.print(screen.now())
    return next(line for line in said.get().splitlines() if str(account_id)[:10] in line)


def test_a_payment_climbs_from_seen_to_safe_to_finalized_and_a_reorg_pushes_it_back(at: Shore) -> None:
    ana, chain = at.customer(100), at.river.chain
    screen = Screen(at.river.as_role("write", "auditor"), at.river.rpc, at.river.settings.chain_id, 5)
    spend = chain.spend(ana.account, 30 * EUR)
    at.mined(spend)
    at.river.flow()
    chain.stop_mining()
    assert "● seen ━━ ○ safe ━━ ○ finalized" in line_of(screen, ana.account_id)
    chain.mine(SAFE_AFTER)
    at.river.flow()
    assert "● seen ━━ ● safe ━━ ○ finalized" in line_of(screen, ana.account_id)
    chain.reorg(SAFE_AFTER + 1, resend="none")
    at.river.flow()
    assert "pushed back by a reorg" in line_of(screen, ana.account_id)
    chain.resend(spend.raw)
    chain.mine()
    at.river.flow()
    again = line_of(screen, ana.account_id)
    assert "● seen ━━ ○ safe ━━ ○ finalized  back after 1 reorg" in again and "-30.00 EUR" in again
    chain.mine(at.final)
    at.settle()
    assert "● seen ━━ ● safe ━━ ● finalized" in line_of(screen, ana.account_id)
    chain.automine()
