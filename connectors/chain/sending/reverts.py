"""Why a transaction failed. A receipt says only that it did: the call is made once more, without sending, and the contract's words are read.

The Spender hides what the account's Roles modifier said, so that is asked too, as the Spender itself asks it.
"""

from __future__ import annotations

from collections.abc import Mapping

from connectors.chain.contracts.calls import SPEND, is_spend, transfer_call
from connectors.chain.node.abi import answers, argument_types, call_data
from connectors.chain.node.errors import CallReverted, RpcRefused
from connectors.chain.node.rpc import Rpc
from connectors.chain.node.values import Receipt
from connectors.chain.sending.signing import TransactionOrder
from infra.errors import Undecodable

VIOLATIONS: Mapping[int, str] = {
    2: "the account's role does not allow this token",
    3: "the account's role does not allow this call",
    7: "the account's role does not allow this recipient",
    17: "over the allowance that the holder set on chain",
}
"""Status of Roles 2.1 `ConditionViolation(status, info)`, as far as a spend can meet it."""
HIDDEN = "Spend Transaction Failed"
PASSES = "it would pass now: what stood in its way has gone"
WITH_ROLE = "execTransactionWithRole(address,uint256,bytes,uint8,bytes32,bool)"


def reason_of(rpc: Rpc, sender: str, order: TransactionOrder, receipt: Receipt) -> str:
    """In words, for the payment's stream. What cannot be told is said so: the reason decides nothing."""
    if receipt.gas_used >= order.gas:
        return f"out of gas: all {order.gas} were used"
    try:
        said = _said(rpc, sender, order.to, order.data, receipt.block_hash)
        if said == HIDDEN and is_spend(order.data):
            said = _roles_said(rpc, order, receipt.block_hash) or said
    except (RpcRefused, Undecodable) as error:
        return f"reverted on chain; why, the node does not tell ({error})"
    return said or PASSES


def _said(rpc: Rpc, sender: str, to: str, data: bytes, at: str) -> str | None:
    """What the contract says to this call; None where it would be taken."""
    try:
        rpc.eth_call(to, data, at, sender=sender)
    except CallReverted as error:
        return _words(error)
    return None


def _words(error: CallReverted) -> str:
    said = error.said
    if said.startswith("ConditionViolation"):
        status = int(str(error.data)[10:74], 16)
        return VIOLATIONS.get(status, f"the account's role forbids it ({said}, status {status})")
    return said


def _roles_said(rpc: Rpc, order: TransactionOrder, at: str) -> str | None:
    asset, roles, receiver, amount, role_key = answers(argument_types(SPEND), order.data[4 : 4 + 5 * 32])
    (spender_safe,) = answers(("address",), rpc.eth_call(order.to, call_data("avatar()"), at))
    call = call_data(WITH_ROLE, asset, 0, transfer_call(receiver, amount), 0, role_key, True)
    said = _said(rpc, spender_safe, roles, call, at)
    return "the account's tokens do not reach, or the token refuses" if said == "ModuleTransactionFailed()" else said
