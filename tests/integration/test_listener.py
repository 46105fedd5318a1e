"""The listener on a real chain that is broken under it: what the chain says at the end is what is booked, each thing once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.chain.listening.blocks import Blocks, Forked
from infra.stack import access
from tests.integration import step_until_killed
from tests.integration.customers import FINAL, Customer, Shore, another, shore, takes_over
from tests.integration.little_river import EUR


@pytest.fixture(scope="module")
def at() -> Iterator[Shore]:
    with shore() as made:
        yield made


@pytest.fixture(autouse=True)
def _mining_goes_on(at: Shore) -> Iterator[None]:
    yield
    at.river.chain.automine()


# -- what happens on chain


def test_deposits_and_spends_are_booked_to_the_unit_once_they_are_final(at: Shore) -> None:
    ana = at.customer(100)
    at.mined(at.river.chain.mint(ana.account.safe, 7), at.river.chain.spend(ana.account, 30 * EUR))
    at.river.flow()
    assert at.state(ana.account_id).free_funds_raw() == 70 * EUR, "a debit counts when seen, a credit when final"
    at.must_be_right(ana)
    (payment_id,) = at.payments(ana.account_id)
    assert at.saga(payment_id) == ("settled", None)


def test_what_moves_between_two_watched_wallets_is_booked_on_both_and_to_oneself_or_of_nothing_on_none(
    at: Shore,
) -> None:
    ana, bo = at.customer(100), at.customer(0)
    for to, raw in ((bo.account.safe, 5 * EUR), (ana.account.safe, 3 * EUR), (bo.account.safe, 0)):
        _withdraw(at, ana, to, raw)
    at.must_be_right(ana, bo)
    assert at.types(bo.account_id, "TransferFinalized") == ["TransferFinalized"]
    assert at.types(ana.account_id, "TransferFinalized") == ["TransferFinalized"]


def _withdraw(at: Shore, customer: Customer, to: str, raw: int) -> None:
    chain = at.river.chain
    asked = chain.enqueue_withdrawal(customer.account, to, raw)
    at.mined(asked.sent)
    chain.advance_time(181)
    at.mined(chain.execute_withdrawal(asked))


def test_an_amount_beyond_2_to_the_255_is_booked_to_the_unit(at: Shore) -> None:
    whale = at.customer(0)
    at.mined(at.river.chain.mint(whale.account.safe, 2**255 + 1))
    at.must_be_right(whale)
    _withdraw(at, whale, at.river.deployment.settlement, 2**255 + 1)
    at.settle()
    assert at.state(whale.account_id).final_raw == 0


def test_a_refund_that_nobody_planned_is_the_customers_and_belongs_to_no_payment(at: Shore) -> None:
    ana = at.customer(0)
    at.mined(at.river.chain.mint(at.river.deployment.settlement, 10 * EUR))
    chain = at.river.chain
    ((nonce,),) = at.rows(
        "SELECT coalesce(max(next_nonce), -1) FROM chain_nonces WHERE sender = %s", chain.deployment.settlement
    )
    assert nonce == -1, "not beside a submitter that counts this key's nonces"
    at.mined(chain.refund(ana.account, 4 * EUR))
    at.must_be_right(ana)
    (told, _) = [each for each in at.events(ana.account_id) if type(each).__name__.startswith("Transfer")]
    assert (told.kind, told.payment_id) == ("refund", None)


# -- reorgs


def test_a_foreign_spend_that_a_reorg_drops_is_unseen_and_its_amount_stays_reserved(at: Shore) -> None:
    ana, chain = at.customer(100), at.river.chain
    at.mined(chain.spend(ana.account, 30 * EUR))
    at.river.flow()
    chain.stop_mining()
    chain.reorg(1)
    at.river.flow()
    (payment_id,) = at.payments(ana.account_id)
    assert at.saga(payment_id) == ("unseen", None)
    assert at.state(ana.account_id).free_funds_raw() == 70 * EUR


@pytest.mark.parametrize("empty_blocks", [0, 3])
def test_a_foreign_spend_that_a_reorg_moves_to_another_block_is_one_payment(at: Shore, empty_blocks: int) -> None:
    ana, chain = at.customer(100), at.river.chain
    at.mined(chain.spend(ana.account, 30 * EUR), chain.mint(ana.account.safe, 9))
    at.river.flow()
    chain.stop_mining()
    for _ in range(2):
        chain.reorg(2, resend="all")
        chain.mine(1 + empty_blocks)
        at.river.flow()
    chain.automine()
    at.must_be_right(ana)
    (payment_id,) = at.payments(ana.account_id)
    assert at.saga(payment_id) == ("settled", None)
    assert at.types(ana.account_id).count("TransferFinalized") == 2


def test_a_spend_of_ours_that_a_stranger_relays_after_a_reorg_is_the_same_spend(at: Shore) -> None:
    """Our signature is public once it was mined: the leg's hash tells, not the transaction."""
    ana, chain = at.customer(100), at.river.chain
    chain.stop_mining()
    payment_id = at.river.authorize(f"swipe-{ana.card}", ana.card, 3_000).payment_id
    at.river.flow()
    at.river.flow(1)
    (spend,) = at.state(payment_id).legs.values()
    assert spend.state == "seen"
    carried = chain.w3.eth.get_transaction(spend.tx_hash)["input"]
    chain.reorg(1)
    stranger = chain.send(chain.deployment.outsider_key, chain.deployment.spender_module, bytes(carried))
    chain.mine()
    chain.wait_receipts([stranger])
    at.rows("UPDATE chain_transactions SET state = 'mined' WHERE tx_hash = %s", spend.tx_hash)
    at.river.flow()
    (spend,) = at.state(payment_id).legs.values()
    assert (spend.state, spend.tx_hash) == ("seen", stranger.hash)
    assert (at.state(ana.account_id).debits_raw, at.state(ana.account_id).held_raw) == (30 * EUR, 0)
    chain.automine()
    at.settle()
    assert at.state(ana.account_id).final_raw == chain.balance(ana.account.safe) == 70 * EUR
    assert at.payments(ana.account_id) == [payment_id]
    assert at.saga(payment_id)[0] == "settled"


