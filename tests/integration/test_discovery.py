"""Pointed at a chain full of accounts that others made with account-kit, the listener finds them all, with all that happened to them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from uuid import UUID

import pytest
from eth_account import Account
from eth_utils.address import to_checksum_address as checksummed

from connectors.chain.accounts.request import Request
from infra.devchain.values import NEWER, AccountInfo, Mastercopies
from infra.errors import BadInput
from infra.stack.supervisor import Stack
from streams.domain import ids
from tests.integration.customers import Shore
from tests.integration.little_river import EUR, LittleRiver

ACCOUNTS = 4


@pytest.fixture(scope="module", params=[False, True], ids=["plain token", "twin token"])
def at(request: pytest.FixtureRequest) -> Iterator[Shore]:
    """A chain with a history, and a river that has never looked at it."""
    with Stack(servers=("write", "read", "node"), components=()) as stack:
        made = Shore(LittleRiver(stack, discovery=True, twin=request.param))
        made.unused = made.river.chain.create_accounts(ACCOUNTS)
        _live(made, made.unused)
        made.river.chain.mine(200)
        made.settle()
        yield made


@pytest.fixture(autouse=True)
def _mining_goes_on(at: Shore) -> Iterator[None]:
    yield
    at.river.chain.automine()


def _live(at: Shore, accounts: list[AccountInfo]) -> None:
    """Top-ups, spends, a refund, a limit changed, a withdrawal carried out and one that waits."""
    chain = at.river.chain
    ana, bo, eve, _ = accounts
    at.mined(*(chain.mint(each.safe, 500 * EUR) for each in accounts))
    at.mined(chain.spend(ana, 30 * EUR), chain.spend(ana, 5 * EUR), chain.spend(bo, 7 * EUR))
    at.mined(chain.refund(ana, 4 * EUR))
    chain.set_limit(bo, 2_000 * EUR)
    asked = chain.enqueue_withdrawal(bo, chain.deployment.settlement, 9 * EUR)
    at.mined(asked.sent)
    chain.advance_time(181)
    at.mined(chain.execute_withdrawal(asked))
    at.mined(chain.enqueue_withdrawal(eve, chain.deployment.settlement, EUR).sent)


def account_id(at: Shore, account: AccountInfo) -> UUID:
    return ids.account_id(at.river.settings.chain_id, account.safe, at.river.deployment.token)


def must_be_what_account_kit_says(at: Shore, *accounts: AccountInfo, mastercopies: Mastercopies | None = None) -> None:
    """Status, allowance with its next refill, balance: account-kit's own `accountQuery`, at the final block that was booked."""
    ((final,),) = at.rows("SELECT final_number FROM chain_cursors")
    safes = [each.safe for each in accounts]
    said = at.river.chain.account_query(safes, block=hex(final), mastercopies=mastercopies)
    block = at.river.rpc.block(final)
    assert block is not None
    for account, kit in zip(accounts, said, strict=True):
        ours = at.state(account_id(at, account))
        status = ours.integrity if ours.queue_empty or ours.integrity != "Ok" else "DelayQueueNotEmpty"
        assert status == kit["status"], account.safe
        told = kit["allowance"]
        if told is not None:
            accrued = ours.allowances.final.accrued(block.time)
            assert accrued.balance == int(told["balance"]), account.safe
            assert (accrued.refill, accrued.period_seconds) == (int(told["refill"]), int(told["period"]))
        assert ours.final_raw == at.river.chain.balance(account.safe), account.safe


def test_every_account_is_found_with_its_history_limits_queue_and_balance(at: Shore) -> None:
    must_be_what_account_kit_says(at, *at.unused)
    ana, bo, eve, _ = at.unused
    assert at.state(account_id(at, bo)).allowances.final.refill == 2_000 * EUR
    assert not at.state(account_id(at, eve)).queue_empty
    assert [at.saga(each) for each in at.payments(account_id(at, ana))] == [("settled", None)] * 2
    kinds = [each.kind for each in at.events(account_id(at, ana)) if type(each).__name__ == "TransferFinalized"]
    assert kinds == ["mint", "spend", "spend", "refund"]
    settlement = at.state(ids.account_id(100, at.river.deployment.settlement, at.river.deployment.token))
    assert settlement.final_raw == at.river.chain.balance(at.river.deployment.settlement)
    assert at.audit().differences == ()


