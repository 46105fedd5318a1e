"""How transactions are sent, on a real chain: what they pay, why they fail, who else may carry them, and whose keys they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from connectors.chain.contracts.calls import salt_of
from connectors.chain.preflight import examine
from connectors.chain.sending.keystore import Keyring
from connectors.chain.sending.remote_signer import NotSigned, RemoteSigner
from connectors.chain.sending.signing import Signer, order_of
from connectors.chain.settings import ChainSettings
from infra.errors import Misconfigured
from tests.integration.customers import FINAL, Customer, Shore, shore
from tests.integration.little_river import EUR

SENT = (
    "SELECT state, reason, sender, nonce, tx_hash, signed FROM chain_transactions WHERE leg_id = %s ORDER BY signed_at"
)


@pytest.fixture(scope="module")
def at() -> Iterator[Shore]:
    with shore(settlement_raw=1_000 * EUR) as made:
        yield made


@pytest.fixture(autouse=True)
def _as_it_was(at: Shore) -> Iterator[None]:
    keys, chain = at.river.submitter.keys, at.river.submitter.chain
    yield
    at.river.submitter.keys, at.river.submitter.chain = keys, chain
    at.river.chain.automine()
    at.settle()


def sent(at: Shore, payment_id: UUID, kind: str = "spend") -> list[Any]:
    return at.rows(SENT, at.state(payment_id).leg(kind).leg_id)


def reverts(at: Shore, payment_id: UUID) -> list[str]:
    """The reasons that the payment's stream tells."""
    return [each.reason for each in at.events(payment_id) if type(each).__name__ == "LegReverted"]


def impatient(at: Shore, seconds: int = 3600) -> None:
    """All that was sent or failed was so long ago."""
    at.rows(
        "UPDATE chain_transactions SET broadcast_at = broadcast_at - %s * interval '1 second', "
        "marked_at = marked_at - %s * interval '1 second', signed_at = signed_at - %s * interval '1 second'",
        seconds, seconds, seconds,
    )  # fmt: skip


def taken_away(at: Shore, customer: Customer, raw: int) -> None:
    """Tokens leave the Safe behind everybody's back."""
    chain = at.river.chain
    chain.ask("anvil_impersonateAccount", customer.account.safe)
    chain.ask("anvil_setBalance", customer.account.safe, hex(10**18))
    data = "0x" + chain.call("transfer(address,uint256)", chain.deployment.settlement, raw).hex()
    chain.ask("eth_sendTransaction", {"from": customer.account.safe, "to": chain.deployment.token, "data": data})


# -- why they fail


def test_a_spend_that_the_tokens_do_not_reach_says_so_and_a_reorg_may_turn_it_into_one_that_passes(at: Shore) -> None:
    ana, chain = at.customer(100), at.river.chain
    payment_id = at.approved(ana)
    while at.river.pump():
        pass
    taken_away(at, ana, 95 * EUR)
    chain.stop_mining()
    at.river.flow()
    at.river.flow(1)
    ((state, reason, *_),) = sent(at, payment_id)
    assert state == "reverted" and "tokens do not reach" in reason and reverts(at, payment_id) == [reason]
    chain.reorg(1)
    top_up = chain.mint(ana.account.safe, 50 * EUR)
    at.river.flow()
    at.river.flow(1)
    chain.wait_receipts([top_up])
    at.river.flow()
    chain.automine()
    impatient(at, 30)
    at.settle()
    assert at.saga(payment_id)[0] == "settled"
    assert chain.balance(ana.account.safe) == 45 * EUR
    at.must_be_right(ana)


def test_a_spend_over_the_holders_limit_says_so(at: Shore) -> None:
    ana, chain = at.customer(100), at.river.chain
    payment_id = at.approved(ana)
    while at.river.pump():
        pass
    chain.set_limit(ana.account, 5 * EUR)
    at.river.flow(FINAL)
    at.settle()
    assert "over the allowance that the holder set" in reverts(at, payment_id)[0]
    chain.set_limit(ana.account, 500 * EUR)
    impatient(at)
    at.settle()
    assert at.saga(payment_id)[0] == "settled"
    at.must_be_right(ana)


def test_a_stranger_who_relays_our_signature_carries_our_leg_and_ours_fails_with_its_reason(at: Shore) -> None:
    ana, chain = at.customer(100), at.river.chain
    payment_id = at.approved(ana)
    while at.river.pump():
        pass
    assert at.river.submitter._sign() == 1
    ((*_, signed),) = sent(at, payment_id)
    theirs = chain.send(chain.deployment.outsider_key, chain.deployment.spender_module, order_of(bytes(signed)).data)
    at.mined(theirs)
    at.settle()
    assert at.state(payment_id).leg("spend").tx_hash == theirs.hash
    assert reverts(at, payment_id) == ["HashAlreadyConsumed(bytes32)"]
    assert at.saga(payment_id)[0] == "settled"
    at.must_be_right(ana)
    assert chain.balance(ana.account.safe) == 90 * EUR


# -- what they pay


