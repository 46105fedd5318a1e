"""What a block's logs mean for accounts that share an address: each is told what its Safe, its Roles and its Delay say."""

from __future__ import annotations

from uuid import UUID

import pytest

from connectors.chain.accounts.directory import Directory, Wallet
from connectors.chain.contracts import events as chain
from connectors.chain.listening.interpret import Legs, Meaning, interpret
from connectors.chain.node.logs import Log
from connectors.chain.settings import ChainSettings
from streams.domain import ids
from streams.domain.chain.facts import Block, ConsumeAllowance, ObserveAllowance, QueueWithdrawal
from tests.unit.test_chain_settings import GNOSIS

CHAIN = ChainSettings.model_validate(GNOSIS)
EURO, DOLLAR = (each.address.lower() for each in CHAIN.tokens)
SAFE, DELAY, OLD_ROLES, NEW_ROLES, TX = ("0x" + digit * 40 for digit in "12345")
BLOCK = Block(30, "0x" + "aa" * 32, 1_700_000_000)
KEY = CHAIN.spending_allowance_key


def account(token: str, roles: str, opening_block: int = 10) -> Wallet:
    """The Safe's account in a token."""
    return Wallet(ids.account_id(100, SAFE, token), "customer", SAFE, token, roles, DELAY, opening_block)


def meaning_of(address: str, event: chain.ChainEvent, directory: Directory) -> Meaning:
    """What one log means."""
    log = Log(address, (), "0x", BLOCK.number, BLOCK.hash, TX, 0, 0)
    return interpret(BLOCK, [(log, event)], directory, Legs(), CHAIN)


BEFORE, NOW = account(EURO, OLD_ROLES), account(DOLLAR, NEW_ROLES)
"""The holder changed the currency: another token, with a Roles modifier of its own, on the same Safe behind the same Delay."""
BOTH = {BEFORE.account_id, NOW.account_id}


@pytest.fixture(params=[(BEFORE, NOW), (NOW, BEFORE)], ids=["one order", "the other"])
def directory(request: pytest.FixtureRequest) -> Directory:
    return Directory.of(request.param)


def told(meaning: Meaning, kind: type[ConsumeAllowance | ObserveAllowance | QueueWithdrawal]) -> set[UUID]:
    """The accounts that are told of such a fact."""
    return {fact.account_id for fact in meaning.facts if isinstance(fact, kind)}


def test_what_enters_the_delay_queue_holds_every_account_of_the_safe_back(directory: Directory) -> None:
    queued = chain.TransactionAdded(0, "0x" + "77" * 32, EURO, 0, "0x", 0)
    assert told(meaning_of(DELAY, queued, directory), QueueWithdrawal) == BOTH


def test_a_module_of_the_safe_matters_to_every_account_of_it(directory: Directory) -> None:
    assert meaning_of(SAFE, chain.EnabledModule("0x" + "9" * 40), directory).reread == BOTH


def test_a_roles_modifier_speaks_for_its_own_account(directory: Directory) -> None:
    used, limit = chain.ConsumeAllowance(KEY, 5, 95), chain.SetAllowance(KEY, 9, 9, 9, 86_400, 0)
    assert told(meaning_of(OLD_ROLES, used, directory), ConsumeAllowance) == {BEFORE.account_id}
    assert told(meaning_of(NEW_ROLES, limit, directory), ObserveAllowance) == {NOW.account_id}


def test_an_allowance_that_two_accounts_share_is_used_for_both() -> None:
    shared = Directory.of([account(EURO, OLD_ROLES), account(DOLLAR, OLD_ROLES)])
    assert told(meaning_of(OLD_ROLES, chain.ConsumeAllowance(KEY, 5, 95), shared), ConsumeAllowance) == BOTH


def test_an_account_is_told_nothing_of_what_was_before_it(directory: Directory) -> None:
    young = Directory.of([BEFORE, account(DOLLAR, NEW_ROLES, opening_block=BLOCK.number)])
    assert meaning_of(SAFE, chain.ChangedThreshold(1), young).reread == {BEFORE.account_id}


def test_an_account_that_is_added_again_is_told_once(directory: Directory) -> None:
    directory.add(NOW)
    queued = chain.TransactionAdded(0, "0x" + "77" * 32, EURO, 0, "0x", 0)
    assert len(meaning_of(DELAY, queued, directory).facts) == 2
