"""Before a river is let onto a chain that others keep: does the node say what the chain file says, and are the keys those it means?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from connectors.chain.accounts.reading import AccountReader
from connectors.chain.node.abi import answers, call_data
from connectors.chain.node.errors import RpcRefused
from connectors.chain.node.multicall import BLOCK_TIME
from connectors.chain.node.rpc import Rpc
from connectors.chain.sending.keystore import Keyring
from connectors.chain.settings import ByTag, ChainSettings, Token
from infra.errors import Misconfigured, Undecodable


def examine(chain: ChainSettings, rpc: Rpc, keys: Keyring) -> list[str]:
    """Hints at what may not work; raises Misconfigured with all that cannot.

    Raises Unreachable when no node answers.
    """
    if (told := rpc.chain_id()) != chain.chain_id:
        raise Misconfigured(
            f"chain_id is {chain.chain_id}, and {rpc.node} is chain {told}: name the node of the chain you mean"
        )
    faults = [*_file(chain, rpc), *_keys(chain, rpc, keys)]
    if faults:
        raise Misconfigured(
            f"the chain file and {rpc.node} do not agree:\n" + "\n".join(f"  {each}" for each in faults)
        )
    relayers = [(each, "sends spends") for each in keys.relayers]
    senders = [(keys.settlement, "sends refunds"), (keys.delegate, "sends what takes a spend back"), *relayers]
    return [f"{key.address} has no gas: it {what}" for key, what in senders if rpc.native_balance(key.address) == 0]


def _file(chain: ChainSettings, rpc: Rpc) -> Iterator[str]:
    if rpc.block(chain.start_block) is None:
        yield f"start_block: there is no block {chain.start_block} yet"
    if isinstance(chain.finality, ByTag) and rpc.block(chain.finality.tag) is None:
        yield f'finality: the node knows no block {chain.finality.tag}; name a depth: {{"depth": 20}}'
    if _ask(rpc, chain.multicall_address, BLOCK_TIME, "uint256") is None:
        yield f"multicall_address: no Multicall3 answers at {chain.multicall_address}"
    for place, token in enumerate(chain.tokens):
        yield from _token(rpc, f"tokens.{place}", token)


def _token(rpc: Rpc, name: str, token: Token) -> Iterator[str]:
    for field, address in (("address", token.address), ("twin", token.twin)):
        if address is None:
            continue
        decimals = _ask(rpc, address, "decimals()", "uint8")
        if decimals is None:
            yield f"{name}.{field}: no token answers at {address}"
        elif decimals != token.decimals:
            yield f"{name}.decimals is {token.decimals}, and {address} says {decimals}"


def _keys(chain: ChainSettings, rpc: Rpc, keys: Keyring) -> Iterator[str]:
    settlement, delegate = keys.settlement.address, keys.delegate.address
    if settlement != chain.settlement_address:
        yield f"settlement_address is {chain.settlement_address}, and the key in settlement.json is that of {settlement}"
    if _ask(rpc, chain.spender_module, "isModuleEnabled(address)", "bool", delegate) is None:
        yield f"spender_module: no Spender answers at {chain.spender_module}"
        return
    reader = AccountReader(rpc, chain)
    if not reader.is_enabled(delegate):
        yield f"delegate.json: {delegate} is no enabled module of the Spender {chain.spender_module}; its signatures count for nothing"
    for relayer in keys.relayers:
        if reader.is_enabled(relayer.address):
            yield f"relayer: {relayer.address} is an enabled module of the Spender, which no salt binds; send with another key"


def _ask(rpc: Rpc, to: str, signature: str, kind: str, *values: str) -> Any:
    """The one answer; None where nothing of this kind stands there."""
    try:
        return answers((kind,), rpc.eth_call(to, call_data(signature, *values)))[0]
    except (RpcRefused, Undecodable):
        return None