def test_nothing_is_paid_beyond_the_most_and_what_is_too_dear_waits(at: Shore) -> None:
    ana, chain = at.customer(100), at.river.chain
    at.river.submitter.chain = at.river.settings.model_copy(update={"max_fee_gwei": 5})
    chain.stop_mining()
    chain.ask("anvil_setNextBlockBaseFeePerGas", hex(50 * 10**9))
    chain.mine()
    payment_id = at.approved(ana)
    at.river.flow()
    impatient(at)
    at.river.flow()
    at.river.flow(1)
    ((state, *_, signed),) = sent(at, payment_id)
    assert state in ("signed", "broadcast") and order_of(bytes(signed)).max_fee_wei == 5 * 10**9
    chain.ask("anvil_setNextBlockBaseFeePerGas", hex(10**9))
    chain.mine()
    at.river.flow()
    chain.automine()
    impatient(at)
    at.must_be_right(ana)
    assert at.saga(payment_id)[0] == "settled"


def test_one_that_is_next_and_not_mined_for_long_offers_more(at: Shore) -> None:
    ana, chain = at.customer(100), at.river.chain
    chain.stop_mining()
    payment_id = at.approved(ana)
    at.river.flow()
    impatient(at)
    at.river.flow()
    (old, new) = sent(at, payment_id)
    assert (old[0], new[0], old[3]) == ("replaced", "broadcast", new[3])
    before, after = order_of(bytes(old[-1])), order_of(bytes(new[-1]))
    assert after.max_fee_wei * 10 >= before.max_fee_wei * 11 and after.tip_wei * 10 >= before.tip_wei * 11
    assert replace(after, max_fee_wei=0, tip_wei=0) == replace(before, max_fee_wei=0, tip_wei=0), "the same call"
    chain.automine()
    at.must_be_right(ana)
    assert at.saga(payment_id)[0] == "settled"


# -- whose keys they are


def test_keys_that_an_external_signer_holds_spend_refund_and_take_back(at: Shore) -> None:
    """anvil holds its own development keys, and is the signer here."""
    ana, chain = at.customer(100), at.river.chain
    remote = remote_keys(at)
    at.river.submitter.keys = remote
    payment_id = at.approved(ana)
    at.settle()
    assert at.saga(payment_id)[0] == "settled"
    at.river.gateway.messages.reverse(payment_id, "r1", "test")
    at.settle()
    assert at.saga(payment_id) == ("refunded", None)
    at.must_be_right(ana)
    assert chain.rpc_url not in repr(remote) and "127.0.0.1" not in repr(remote)


@pytest.mark.parametrize("silent", [True, False], ids=["does not answer", "refuses"])
def test_a_signer_that_gives_nothing_holds_up_its_own_and_loses_nothing(at: Shore, silent: bool) -> None:
    """Not settlement's refunds; nor what was signed before."""
    ana = at.customer(100)
    refunded = at.approved(ana)
    at.settle()
    nowhere = RemoteSigner(at.river.deployment.relayer, SecretStr("http://127.0.0.1:9"))
    unknown = RemoteSigner(ana.account.owner, SecretStr(at.river.chain.rpc_url))
    at.river.submitter.keys = replace(at.river.keyring, relayers=[nowhere if silent else unknown])
    waiting = at.approved(ana)
    at.river.gateway.messages.reverse(refunded, "r1", "test")
    at.settle()
    assert at.saga(refunded) == ("refunded", None)
    assert sent(at, waiting) == []
    at.river.submitter.keys = at.river.keyring
    at.river.submitter._resting.clear()
    at.must_be_right(ana)
    assert at.saga(waiting)[0] == "settled"


class Picky(Signer):
    """A signer with a policy: some spends it does not sign."""

    refused: bytes = b""

    def sign_spend(self, chain_id: int, spender_module: str, call: bytes, salt: bytes) -> bytes:
        if salt == self.refused:
            raise NotSigned(self.address, "refuses it", silent=False)
        return super().sign_spend(chain_id, spender_module, call, salt)


def test_a_spend_that_its_signer_refuses_holds_up_no_other_and_leaves_no_nonce_out(at: Shore) -> None:
    ana, picky = at.customer(100), Picky(at.river.deployment.delegate_key)
    refused = at.approved(ana)
    picky.refused = salt_of(at.state(refused).leg("spend").leg_id)
    at.river.submitter.keys = replace(at.river.keyring, delegate=picky)
    signed = at.approved(ana)
    at.settle()
    assert at.saga(signed)[0] == "settled"
    assert sent(at, refused) == []
    picky.refused = b""
    at.river.submitter._resting.clear()
    at.must_be_right(ana)
    assert at.saga(refused)[0] == "settled"


def remote_keys(at: Shore) -> Keyring:
    url, told = SecretStr(at.river.chain.rpc_url), at.river.deployment
    delegate, relayer, settlement = (RemoteSigner(each, url) for each in (told.delegate, told.relayer, told.settlement))
    return Keyring(delegate, [relayer], settlement)


def test_keys_that_the_chain_does_not_know_as_told_are_refused(at: Shore) -> None:
    keys, told = at.river.keyring, at.river.settings
    assert examine(told, at.river.rpc, keys) == []
    wrong: list[tuple[ChainSettings, Keyring, str]] = [
        (told, replace(keys, relayers=[keys.delegate]), "no salt binds"),
        (told, replace(keys, delegate=keys.settlement), "no enabled module"),
        (told, replace(keys, settlement=keys.delegate), "settlement_address is"),
        (told.model_copy(update={"chain_id": 1}), keys, "chain_id is 1"),
    ]
    for settings, others, words in wrong:
        with pytest.raises(Misconfigured, match=words):
            examine(settings, at.river.rpc, others)
    poor = Signer("0x" + "77" * 32)
    assert examine(told, at.river.rpc, replace(keys, relayers=[poor])) == [
        f"{poor.address} has no gas: it sends spends"
    ]
