"""Whom an account's Roles modifier lets be paid, tried and not believed: our spender's own call, as `eth_call` from its address.

Roles judges the call before the Safe carries it out, so what the Safe or the token refuses says nothing of the scope. The amount
is 0: it is within any allowance and moves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connectors.chain.contracts.calls import transfer_call
from connectors.chain.node.abi import call_data, selector
from connectors.chain.node.errors import CallReverted, RpcRefused
from connectors.chain.node.multicall import decoded
from connectors.chain.node.rpc import Rpc
from connectors.chain.node.values import At, block_parameter
from connectors.chain.settings import ChainSettings, Token

STRANGER = "0x000000000000000000000000000000000000dEaD"
WITH_ROLE = "execTransactionWithRole(address,uint256,bytes,uint8,bytes32,bool)"
REFUSALS = tuple(
    "0x" + selector(signature).hex()
    for signature in ("NotAuthorized(address)", "NoMembership()", "ConditionViolation(uint8,bytes32)")
)


def scoped_tokens(
    rpc: Rpc, chain: ChainSettings, roles: Sequence[str], at: At, among: Sequence[Token] = ()
) -> list[Token | None]:
    """For each Roles modifier the token that our spender may send to settlement, and to nobody else; None: there is none.

    `among`: only these tokens.
    """
    sender = _sender(rpc, chain, at)
    pairs = [(each, token) for each in roles for token in among or chain.tokens]
    receivers = (chain.settlement_address, STRANGER)
    answers = (
        rpc.batch([_question(chain, sender, *pair, to, at) for pair in pairs for to in receivers]) if pairs else []
    )
    found: dict[str, Token] = {}
    for place, (each, token) in enumerate(pairs):
        ours, others = answers[2 * place : 2 * place + 2]
        if _allowed(ours) and not _allowed(others):
            found.setdefault(each, token)
    return [found.get(each) for each in roles]


def _sender(rpc: Rpc, chain: ChainSettings, at: At) -> str:
    """Who calls Roles when the spender module spends: the Safe that it acts through, or itself where it is no modifier."""
    (answer,) = rpc.eth_calls([(chain.spender_module, call_data("target()"))], at)
    said = None if isinstance(answer, RpcRefused) else decoded(("address",), answer or None)
    return str(said[0]) if said else chain.spender_module


def _question(chain: ChainSettings, sender: str, roles: str, token: Token, to: str, at: At) -> tuple[str, list[Any]]:
    transfer = "0x" + transfer_call(to, 0).hex()
    call = call_data(WITH_ROLE, token.asset, 0, transfer, 0, chain.spending_role_key, True)
    return "eth_call", [{"from": sender, "to": roles, "data": "0x" + call.hex()}, block_parameter(at)]


def _allowed(answer: Any) -> bool:
    """Whether Roles let the call through. Raises the node's refusal where it was none of the contract's."""
    if isinstance(answer, CallReverted):
        return not str(answer.data or answer.message).lower().startswith(REFUSALS)
    if isinstance(answer, RpcRefused):
        raise answer
    return len(str(answer)) > 2  # an address without code answers nothing