# -- wallets that come under watch


@pytest.mark.parametrize("behind", [True, False])
def test_a_wallet_is_followed_from_its_opening_block_wherever_the_listener_stands(at: Shore, behind: bool) -> None:
    """Behind: its opening block is one that the listener has not read yet. Else: things happened between that block and ours."""
    account, chain = at.safe(100), at.river.chain
    if not behind:
        at.mined(chain.mint(account.safe, 5), chain.spend(account, 10 * EUR))
        at.river.flow()
    ana = Customer(account, at.river.register(account, "card-" + account.safe), "card-" + account.safe)
    at.mined(chain.mint(account.safe, 11))
    at.must_be_right(ana)
    assert at.types(ana.account_id).count("TransferFinalized") == (1 if behind else 3)
    assert len(at.payments(ana.account_id)) == (0 if behind else 1)


def test_a_reorg_while_a_wallet_is_welcomed_loses_nothing_of_its_past(at: Shore) -> None:
    account, chain = at.safe(100), at.river.chain
    at.mined(chain.mint(account.safe, 5))
    at.river.flow()
    ana = Customer(account, at.river.register(account, "card-" + account.safe), "card-" + account.safe)
    listener, real = at.river.listener, at.river.listener.blocks

    class Reorganised(Blocks):
        def between(self, *args: Any) -> Any:
            listener.blocks = real
            chain.stop_mining()
            chain.reorg(2, resend="all")
            chain.mine()
            chain.automine()
            return real.between(*args)

    listener.blocks = Reorganised(real.rpc, real.chain)
    with pytest.raises(Forked):
        listener.step()
    assert at.rows("SELECT state FROM chain_wallets WHERE account_id = %s", ana.account_id) == [("new",)]
    at.must_be_right(ana)
    assert at.types(ana.account_id).count("TransferFinalized") == 1