def test_the_history_was_read_in_bulk_and_no_block_was_kept_for_it(at: Shore) -> None:
    ((most,),) = at.rows("SELECT max(skipped) FROM chain_blocks")
    assert most > 50


def test_an_account_made_while_we_follow_is_found_when_it_is_final_and_not_before(at: Shore) -> None:
    chain = at.river.chain
    (fay,) = chain.create_accounts(1)
    at.mined(chain.mint(fay.safe, 50 * EUR), chain.spend(fay, 3 * EUR))
    at.river.flow()
    assert at.rows("SELECT state FROM chain_wallets WHERE wallet = %s", fay.safe) == []
    at.settle()
    must_be_what_account_kit_says(at, fay)
    assert at.types(account_id(at, fay)).count("TransferFinalized") == 2
    assert at.audit().differences == ()


def test_what_lay_at_the_address_before_the_account_was_made_is_its_opening_balance(at: Shore) -> None:
    chain = at.river.chain
    (known,) = chain.create_accounts(1)
    chain.stop_mining()
    later = _account_that_is_paid_before(at)
    chain.automine()
    at.settle()
    assert at.state(account_id(at, later)).final_raw == chain.balance(later.safe) == 11
    assert at.events(account_id(at, later))[0].opening_balance_raw == 11
    must_be_what_account_kit_says(at, known, later)


def _account_that_is_paid_before(at: Shore) -> AccountInfo:
    """Its Safe's making is taken back by a reorg, somebody pays to the address that all know by now, and it is made again."""
    chain = at.river.chain
    chain.automine()
    at.mined(chain.mint(_address(chain.deployment.outsider_key), 11))
    before = chain.head
    (account,) = chain.create_accounts(1)
    chain.stop_mining()
    gone = chain.reorg(chain.head - before)
    paid = chain.transfer(chain.deployment.outsider_key, account.safe, 11)
    chain.mine()
    chain.wait_receipts([paid])
    for each in gone.dropped:
        chain.resend(each.raw)
        chain.mine()
    chain.wait_receipts(gone.dropped)
    return account


def test_accounts_of_both_generations_and_of_a_mixture_are_found_side_by_side(at: Shore) -> None:
    chain = at.river.chain
    older = Mastercopies(chain.deployment.roles_mastercopy, chain.deployment.delay_mastercopy)
    assert (older.roles, older.delay) != (NEWER.roles, NEWER.delay)
    for generation in (older, NEWER, Mastercopies(NEWER.roles, older.delay), Mastercopies(older.roles, NEWER.delay)):
        (gil,) = chain.create_accounts(1, mastercopies=generation)
        at.mined(chain.mint(gil.safe, 50 * EUR), chain.spend(gil, 3 * EUR))
        chain.set_limit(gil, 2_000 * EUR)
        at.mined(chain.enqueue_withdrawal(gil, chain.deployment.settlement, EUR).sent)
        at.settle()
        assert _pointed_to(at, gil.roles) == generation.roles and _pointed_to(at, gil.delay) == generation.delay
        must_be_what_account_kit_says(at, gil, mastercopies=generation)
        ours = at.state(account_id(at, gil))
        assert (ours.roles_module, ours.delay_module) == (gil.roles, gil.delay)
        assert (ours.final_raw, ours.allowances.final.refill, ours.queue_empty) == (47 * EUR, 2_000 * EUR, False)
    assert at.audit().differences == ()


