"""What the real contracts do, and what we make of it: every log sequence, and how it is decoded.

The node is a real anvil with the real Safe, Roles and Delay; accounts are made by account-kit, and account-kit judges.
"""

from __future__ import annotations

import secrets
from typing import Any

from web3 import Web3

from connectors.chain.accounts.reading import stored_allowance
from connectors.chain.contracts import events as on_chain
from connectors.chain.contracts.calls import spend_call, spend_hash
from connectors.chain.contracts.decode import decode, decode_all
from connectors.chain.node.abi import ZERO_ADDRESS, topic
from connectors.chain.node.logs import Log
from connectors.chain.node.rpc import Rpc
from infra.devchain.chain import COOLDOWN_SECONDS, DevChain
from infra.devchain.values import AccountInfo
from streams.domain.states.allowance import UINT128_MAX, Allowance
from tests.chain_fixtures import contracts_of, devchain, reader_of, running_devchain, settings_of
from tests.contract.customers import DAY, EURO, account, low, receipt_of, stored, told

__all__ = ["account", "devchain"]


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


ABI: list[dict[str, Any]] = [
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
    judge, compared = devchain.w3.eth.contract(abi=ABI), set[str]()
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