def test_a_listener_that_was_overtaken_learns_of_the_wallets_that_another_welcomed(at: Shore) -> None:
    account, chain = at.safe(100), at.river.chain
    first, second = at.river.listener, another(at, "second")
    at.river.flow()
    first.lease.held()
    ana = Customer(account, at.river.register(account, "card-" + account.safe), "card-" + account.safe)
    position, _ = first._stand()
    takes_over(at, second)
    assert at.rows("SELECT state FROM chain_wallets WHERE account_id = %s", ana.account_id) == [("followed",)]
    at.mined(chain.mint(account.safe, 13))
    head = first.rpc.block("latest")
    assert head is not None
    assert first._advance(position, head) is None, "it knows too few wallets to go on"
    takes_over(at, first)
    at.must_be_right(ana)
    assert at.types(ana.account_id).count("TransferFinalized") == 1


def test_an_account_registered_with_a_queued_withdrawal_is_released_when_the_queue_is_empty(at: Shore) -> None:
    account, chain = at.safe(100), at.river.chain
    asked = chain.enqueue_withdrawal(account, chain.deployment.settlement, 5 * EUR)
    at.mined(asked.sent)
    chain.mine(FINAL)
    card = "card-" + account.safe
    ana = Customer(account, at.river.register(account, card), card)
    at.river.flow()
    assert at.river.authorize(f"a{card}", card, 100).reason == "withdrawal_pending"
    chain.advance_time(181)
    at.mined(chain.execute_withdrawal(asked))
    at.must_be_right(ana)
    assert at.river.authorize(f"b{card}", card, 100).approved
    at.must_be_right()


# -- killed


POINTS = (
    "after_move", "after_events", "after_sightings", "before_commit", "after_commit", "after_final_sightings",
    "before_final_commit", "before_welcome_commit", "after_rewind", "after_unseen_sightings", "before_rewind_commit",
    "after_past_sightings", "before_past_commit",
)  # fmt: skip


@pytest.mark.parametrize("point", POINTS)
def test_a_listener_that_dies_goes_on_exactly_where_its_commit_left_it(at: Shore, point: str, tmp_path: Path) -> None:
    """A wallet to welcome, blocks to read, finality to book, a reorg to take back: it dies in the midst of one of them."""
    ana, chain = at.customer(100), at.river.chain
    at.mined(chain.spend(ana.account, 2 * EUR))
    chain.mine(FINAL)
    if "past" in point:  # so far behind that it reads in bulk
        chain.mine(100)
    account = at.safe(50)
    at.mined(chain.spend(account, EUR))
    if "re" in point.split("_") or "rewind" in point or "unseen" in point:
        at.mined(chain.spend(ana.account, 3 * EUR))
        at.river.flow()
        chain.stop_mining()
        chain.reorg(1, resend="all")
        chain.mine()
        chain.automine()
    bo = Customer(account, at.river.register(account, "card-" + account.safe), "card-" + account.safe)
    at.rows("UPDATE chain_cursors SET lease_until = now() - interval '1 second'")
    assert _killed(at, f"listener.{point}", tmp_path) == -signal.SIGKILL, f"it never came by {point}"
    at.rows("UPDATE chain_cursors SET lease_until = now() - interval '1 second'")
    at.river.listener.lease.until = 0
    at.must_be_right(ana, bo)


def _killed(at: Shore, point: str, folder: Path) -> int:
    file = folder / "chain.json"
    told = at.river.deployment.chain_file([at.river.stack.url("node")], finality={"tag": "finalized"})
    file.write_text(json.dumps(told))
    program = Path(step_until_killed.__file__)
    settings = {
        "PAYRIVER_WRITE_URL": access.database_url(at.river.stack.home, "write", "listener"),
        "PAYRIVER_FAILPOINT": point,
        "PYTHONPATH": str(program.parents[2]),
    }
    done = subprocess.run(
        [sys.executable, str(program), str(file)], env={**os.environ, **settings}, check=False, timeout=60
    )
    return done.returncode
