"""Several keys send the spends of one programme: each its share, and those that can pay the share of one that cannot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

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
    ana, chain = at.customer(100), at.river.chain
    empty, other = chain.deployment.relayer, Signer(development_key(9))
    at.river.submitter.keys = replace(at.river.keyring, relayers=[*at.river.keyring.relayers, other])
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
    signers = [{row[2] for row in sent(at, each)} for each in payments]
    assert {other.address} in signers and {empty, other.address} in signers
    at.river.submitter.purses = Purses()  # a while later: what is new it is not given at all
    later = [at.approved(ana, 100) for _ in range(4)]
    at.settle()
    assert [{row[2] for row in sent(at, each)} for each in later] == [{other.address}] * 4
    chain.ask("anvil_setBalance", empty, hex(10**21))
    at.river.submitter.purses = Purses()
    back = [at.approved(ana, 100) for _ in range(8)]
    at.settle()
    assert empty in {row[2] for each in back for row in sent(at, each)}
    at.must_be_right(ana)
    assert all(at.saga(each)[0] == "settled" for each in [*later, *back])
    assert chain.balance(ana.account.safe) == 80 * EUR
