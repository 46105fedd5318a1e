"""What the real contracts do, and what we make of it: every log sequence, the allowance, the consumed hash, integrity.

The node is a real anvil with the real Safe, Roles and Delay; accounts are made by account-kit, and account-kit judges.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from chain_fixtures import contracts_of, devchain, reader_of, running_devchain, settings_of
from web3 import Web3

from connectors.chain import events as on_chain
from connectors.chain.abi import ZERO_ADDRESS, topic
from connectors.chain.calls import salt_of, spend_call, spend_hash
from connectors.chain.chain_values import Receipt
from connectors.chain.decode import decode, decode_all
from connectors.chain.events import TOPICS
from connectors.chain.integrity import integrity
from connectors.chain.logs import Log
from connectors.chain.reading import stored_allowance
from connectors.chain.rpc import Rpc
from connectors.chain.rpc_errors import CallReverted
from connectors.chain.signing import Signer, TransactionOrder, sign_spend
from infra.devchain.chain import COOLDOWN_SECONDS, DevChain
from infra.devchain.values import AccountInfo, Sent
from streams.domain.allowance import UINT128_MAX, Allowance

EURO = 10**18
DAY = 86_400

__all__ = ["devchain"]


@pytest.fixture
def account(devchain: DevChain) -> AccountInfo:
    """An account with 500 tokens and a limit of 1,000 a day."""
    (made,) = devchain.create_accounts(1)
    devchain.wait_receipts([devchain.mint(made.safe, 500 * EURO)])
    return made


def receipt_of(chain: DevChain, sent: Sent) -> Receipt:
    chain.wait_receipts([sent], good=False)
    receipt = Rpc([chain.rpc_url]).receipt(sent.hash)
    assert receipt is not None
    return receipt


def told(chain: DevChain, sent: Sent) -> list[tuple[str, Any]]:
    """(emitter, event) of each log that the transaction left, decoded by us."""
    done = decode_all(receipt_of(chain, sent).logs)
    assert not done.malformed
    return [(log.address, event) for log, event in done.events]


def low(*addresses: str) -> tuple[str, ...]:
    return tuple(address.lower() for address in addresses)


def stored(chain: DevChain, account: AccountInfo) -> Allowance:
    (reading,) = reader_of(chain).read([contracts_of(chain, account)])
    assert reading.allowance is not None
    return reading.allowance


# -- logs


def test_a_spend_leaves_six_logs_from_five_emitters_in_this_order(devchain: DevChain, account: AccountInfo) -> None:
    at, salt = devchain.deployment, secrets.token_bytes(32)
    sent = devchain.spend(account, 7 * EURO, salt=salt)

    call = spend_call(at.asset, account.roles, at.settlement, 7 * EURO)
    consumed = "0x" + spend_hash(at.chain_id, at.spender_module, call, salt).hex()
    token, safe, roles, module, owner = low(at.token, account.safe, account.roles, at.spender_module, at.spender_safe)
    assert told(devchain, sent) == [
        (module, on_chain.HashExecuted(consumed)),
        (token, on_chain.Transfer(safe, at.settlement.lower(), 7 * EURO)),
        (safe, on_chain.ExecutionFromModuleSuccess(roles)),
        (roles, on_chain.ConsumeAllowance(settings_of(devchain).spending_allowance_key, 7 * EURO, 993 * EURO)),
        (owner, on_chain.ExecutionFromModuleSuccess(module)),
        (module, on_chain.Spend(at.asset.lower(), roles, at.settlement.lower(), 7 * EURO)),
    ]


def test_with_a_twin_token_the_front_repeats_the_transfer_right_after_it() -> None:
    with running_devchain(twin=True) as chain:
        (made,) = chain.create_accounts(1)
        chain.wait_receipts([chain.mint(made.safe, 10 * EURO)])
        logs = told(chain, chain.spend(made, 3 * EURO))
        token, front = low(chain.deployment.token, chain.deployment.twin or "")

        assert len(logs) == 7
        moved = on_chain.Transfer(made.safe.lower(), chain.deployment.settlement.lower(), 3 * EURO)
        assert logs[1:3] == [(token, moved), (front, moved)]
        spend = logs[-1][1]
        assert isinstance(spend, on_chain.Spend) and spend.asset == front
        assert settings_of(chain).tokens[0].asset == chain.deployment.asset


def test_a_spend_beyond_limit_or_balance_reverts_without_a_log(devchain: DevChain, account: AccountInfo) -> None:
    for amount in (1_001 * EURO, 501 * EURO):
        receipt = receipt_of(devchain, devchain.spend(account, amount))
        assert (receipt.succeeded, receipt.logs) == (False, ())


def test_refund_and_top_up_are_one_transfer_each(devchain: DevChain, account: AccountInfo) -> None:
    at = devchain.deployment
    devchain.wait_receipts([devchain.spend(account, 5 * EURO)])
    before = stored(devchain, account)
    token, safe = low(at.token, account.safe)

    assert told(devchain, devchain.mint(account.safe, 1)) == [(token, on_chain.Transfer(ZERO_ADDRESS, safe, 1))]
    refund = told(devchain, devchain.refund(account, 2 * EURO))
    assert refund == [(token, on_chain.Transfer(at.settlement.lower(), safe, 2 * EURO))]
    assert stored(devchain, account) == before, "a refund does not restore the allowance"


def test_a_transfer_of_nothing_is_legal_and_logged(devchain: DevChain, account: AccountInfo) -> None:
    sent = devchain.transfer(devchain.deployment.outsider_key, account.safe, 0)
    ((_, event),) = told(devchain, sent)
    assert isinstance(event, on_chain.Transfer) and event.amount_raw == 0


def test_a_withdrawal_is_queued_waits_and_moves_money(devchain: DevChain, account: AccountInfo) -> None:
    at = devchain.deployment
    asked = devchain.enqueue_withdrawal(account, at.relayer, 4 * EURO)
    token, safe, delay = low(at.token, account.safe, account.delay)
    ((emitter, queued),) = told(devchain, asked.sent)
    assert isinstance(queued, on_chain.TransactionAdded)
    assert (emitter, queued.queue_nonce, queued.target, queued.operation) == (delay, 0, token, 0)
    assert queued.data == "0x" + asked.data.hex()

    assert not receipt_of(devchain, devchain.execute(asked)).succeeded, "too early"
    devchain.advance_time(COOLDOWN_SECONDS + 1)
    assert told(devchain, devchain.execute(asked)) == [
        (token, on_chain.Transfer(safe, at.relayer.lower(), 4 * EURO)),
        (safe, on_chain.ExecutionFromModuleSuccess(delay)),
    ]


def test_a_limit_change_tells_its_arguments_and_stores_the_blocks_time(
    devchain: DevChain, account: AccountInfo
) -> None:
    sent = devchain.set_limit(account, 70 * EURO, 2 * DAY)
    (emitter, event), (safe, executed) = told(devchain, sent)
    assert (emitter, safe) == low(account.roles, account.safe)
    assert executed == on_chain.ExecutionFromModuleSuccess(account.delay.lower())
    assert isinstance(event, on_chain.SetAllowance)
    header = Rpc([devchain.rpc_url]).block(receipt_of(devchain, sent).block_number)
    assert header is not None
    assert stored_allowance(event, header.time) == stored(devchain, account)
    assert stored(devchain, account) == Allowance(70 * EURO, 70 * EURO, 70 * EURO, 2 * DAY, header.time)


def test_a_limit_without_a_maximum_is_stored_with_the_greatest_number(devchain: DevChain, account: AccountInfo) -> None:
    key = settings_of(devchain).spending_allowance_key
    signature = "setAllowance(bytes32,uint128,uint128,uint128,uint64,uint64)"
    call = devchain.call(signature, key, 5 * EURO, 0, EURO, 100, 0)
    asked = devchain.enqueue(account, account.bouncer, call)
    devchain.wait_receipts([asked.sent])
    devchain.advance_time(COOLDOWN_SECONDS + 1)
    sent = devchain.execute(asked)
    event = told(devchain, sent)[0][1]
    assert isinstance(event, on_chain.SetAllowance)
    header = Rpc([devchain.rpc_url]).block(receipt_of(devchain, sent).block_number)
    assert header is not None
    assert stored(devchain, account).max_refill == UINT128_MAX
    assert stored_allowance(event, header.time) == stored(devchain, account)


def test_an_expired_withdrawal_is_skipped_without_a_log(devchain: DevChain) -> None:
    (account,) = devchain.create_accounts(1, expiration_seconds=60)
    devchain.wait_receipts([devchain.mint(account.safe, EURO)])
    asked = devchain.enqueue_withdrawal(account, devchain.deployment.relayer, EURO)
    devchain.wait_receipts([asked.sent])
    devchain.advance_time(COOLDOWN_SECONDS + 62)
    assert not receipt_of(devchain, devchain.execute(asked)).succeeded, "expired"
    (waiting,) = reader_of(devchain).read([contracts_of(devchain, account)])
    assert (waiting.next_nonce, waiting.queue_nonce, waiting.queue_empty) == (0, 1, False)

    receipt = receipt_of(devchain, devchain.skip_expired(account))

    assert (receipt.succeeded, receipt.logs) == (True, ())
    (reading,) = reader_of(devchain).read([contracts_of(devchain, account)])
    assert (reading.next_nonce, reading.queue_nonce, reading.queue_empty) == (1, 1, True)


SETUP_SEQUENCE = """
safe RemovedOwner, safe AddedOwner, safe EnabledModule, safe EnabledModule,
delay OwnershipTransferred, delay OwnershipTransferred, delay DelaySetup, factory ModuleProxyCreation, delay EnabledModule,
roles OwnershipTransferred, roles RolesModSetup, roles Initialized, factory ModuleProxyCreation,
roles SetAllowance, roles EnabledModule, roles AssignRoles, roles ScopeTarget, roles ScopeFunction, roles OwnershipTransferred,
safe ExecutionSuccess
"""
OF_NO_CONCERN = {
    topic(signature): signature.partition("(")[0]
    for signature in (
        "DelaySetup(address,address,address,address)",
        "RolesModSetup(address,address,address,address)",
        "Initialized(uint64)",
        "ScopeTarget(bytes32,address)",
        "ScopeFunction(bytes32,address,bytes4,(uint8,uint8,uint8,bytes)[],uint8)",
    )
}


def test_an_accounts_birth_is_told_by_these_logs(devchain: DevChain) -> None:
    first = devchain.head + 1
    (made,) = devchain.create_accounts(1)
    logs = Rpc([devchain.rpc_url]).logs(first, devchain.head)
    names = dict(zip(low(made.safe, made.delay, made.roles), ("safe", "delay", "roles"), strict=True))
    sequence = []
    for log in logs:
        event = decode(log)
        name = type(event).__name__ if event else OF_NO_CONCERN[log.topics[0]]
        sequence.append(f"{names.get(log.address, 'factory')} {name}")

    born, setup = sequence[:2], sequence[2:]
    assert born == ["safe SafeSetup", "factory ProxyCreation"]
    assert setup == [part.strip() for part in SETUP_SEQUENCE.split(",")]
    assert decode_all(logs).unknown == dict.fromkeys(OF_NO_CONCERN, 1), "counted, and nothing stops"


def test_an_accounts_birth_tells_all_that_is_needed_to_watch_it(devchain: DevChain) -> None:
    first = devchain.head + 1
    (made,) = devchain.create_accounts(1, refill=9 * EURO)
    found = decode_all(Rpc([devchain.rpc_url]).logs(first, devchain.head)).events
    at, settings = devchain.deployment, settings_of(devchain)
    safe, roles, delay, owner = low(made.safe, made.roles, made.delay, made.owner)

    assert [e.proxy for _, e in found if isinstance(e, on_chain.ProxyCreation)] == [safe]
    proxies = {e.proxy: e.mastercopy for _, e in found if isinstance(e, on_chain.ModuleProxyCreation)}
    assert proxies == {delay: at.delay_mastercopy.lower(), roles: at.roles_mastercopy.lower()}
    assert (delay, on_chain.EnabledModule(owner)) in [(log.address, e) for log, e in found]
    (assigned,) = [e for _, e in found if isinstance(e, on_chain.AssignRoles)]
    assert assigned == on_chain.AssignRoles(at.spender_safe.lower(), (settings.spending_role_key,), (True,))
    owners = [e.owner for log, e in found if log.address == roles and isinstance(e, on_chain.OwnershipTransferred)]
    assert owners[-1] == made.bouncer.lower()


ABI = [
    {
        "type": "event",
        "name": name,
        "anonymous": False,
        "inputs": [{"name": f"a{i}", "type": t, "indexed": i in indexed} for i, t in enumerate(types)],
    }
    for name, types, indexed in (
        ("Transfer", ("address", "address", "uint256"), (0, 1)),
        ("ConsumeAllowance", ("bytes32", "uint128", "uint128"), ()),
        ("SetAllowance", ("bytes32", "uint128", "uint128", "uint128", "uint64", "uint64"), ()),
        ("AssignRoles", ("address", "bytes32[]", "bool[]"), ()),
        ("TransactionAdded", ("uint256", "bytes32", "address", "uint256", "bytes", "uint8"), (0, 1)),
        ("Spend", ("address", "address", "address", "uint256"), ()),
        ("EnabledModule", ("address",), ()),
        ("AddedOwner", ("address",), ()),
        ("ExecutionSuccess", ("bytes32", "uint256"), ()),
        ("ExecutionFromModuleSuccess", ("address",), (0,)),
        ("ModuleProxyCreation", ("address", "address"), (0, 1)),
    )
]


def test_our_decoding_is_web3s_decoding(devchain: DevChain, account: AccountInfo) -> None:
    devchain.wait_receipts([devchain.spend(account, EURO)])
    asked = devchain.enqueue_withdrawal(account, devchain.deployment.relayer, EURO)
    devchain.wait_receipts([asked.sent])
    by_topic = {
        Web3.to_hex(Web3.keccak(text=f"{e['name']}({','.join(i['type'] for i in e['inputs'])})")): e for e in ABI
    }
    judge, compared = devchain.w3.eth.contract(abi=ABI), set()
    for record in devchain.w3.eth.get_logs({"fromBlock": 0, "toBlock": devchain.head}):
        theirs = by_topic.get(Web3.to_hex(record["topics"][0]))
        if theirs is None:
            continue
        ours = decode(_as_told(record))
        judged = judge.events[theirs["name"]]().process_log(record)["args"]
        assert _comparable(vars_of(ours)) == _comparable([judged[f"a{i}"] for i in range(len(judged))])
        compared.add(theirs["name"])
    assert compared == {e["name"] for e in ABI}


def _as_told(record: Any) -> Log:
    plain = {
        k: Web3.to_hex(v) if isinstance(v, bytes | int) and not isinstance(v, bool) else v for k, v in record.items()
    }
    return Log.from_json(plain | {"topics": [Web3.to_hex(t) for t in record["topics"]]})


def vars_of(event: Any) -> list[Any]:
    return [getattr(event, name) for name in event.__dataclass_fields__]


def _comparable(values: Any) -> Any:
    if isinstance(values, list | tuple):
        return [_comparable(one) for one in values]
    if isinstance(values, bytes):
        return "0x" + values.hex()
    return values.lower() if isinstance(values, str) else values


# -- allowance, consumed hash, integrity


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
    at, reader = devchain.deployment, reader_of(devchain)
    delegate, leg = Signer(at.delegate_key), uuid4()
    call = spend_call(at.asset, account.roles, at.settlement, EURO)
    signed = sign_spend(delegate, at.chain_id, at.spender_module, call, salt_of(leg))
    theirs = devchain.read(at.spender_module, "moduleTxHash(bytes,bytes32)", "bytes32", call, salt_of(leg))
    assert signed.hash == theirs
    assert not reader.is_consumed(delegate.address, signed.hash)

    sent = devchain.send(at.relayer_key, at.spender_module, signed.call_data)

    assert told(devchain, sent)[0][1] == on_chain.HashExecuted("0x" + signed.hash.hex())
    assert reader.is_consumed(delegate.address, signed.hash)


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
    unmade = AccountInfo(*(["0x" + "ab" * 20] * 5), owner_key="0x" + "11" * 32)
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
