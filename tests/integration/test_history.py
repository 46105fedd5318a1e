"""What was final before it was read, on a real chain; and what a restored W reads a second time, as history or as it comes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import connectors.chain.listening.listener
from connectors.chain.listening.listener import BULK
from schemas.messages.account_events import TransferFinalized
from tests.integration.customers import FINAL, Shore, another, shore, takes_over
from tests.integration.little_river import EUR


@pytest.fixture(scope="module")
def at() -> Iterator[Shore]:
    with shore() as made:
        yield made


PLACE = ("chain_cursors", "chain_blocks", "chain_sightings")
"""Where the listener stands, and what it has seen."""


@contextmanager
def as_it_stood_before(at: Shore) -> Iterator[None]:
    """The listener has forgotten what it does within."""
    at.rows("CREATE SCHEMA kept")  # nobody audits what lies there
    for table in PLACE:
        at.rows(f"CREATE TABLE kept.{table} AS TABLE {table}")
    try:
        yield
    finally:
        for table in PLACE:
            at.rows(f"DELETE FROM {table}")
            at.rows(f"INSERT INTO {table} TABLE kept.{table}")
        at.rows("DROP SCHEMA kept CASCADE")


@pytest.mark.parametrize("blocks", [0, BULK + FINAL])
def test_what_a_restored_w_reads_again_block_by_block_or_as_history_is_booked_once(at: Shore, blocks: int) -> None:
    """Its events are there, and its listener stands where it stood before them."""
    ana = at.customer(100)
    with as_it_stood_before(at):
        at.mined(at.river.chain.mint(ana.account.safe, 7), at.river.chain.spend(ana.account, 30 * EUR))
        at.must_be_right(ana)
        before = at.types(ana.account_id)
    at.river.chain.mine(blocks)
    takes_over(at, another(at, f"restored {blocks}"))
    at.rows("UPDATE chain_cursors SET lease_until = now() - interval '1 second'")  # and the first goes on
    at.must_be_right(ana)
    assert at.types(ana.account_id) == before


def test_a_deposit_that_was_final_before_it_was_read_is_one_event_and_a_spend_takes_its_steps(at: Shore) -> None:
    ana = at.customer(100)
    at.mined(at.river.chain.mint(ana.account.safe, 7), at.river.chain.spend(ana.account, 30 * EUR))
    at.river.chain.mine(BULK + FINAL)
    at.must_be_right(ana)
    assert at.types(ana.account_id) == ["TransferFinalized", "TransferSeen", "TransferFinalized"]
    finals = [each for each in at.events(ana.account_id) if isinstance(each, TransferFinalized)]
    assert [(each.kind, each.at_first_sight) for each in finals] == [("mint", True), ("spend", False)]


def test_what_was_final_at_first_sight_is_booked_once_though_a_restored_w_reads_its_block_as_a_new_one(
    at: Shore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana, chain = at.customer(100), at.river.chain
    asked = chain.enqueue_withdrawal(ana.account, at.river.deployment.settlement, 5 * EUR)
    at.mined(asked.sent)
    chain.advance_time(181)
    at.settle()
    with as_it_stood_before(at):
        at.mined(chain.execute_withdrawal(asked), chain.mint(ana.account.safe, 7))
        chain.mine(FINAL)
        with monkeypatch.context() as patched:
            patched.setattr(connectors.chain.listening.listener, "BULK", 0)
            takes_over(at, by_the_stretch := another(at, "by the stretch"))
            while by_the_stretch.step():
                pass
        assert at.types(ana.account_id) == ["TransferFinalized"] * 2
    takes_over(at, another(at, "block by block"))
    at.rows("UPDATE chain_cursors SET lease_until = now() - interval '1 second'")
    at.must_be_right(ana)
    assert at.types(ana.account_id) == ["TransferFinalized"] * 2
