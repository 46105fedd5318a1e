"""Anybody may make a modifier and say that it acts for somebody's Safe. What a Safe has enabled, its modules alone say."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from uuid import UUID

import pytest
from eth_abi import encode

from connectors.chain.accounts.request import Request
from infra.devchain.values import AccountInfo
from infra.errors import BadInput
from infra.stack.supervisor import Stack
from streams.domain import ids
from tests.integration.customers import FINAL, Shore
from tests.integration.little_river import EUR, LittleRiver

GUARDS = "SELECT roles_module, delay_module FROM chain_wallets WHERE wallet = %s"


@pytest.fixture(scope="module")
def at() -> Iterator[Shore]:
    with Stack(servers=("write", "read", "node"), components=()) as stack:
        made = Shore(LittleRiver(stack, discovery=True))
        made.settle()
        yield made


def impostor(at: Shore, kind: str, safe: str) -> None:
    """A modifier of a stranger's, made by the known factory from the known build; its avatar is the Safe."""
    chain, stranger = at.river.chain, "0x" + "de" * 20
    told = [stranger, safe, stranger] + ([180, 0] if kind == "delay" else [])
    types = ["address", "address", "address"] + (["uint256", "uint256"] if kind == "delay" else [])
    set_up = chain.call("setUp(bytes)", encode(types, told))
    data = chain.call(
        "deployModule(address,bytes,uint256)",
        getattr(chain.deployment, f"{kind}_mastercopy"),
        set_up,
        secrets.randbits(64),
    )
    at.mined(chain.send(chain.deployment.outsider_key, at.river.settings.discovery.module_factory, data))


def must_be_followed(at: Shore, account: AccountInfo) -> None:
    at.settle()
    assert at.rows(GUARDS, account.safe) == [(account.roles, account.delay)]
    assert at.audit().differences == ()


@pytest.mark.parametrize("kind", ["delay", "roles"])
def test_a_strangers_modifier_changes_nothing_for_an_account_that_is_followed(at: Shore, kind: str) -> None:
    """It was judged anew, and the listener ended over another registration of the same account, for ever."""
    (ana,) = at.river.chain.create_accounts(1)
    must_be_followed(at, ana)
    impostor(at, kind, ana.safe)
    must_be_followed(at, ana)
    at.mined(at.river.chain.mint(ana.safe, 5 * EUR))
    must_be_followed(at, ana)


@pytest.mark.parametrize("kind", ["delay", "roles"])
def test_an_account_is_found_with_what_it_has_enabled_though_a_stranger_was_quicker(at: Shore, kind: str) -> None:
    at.river.flow(FINAL)
    (bo,) = at.river.chain.create_accounts(1)
    impostor(at, kind, bo.safe)
    must_be_followed(at, bo)


def test_no_wallet_is_followed_because_strangers_modifiers_name_it(at: Shore) -> None:
    """They may let our spender pay settlement, from a Safe of theirs: the wallet that they name has enabled neither."""
    (mallory,) = at.river.chain.create_accounts(1)
    must_be_followed(at, mallory)
    for kind in ("roles", "delay"):
        impostor(at, kind, at.river.deployment.relayer)
    at.settle()
    assert at.rows(GUARDS, at.river.deployment.relayer) == []
    assert at.audit().differences == ()


BURNS, FLOODS = "0x5b600056", "0x621000006000f3"
"""Codes that use up all the gas they are given, and that answer a mebibyte."""


@pytest.mark.parametrize("code", [BURNS, FLOODS], ids=["burns all gas", "answers a mebibyte"])
def test_a_contract_that_uses_up_what_all_share_changes_nothing_for_the_others(at: Shore, code: str) -> None:
    """Twenty accounts are asked in one call; the listener ended where one of them left no gas, and the others were told not to be in order."""
    others = at.river.chain.create_accounts(3)
    (mallory,) = at.river.chain.create_accounts(1)
    for each in (*others, mallory):
        must_be_followed(at, each)
    before = at.river.chain.ask("eth_getCode", mallory.safe, "latest")
    at.river.chain.ask("anvil_setCode", mallory.safe, code)
    for _ in range(12):
        at.river.listener.drift._not_before = 0.0
        at.river.flow(FINAL)
    assert integrity(at, mallory) != "Ok"
    assert {integrity(at, each) for each in others} == {"Ok"}
    for each in others:
        assert at.types(account_of(at, each), "Integrity") == ["IntegrityObserved"], "none but the one when it was made"
    at.river.chain.ask("anvil_setCode", mallory.safe, before)
    for _ in range(12):
        at.river.listener.drift._not_before = 0.0
        at.river.flow(FINAL)


def account_of(at: Shore, account: AccountInfo) -> UUID:
    return ids.account_id(at.river.settings.chain_id, account.safe, at.river.deployment.token)


def integrity(at: Shore, account: AccountInfo) -> str:
    return str(at.state(account_of(at, account)).integrity)


def test_whoever_dies_between_registering_and_remembering_finds_the_account_once(
    at: Shore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is judged again at another final block, and what was recorded stays."""

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    (eve,) = at.river.chain.create_accounts(1)
    with monkeypatch.context() as deadly, pytest.raises(KeyboardInterrupt):
        deadly.setattr("connectors.chain.accounts.modules.asked", dies)
        at.settle()
    must_be_followed(at, eve)


@pytest.mark.parametrize(
    "wallet",
    ["nan", "\u0663", "0x12", "9" * 5000, "0x" + "00" * 20],
    ids=["a word", "a digit", "short", "long", "nobody"],
)
def test_what_is_no_address_is_not_registered(at: Shore, wallet: str) -> None:
    token = at.river.settings.tokens[0]
    with pytest.raises(BadInput, match="address"):
        at.river.registrar("operator").register(
            Request(wallet, token, roles_module=wallet, delay_module=wallet), "test"
        )
    with pytest.raises(BadInput, match="address"):
        at.river.registrar("operator").account_of(wallet, token)


def test_an_address_whose_letters_were_typed_in_the_wrong_case_is_a_slip_of_the_pen(at: Shore) -> None:
    (ana,) = at.river.chain.create_accounts(1)
    at.settle()
    slipped = ana.safe[:-1] + ("0" if ana.safe[-1] != "0" else "1")
    with pytest.raises(BadInput, match="checksum"):
        at.river.registrar("operator").account_of(slipped, at.river.settings.tokens[0])
