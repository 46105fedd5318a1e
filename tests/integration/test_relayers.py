"""Several keys send the spends of one programme: each its share, and those that can pay the share of one that cannot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID

import pytest

from connectors.chain.sending import nonces
from connectors.chain.sending.purses import Purses
from connectors.chain.sending.signing import Signer
from infra.devchain.chain import development_key
from tests.integration.customers import Shore, shore
from tests.integration.little_river import EUR
from tests.integration.test_sending import impatient, sent


@pytest.fixture(scope="module")
def at() -> Iterator[Shore]:
    with shore(settlement_raw=1_000 * EUR) as made:
        yield made


@pytest.fixture(autouse=True)
def _as_it_was(at: Shore) -> Iterator[None]:
    yield
    at.river.submitter.keys, at.river.submitter.purses = at.river.keyring, Purses()
    at.river.chain.ask("anvil_setBalance", at.river.deployment.relayer, hex(10**21))


OF_SENDER = "SELECT state, nonce FROM chain_transactions WHERE sender = %s AND nonce >= %s ORDER BY nonce, signed_at"


def carried_by_another(at: Shore) -> tuple[str, int, list[UUID]]:
    """The first relayer cannot pay, and the other has carried what it had signed. Gives it, the chain's count of its nonces, the payments."""
    ana, chain = at.customer(100), at.river.chain
    empty = chain.deployment.relayer
    at.river.submitter.keys = replace(
        at.river.keyring, relayers=[*at.river.keyring.relayers, Signer(development_key(9))]
    )
    at.river.submitter.purses = Purses()
    while at.river.pump():
        pass
    at.river.submitter.step()  # their balances are known, and good
    payments = [at.approved(ana, 100) for _ in range(8)]
    chain.ask("anvil_setBalance", empty, "0x0")
    at.settle()
    impatient(at)  # what it had signed was refused a while ago
    at.settle()
    at.settle()
    assert all(at.saga(each)[0] == "settled" for each in payments)
    used = at.river.rpc.nonce(empty, "latest")
    assert "signed" in {state for state, _ in at.rows(OF_SENDER, empty, used)}
    return empty, used, payments


def funded(at: Shore, relayer: str) -> None:
    at.river.chain.ask("anvil_setBalance", relayer, hex(10**21))
    at.river.submitter.purses = Purses()


def test_a_relayer_that_is_funded_again_sends_nothing_that_another_has_carried(at: Shore) -> None:
    empty, used, payments = carried_by_another(at)
    funded(at, empty)
    at.settle()
    assert at.river.rpc.nonce(empty, "latest") == used, "it pays for nothing"
    idle = {nonce for state, nonce in at.rows(OF_SENDER, empty, used) if state == "signed"}
    bo = at.customer(100)
    more = [at.approved(bo, 100) for _ in range(2 * len(idle) + 8)]
    at.settle()
    at.must_be_right(bo)
    found = at.rows(OF_SENDER, empty, used)
    assert {state for state, nonce in found if nonce in idle} == {"replaced", "final"}, (
        "its next spends take those nonces"
    )
    assert not [state for state, _ in found if state.startswith("reverted")]
    assert at.river.rpc.nonce(empty, "latest") == used + len([state for state, _ in found if state == "final"])
    assert all(at.saga(each)[0] == "settled" for each in more)
    assert not [each for payment_id in payments for each in at.types(payment_id, "Reverted")]


def test_where_a_spend_waits_behind_what_another_has_carried_that_goes_out_first(
    at: Shore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed before it was known that another would carry the first ones. They fail, for their salts are used; nothing stands still."""
    empty, used, _ = carried_by_another(at)
    funded(at, empty)
    bo = at.customer(100)
    monkeypatch.setattr(nonces, "idle", lambda *_: None)
    more = [at.approved(bo, 100) for _ in range(8)]
    at.settle()
    at.settle()
    at.must_be_right(bo)
    assert all(at.saga(each)[0] == "settled" for each in more)
    states = [state for state, _ in at.rows(OF_SENDER, empty, used)]
    assert {"reverted_final", "final"} == set(states) and states[0] == "reverted_final"


def test_several_relayers_share_the_spends_and_none_waits_for_another(at: Shore) -> None:
    ana = at.customer(100)
    other = Signer(development_key(9))
    at.river.submitter.keys = replace(at.river.keyring, relayers=[*at.river.keyring.relayers, other])
    payments = [at.approved(ana, 100) for _ in range(8)]
    at.settle()
    mine = [each for each in payments if sent(at, each)[0][2] == other.address]
    assert 0 < len(mine) < 8
    at.must_be_right(ana)
    assert all(at.saga(each)[0] == "settled" for each in payments)


def test_the_share_of_a_relayer_that_cannot_pay_goes_to_one_that_can_also_what_it_had_signed(at: Shore) -> None:
    empty, _, payments = carried_by_another(at)
    other = Signer(development_key(9)).address
    signers = [{row[2] for row in sent(at, each)} for each in payments]
    assert {other} in signers and {empty, other} in signers
    ana = at.customer(100)
    at.river.submitter.purses = Purses()  # a while later: what is new it is not given at all
    later = [at.approved(ana, 100) for _ in range(4)]
    at.settle()
    assert [{row[2] for row in sent(at, each)} for each in later] == [{other}] * 4
    funded(at, empty)
    back = [at.approved(ana, 100) for _ in range(8)]
    at.settle()
    assert empty in {row[2] for each in back for row in sent(at, each)}
    at.must_be_right(ana)
    assert all(at.saga(each)[0] == "settled" for each in [*later, *back])
    assert at.river.chain.balance(ana.account.safe) == 88 * EUR
