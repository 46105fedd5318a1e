"""Limits, spends and accounts as the real contracts have them: what accrues, what is consumed or refused, what account-kit says of it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

import pytest

from connectors.chain.accounts.integrity import integrity
from connectors.chain.contracts import events as on_chain
from connectors.chain.contracts.calls import salt_of, spend_call
from connectors.chain.contracts.events import TOPICS
from connectors.chain.node.errors import CallReverted
from connectors.chain.node.rpc import Rpc
from connectors.chain.sending.signing import Signer, TransactionOrder, sign_spend
from infra.devchain.chain import COOLDOWN_SECONDS, DevChain
from infra.devchain.values import AccountInfo
from tests.chain_fixtures import contracts_of, devchain, reader_of
from tests.contract.customers import EURO, account, receipt_of, stored, told

__all__ = ["account", "devchain"]


def test_our_accrual_is_the_contracts_through_spends_and_days(devchain: DevChain) -> None:
    (account,) = devchain.create_accounts(1, refill=100 * EURO, period_seconds=1_000)
    devchain.wait_receipts([devchain.mint(account.safe, 10_000 * EURO)])
    ours = stored(devchain, account)
    for wait, amount in ((10, 30), (500, 50), (600, 99), (2_500, 1), (0, 100), (999, 1), (1, 40), (5_000, 0)):
        devchain.advance_time(wait or 1)
        receipt = receipt_of(devchain, devchain.spend(account, amount * EURO))
        header = Rpc([devchain.rpc_url]).block(receipt.block_number)
        assert header is not None
        accrued = ours.accrued(header.time)
        assert receipt.succeeded == (amount * EURO <= accrued.balance)
        if receipt.succeeded:
            ours = ours.consumed(amount * EURO, header.time)
        assert stored(devchain, account) == ours

        (judged,) = devchain.account_query([account.safe])
        assert judged["allowance"]["balance"] == str(ours.accrued(header.time).balance)
        assert judged["allowance"]["nextRefill"] == str(ours.next_refill(header.time))


def test_the_hash_we_know_a_spend_by_is_the_one_the_contract_consumes(devchain: DevChain, account: AccountInfo) -> None:
    at = devchain.deployment
    delegate, leg = Signer(at.delegate_key), uuid4()
    call = spend_call(at.asset, account.roles, at.settlement, EURO)
    signed = sign_spend(delegate, at.chain_id, at.spender_module, call, salt_of(leg))
    theirs = devchain.read(at.spender_module, "moduleTxHash(bytes,bytes32)", "bytes32", call, salt_of(leg))
    assert signed.hash == theirs
    consumed = at.spender_module, "consumed(address,bytes32)", "bool", delegate.address, signed.hash
    assert not devchain.read(*consumed)

    sent = devchain.send(at.relayer_key, at.spender_module, signed.call_data)

    assert told(devchain, sent)[0][1] == on_chain.HashExecuted("0x" + signed.hash.hex())
    assert devchain.read(*consumed)


def test_our_signed_spend_is_account_kits_byte_for_byte(devchain: DevChain, account: AccountInfo) -> None:
    at, salt = devchain.deployment, secrets.token_bytes(32)
    theirs = devchain.script(
        "spend",
        chainId=at.chain_id,
        account=account.safe,
        spenderSafe=at.spender_safe,
        delegateKey=at.delegate_key,
        salt="0x" + salt.hex(),
        asset=at.asset,
        receiver=at.settlement,
        amount=str(3 * EURO),
    )
    call = spend_call(at.asset, account.roles, at.settlement, 3 * EURO)
    ours = sign_spend(Signer(at.delegate_key), at.chain_id, at.spender_module, call, salt)
    assert (theirs["to"], theirs["data"]) == (at.spender_module, "0x" + ours.call_data.hex())


def test_a_signed_spend_is_carried_out_once_whoever_relays_it(devchain: DevChain, account: AccountInfo) -> None:
    at = devchain.deployment
    data = devchain.signed_spend(account, EURO, salt=salt_of(uuid4()))
    before = devchain.balance(account.safe)
    keys = (at.relayer_key, at.outsider_key, account.owner_key)
    receipts = [receipt_of(devchain, devchain.send(key, at.spender_module, data)) for key in keys]

    assert [r.succeeded for r in receipts] == [True, False, False]
    assert devchain.balance(account.safe) == before - EURO
    with pytest.raises(CallReverted) as refusal:
        Rpc([devchain.rpc_url]).eth_call(at.spender_module, data)
    assert refusal.value.said == "HashAlreadyConsumed(bytes32)"


def test_a_salt_does_not_bind_a_sender_that_is_an_enabled_module(devchain: DevChain, account: AccountInfo) -> None:
    at = devchain.deployment
    data = devchain.signed_spend(account, EURO)
    before = devchain.balance(account.safe)
    devchain.wait_receipts([devchain.send(at.delegate_key, at.spender_module, data) for _ in range(2)])
    assert devchain.balance(account.safe) == before - 2 * EURO, "so a delegate must never send"
    reader = reader_of(devchain)
    assert reader.is_enabled(at.delegate) and not reader.is_enabled(at.relayer)


def test_an_invalidated_spend_is_refused_for_ever(devchain: DevChain, account: AccountInfo) -> None:
    at, salt = devchain.deployment, salt_of(uuid4())
    call = spend_call(at.asset, account.roles, at.settlement, EURO)
    signed = sign_spend(Signer(at.delegate_key), at.chain_id, at.spender_module, call, salt)
    sent = devchain.send(at.delegate_key, at.spender_module, devchain.call("invalidate(bytes32)", signed.hash))
    assert told(devchain, sent) == [(at.spender_module.lower(), on_chain.HashInvalidated("0x" + signed.hash.hex()))]
    assert not receipt_of(devchain, devchain.send(at.relayer_key, at.spender_module, signed.call_data)).succeeded


def test_our_transaction_is_mined_as_signed(devchain: DevChain, account: AccountInfo) -> None:
    at, rpc = devchain.deployment, Rpc([devchain.rpc_url])
    relayer, fees = Signer(at.relayer_key), rpc.fees()
    order = TransactionOrder(
        chain_id=at.chain_id,
        nonce=rpc.nonce(relayer.address),
        to=at.spender_module,
        data=devchain.signed_spend(account, EURO),
        gas=400_000,
        max_fee_wei=fees.cap_wei(),
        tip_wei=fees.tip_wei,
    )
    signed = relayer.sign_transaction(order)
    assert rpc.send_raw(signed.raw) == signed.hash
    (receipt,) = devchain.wait_receipts([signed.hash])
    assert receipt["from"] == relayer.address == signed.sender


def verdicts(chain: DevChain, accounts: Sequence[AccountInfo], cooldown: int = COOLDOWN_SECONDS) -> list[str]:
    """Our verdicts, which must be account-kit's, with the Bouncer known and with it found out.

    Save where there is no contract at all: its decoding fails then, and it says UnexpectedError; we say what is missing.
    """
    theirs = [one["status"] for one in chain.account_query([a.safe for a in accounts], cooldown_seconds=cooldown)]
    theirs = ["SafeNotDeployed" if word == "UnexpectedError" else word for word in theirs]
    for bouncer in (True, False):
        readings = reader_of(chain).read([contracts_of(chain, a, bouncer=bouncer) for a in accounts])
        assert [integrity(reading, cooldown) for reading in readings] == theirs
    return theirs


def test_integrity_is_what_account_kit_says(devchain: DevChain) -> None:
    fine, queued, owned = devchain.create_accounts(3)
    (short,) = devchain.create_accounts(1, cooldown_seconds=60)
    nobody = "0x" + "ab" * 20
    unmade = AccountInfo(nobody, nobody, nobody, nobody, nobody, owner_key="0x" + "11" * 32)
    asked = devchain.enqueue_withdrawal(queued, devchain.deployment.relayer, 0)
    devchain.wait_receipts([asked.sent])
    added = devchain.enqueue(owned, owned.safe, devchain.call("addOwnerWithThreshold(address,uint256)", owned.owner, 1))
    devchain.wait_receipts([added.sent])
    devchain.advance_time(COOLDOWN_SECONDS + 1)
    devchain.wait_receipts([devchain.execute(added)])

    said = verdicts(devchain, [fine, queued, short, owned, unmade])

    assert said == ["Ok", "DelayQueueNotEmpty", "DelayMisconfigured", "SafeMisconfigured", "SafeNotDeployed"]
    devchain.wait_receipts([devchain.execute(asked)])
    assert verdicts(devchain, [queued]) == ["Ok"]


def test_a_safe_that_is_not_set_up_and_one_with_another_module_are_misconfigured(devchain: DevChain) -> None:
    (account,) = devchain.create_accounts(1)
    bare = replace(account, safe=devchain.deployment.spender_safe)
    asked = devchain.enqueue(account, account.safe, devchain.call("enableModule(address)", account.owner))
    devchain.wait_receipts([asked.sent])
    devchain.advance_time(COOLDOWN_SECONDS + 1)
    devchain.wait_receipts([devchain.execute(asked)])
    assert verdicts(devchain, [account, bare]) == ["SafeMisconfigured"] * 2


def test_a_delay_that_the_safe_gave_away_is_misconfigured(devchain: DevChain) -> None:
    (account,) = devchain.create_accounts(1)
    asked = devchain.enqueue(account, account.delay, devchain.call("transferOwnership(address)", account.owner))
    devchain.wait_receipts([asked.sent])
    devchain.advance_time(COOLDOWN_SECONDS + 1)
    devchain.wait_receipts([devchain.execute(asked)])
    assert verdicts(devchain, [account]) == ["DelayMisconfigured"]


def test_a_reading_is_of_the_block_it_was_asked_for(devchain: DevChain, account: AccountInfo) -> None:
    rpc, reader = Rpc([devchain.rpc_url]), reader_of(devchain)
    before = rpc.block("latest")
    assert before is not None
    devchain.wait_receipts([devchain.spend(account, 8 * EURO)])
    for at in (before.hash, before.number):
        (reading,) = reader.read([contracts_of(devchain, account)], at)
        assert (reading.balance_raw, reading.block_time) == (500 * EURO, before.time)
    (reading,) = reader.read([contracts_of(devchain, account)])
    assert reading.balance_raw == 492 * EURO


def test_many_accounts_are_read_in_few_calls(devchain: DevChain) -> None:
    accounts = devchain.create_accounts(3) * 40
    readings = reader_of(devchain).read([contracts_of(devchain, a, bouncer=False) for a in accounts])
    assert [integrity(reading, COOLDOWN_SECONDS) for reading in readings] == ["Ok"] * 120


def test_every_topic_we_watch_is_one_that_was_seen_or_is_known_not_to_be(
    devchain: DevChain, account: AccountInfo
) -> None:
    devchain.wait_receipts([devchain.spend(account, EURO)])
    seen = {log.topics[0] for log in Rpc([devchain.rpc_url]).logs(0, devchain.head)}
    never_here = (
        *(
            on_chain.TxNonceSet,
            on_chain.TxCooldownSet,
            on_chain.TxExpirationSet,
        ),  # the packaged Delay is an older build
        on_chain.ExecutionFailure,
        on_chain.ExecutionFromModuleFailure,
        on_chain.DisabledModule,
        on_chain.ChangedThreshold,
        on_chain.SafeReceived,
    )
    assert {TOPICS[event] for event in TOPICS if event not in never_here} <= seen


@pytest.mark.parametrize(
    ("refill", "waits"),
    [(2**128 - 1, (1, 1_001)), (2**127, (1, 1_001, 2_001))],
    ids=["one refill too much", "two refills too much"],
)
def test_what_the_contract_cannot_count_it_refuses_and_we_do_not_promise(
    devchain: DevChain, refill: int, waits: tuple[int, ...]
) -> None:
    """Its numbers have 128 bits: a limit without bound lets nothing through once a refill would pass that."""
    (account,) = devchain.create_accounts(1, refill=refill, period_seconds=1_000)
    devchain.wait_receipts([devchain.mint(account.safe, 100 * EURO)])
    for wait in waits:
        devchain.advance_time(wait)
        before = stored(devchain, account)
        receipt = receipt_of(devchain, devchain.spend(account, EURO))
        header = Rpc([devchain.rpc_url]).block(receipt.block_number)
        assert header is not None
        assert receipt.succeeded == (before.accrued(header.time).balance >= EURO), (wait, before)