def test_an_account_of_a_generation_that_nobody_told_us_of_is_not_followed(at: Shore) -> None:
    """We do not know what its code does: it is not even asked. With a modifier of either kind unknown, the wallet is told of, and not followed."""
    chain = at.river.chain
    older = Mastercopies(chain.deployment.roles_mastercopy, chain.deployment.delay_mastercopy)
    stranger = Mastercopies(_address("0x" + secrets.token_hex(32)), _address("0x" + secrets.token_hex(32)))
    for known, strange in ((older.roles, stranger.roles), (older.delay, stranger.delay)):
        chain.copy_code(known, strange)
    (unknown,) = chain.create_accounts(1, mastercopies=stranger)
    (no_roles,) = chain.create_accounts(1, mastercopies=Mastercopies(stranger.roles, NEWER.delay))
    (no_delay,) = chain.create_accounts(1, mastercopies=Mastercopies(NEWER.roles, stranger.delay))
    at.mined(*(chain.mint(each.safe, EUR) for each in (unknown, no_roles, no_delay)), chain.spend(unknown, EUR // 2))
    at.settle()
    for each in (unknown, no_roles, no_delay):
        assert at.rows("SELECT wallet FROM chain_wallets WHERE wallet = %s", each.safe) == []
    assert [_verdicts(at, each) for each in (unknown, no_roles, no_delay)] == [
        [],
        [("its wallet has enabled no Roles modifier that we know",)],
        [("its wallet has enabled no Delay modifier that we know",)],
    ]
    assert at.audit().differences == ()


def _pointed_to(at: Shore, proxy: str) -> str:
    """What an EIP-1167 proxy points to: its code is ten bytes, the address, and the rest."""
    code = bytes(at.river.chain.w3.eth.get_code(proxy))
    return checksummed("0x" + code[10:30].hex())


def _verdicts(at: Shore, account: AccountInfo) -> list[tuple[str, ...]]:
    modules = [account.roles.lower(), account.delay.lower()]
    return at.rows("SELECT verdict FROM chain_modules WHERE module = ANY(%s)", modules)


@pytest.mark.parametrize("other", ["asset", "spenderSafe"])
def test_an_account_of_another_programme_is_nobodys_of_ours(at: Shore, other: str) -> None:
    """The same contracts, made by the same factory: but they let another spender pay, or another token be paid."""
    chain = at.river.chain
    told = {
        "spenderSafe": chain.deployment.spender_safe,
        "asset": chain.deployment.asset,
        other: chain.deployment.relayer,
    }
    made = chain.script(
        "accounts",
        owners=["0x" + secrets.token_hex(32)],
        deployer=_address(chain.deployment.deployer_key),
        settlement=chain.deployment.settlement,
        **told,
        allowance={"refill": str(EUR), "period": 60},
        delay={"cooldown": 180, "expiration": 600},
    )
    at.settle()
    wallet = made[0]["safe"]
    assert at.rows("SELECT wallet FROM chain_wallets WHERE wallet = %s", wallet) == []
    ((verdict,),) = at.rows("SELECT DISTINCT verdict FROM chain_modules WHERE wallet = %s", wallet.lower())
    assert verdict == "does not let our spender pay settlement"
    named = Request(wallet, at.river.settings.tokens[0], roles_module=made[0]["roles"], delay_module=made[0]["delay"])
    with pytest.raises(BadInput, match=r"does not let our spender pay settlement, and it alone, in EURe"):
        at.river.registrar("operator").register(named, "test")


def test_a_card_is_bound_later_by_command_and_pays(at: Shore) -> None:
    account = at.unused[3]
    registrar, token = at.river.registrar("operator"), at.river.settings.tokens[0]
    found = registrar.account_of(account.safe, token)
    registrar.bind_card(found, "card-later", "test")
    registrar.bind_card(found, "card-later", "test")
    with pytest.raises(BadInput, match="has one card"):
        registrar.bind_card(found, "card-other", "test")
    with pytest.raises(BadInput, match="is account"):
        registrar.bind_card(account_id(at, at.unused[0]), "card-later", "test")
    at.river.flow(1)
    assert at.river.authorize("later", "card-later", 1_000).approved
    at.settle()
    assert at.state(found).final_raw == at.river.chain.balance(account.safe) == 490 * EUR
    assert at.audit().differences == ()


def _address(key: str) -> str:
    return str(Account.from_key(key).address)
