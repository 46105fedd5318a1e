"""What an account's owner does through the Delay queue, on a real chain that is reorganised: limits that change, money that is withdrawn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.devchain.values import Sent, Withdrawal
from tests.integration.customers import FINAL, Customer, Shore, shore
from tests.integration.little_river import EUR


@pytest.fixture(scope="module")
def at() -> Iterator[Shore]:
    with shore() as made:
        yield made


@pytest.fixture(autouse=True)
def _mining_goes_on(at: Shore) -> Iterator[None]:
    yield
    at.river.chain.automine()
    at.settle()


def asked(at: Shore, customer: Customer, *limits_eur: int) -> list[Withdrawal]:
    """The owner has asked for these limits a day, one after the other, and the cooldown is over."""
    found = [at.river.chain.enqueue_limit(customer.account, euros * EUR) for euros in limits_eur]
    at.mined(*(each.sent for each in found))
    at.river.chain.advance_time(181)
    return found


def allowed(at: Shore, customer: Customer) -> int:
    """Euros that the limit lets go now, by what is booked; the read model says the same."""
    head = at.river.rpc.block("latest")
    assert head is not None and at.audit().differences == ()
    return int(at.state(customer.account_id).free_allowance_raw(head.time)) // EUR


def test_a_cut_counts_until_the_raise_after_it_is_final(at: Shore) -> None:
    ana, chain = at.customer(100), at.river.chain
    before = allowed(at, ana)
    for each in asked(at, ana, 20, before + 500):
        at.mined(chain.execute(each))
    at.mined(chain.spend(ana.account, 7 * EUR))
    at.river.flow()
    assert allowed(at, ana) == 13
    at.must_be_right(ana)
    assert allowed(at, ana) == before + 493


def test_of_two_raises_the_first_does_not_count_before_it_is_final_though_a_reorg_drops_the_second(at: Shore) -> None:
    ana, chain = at.customer(100), at.river.chain
    before = allowed(at, ana)
    first, second = asked(at, ana, before + 500, before + 900)
    at.mined(chain.execute(first))
    at.mined(chain.execute(second))
    at.river.flow()
    assert allowed(at, ana) == before
    chain.stop_mining()
    chain.reorg(1)
    at.river.flow()
    assert allowed(at, ana) == before
    chain.mine(FINAL)
    at.must_be_right(ana)
    assert allowed(at, ana) == before + 500


@pytest.mark.parametrize("again", [True, False], ids=["carried by another", "carried by nobody"])
def test_a_withdrawal_that_a_reorg_drops_is_reserved_until_the_queue_is_empty(at: Shore, again: bool) -> None:
    """Anyone may carry the queue's head: another transaction does, and nobody ever hears of the first one again. Or it expires."""
    ana, chain = at.customer(100), at.river.chain
    asked = chain.enqueue_withdrawal(ana.account, chain.deployment.settlement, 30 * EUR)
    at.mined(asked.sent)
    chain.advance_time(181)
    at.river.flow(FINAL)
    at.mined(chain.execute_withdrawal(asked))
    at.river.flow()
    chain.stop_mining()
    chain.reorg(1)
    chain.automine()
    at.river.flow()
    assert (at.state(ana.account_id).debits_raw, at.state(ana.account_id).queue_empty) == (30 * EUR, False)
    if again:
        at.mined(chain.execute(asked, key=ana.account.owner_key))
    else:
        chain.advance_time(8 * 86_400)
        at.mined(chain.skip_expired(ana.account))
    at.settle()
    assert at.types(ana.account_id, "Ended") == ["TransferEnded"]
    at.must_be_right(ana)
    assert at.state(ana.account_id).free_funds_raw() == (70 if again else 100) * EUR
    assert at.river.authorize(f"a{ana.card}", ana.card, 100).approved


def taken(at: Shore, customer: Customer, raw: int) -> Sent:
    """Somebody whom the Safe once gave an ERC-20 allowance takes: no queue is asked."""
    chain, (safe, token) = at.river.chain, (customer.account.safe, at.river.deployment.asset)
    outsider = chain.w3.eth.account.from_key(at.river.deployment.outsider_key).address
    chain.ask("anvil_impersonateAccount", safe)
    chain.ask("anvil_setBalance", safe, hex(10**18))
    allowed = chain.call("approve(address,uint256)", outsider, raw)
    order = {"from": safe, "to": token, "data": "0x" + allowed.hex()}
    at.mined(Sent(chain.ask("eth_sendTransaction", order), b""))
    call = chain.call("transferFrom(address,address,uint256)", safe, chain.deployment.settlement, raw)
    return chain.send(at.river.deployment.outsider_key, token, call)


def test_what_others_sent_and_a_reorg_drops_is_reserved_until_their_nonce_is_used_finally(at: Shore) -> None:
    ana, chain = at.customer(100), at.river.chain
    at.mined(taken(at, ana, 30 * EUR))
    at.river.flow()
    chain.stop_mining()
    chain.reorg(1)
    chain.automine()
    chain.mine(FINAL)
    at.settle()
    assert (at.state(ana.account_id).debits_raw, at.types(ana.account_id, "Ended")) == (30 * EUR, [])
    key = at.river.deployment.outsider_key
    at.mined(chain.send(key, at.river.deployment.settlement, value=1))
    at.river.flow()
    assert at.state(ana.account_id).debits_raw == 30 * EUR, "used, and not finally"
    at.must_be_right(ana)
    assert at.types(ana.account_id, "Ended") == ["TransferEnded"]
    assert at.state(ana.account_id).free_funds_raw() == 100 * EUR
    assert at.rows("SELECT count(*) FROM chain_sightings WHERE state = 'unseen' AND nonce IS NOT NULL") == [(0,)]


def test_a_debits_sender_or_nonce_that_is_changed_is_found(at: Shore) -> None:
    ana = at.customer(100)
    at.mined(taken(at, ana, 30 * EUR))
    at.must_be_right(ana)
    assert at.audit().differences == ()
    with at.river.stack.postgres("write").superuser() as cursor:
        cursor.execute("UPDATE chain_sightings SET nonce = nonce + 1 WHERE nonce IS NOT NULL")
        assert cursor.rowcount > 0
        assert {each.table for each in at.audit().differences} == {"chain_sightings"}
        cursor.execute("UPDATE chain_sightings SET nonce = nonce - 1, sender = NULL WHERE nonce IS NOT NULL")
        assert {each.table for each in at.audit().differences} == {"chain_sightings"}
