"""What an account was before its facts count: asked of the node; a balance whose state it has pruned is told from what moved since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.chain.accounts.integrity import verdict
from connectors.chain.accounts.reading import AccountReader
from connectors.chain.accounts.request import Found, Request, contracts_of
from connectors.chain.contracts import events as chain_events
from connectors.chain.contracts.decode import decode
from connectors.chain.contracts.events import TOPICS
from connectors.chain.node.abi import call_data
from connectors.chain.node.errors import RpcRefused
from connectors.chain.node.logs import LogFilter
from connectors.chain.node.rpc import Rpc
from connectors.chain.node.values import Header, block_parameter
from connectors.chain.settings import ChainSettings, Token
from infra.errors import BadInput, Retry
from streams.domain.states.allowance import Allowance

Holder = tuple[str, Token, Header]
"""(wallet, token, block after which its account's facts count)."""
AT_ONCE = 50
NOTHING = Allowance(balance=0, max_refill=0, refill=0, period_seconds=0, timestamp=0)
UNMADE = "RolesNotDeployed"
"""Integrity of an account in the block before its modifiers were made."""


@dataclass(frozen=True)
class Opening:
    """What an account was at the block after which its facts count."""

    block: Header
    balance_raw: int
    allowance: Allowance
    queue_empty: bool
    integrity: str


@dataclass(frozen=True)
class Openings:
    """Reads what accounts of one chain were at a block."""

    rpc: Rpc
    chain: ChainSettings
    reader: AccountReader

    def of(self, request: Request, block: Header) -> Opening:
        """What the chain says of the account at a block. Raises BadInput when it does not know it as one."""
        if request.kind == "customer" and not (request.roles_module and request.delay_module):
            raise BadInput(
                f"wallet {request.wallet}: a customer's account needs its Roles and Delay modifiers' addresses"
            )
        (reading,) = self.reader.read([contracts_of(request)], block.hash)
        if reading.balance_raw is None or (request.kind == "customer" and reading.allowance is None):
            raise BadInput(
                f"wallet {request.wallet}: token {request.token.address} or its Roles modifier {request.roles_module} does not "
                f"answer at the final block {block.number}; check the addresses, or wait until its set-up is final"
            )
        customer = request.kind == "customer"
        return Opening(
            block=block,
            balance_raw=reading.balance_raw,
            allowance=reading.allowance or NOTHING,
            queue_empty=reading.queue_empty or not customer,
            integrity=verdict(reading, self.chain) if customer else "Ok",
        )

    def of_found(self, found: Sequence[Found], final: Header) -> list[tuple[Found, Opening]]:
        """Those that were made in a block that we know are as they were before it; the others as they are now."""
        late = [(each, self.of(each.request, final)) for each in found if each.made_block is None]
        made = [each for each in found if each.made_block is not None]
        headers = self.rpc.blocks([max(0, (each.made_block or 0) - 1) for each in made])
        if None in headers:
            raise Retry(f"{self.rpc.node} does not have every block in which an account was made")
        before = [
            (each.request.wallet, each.request.token, header)
            for each, header in zip(made, headers, strict=True)
            if header
        ]
        balances = opening_balances(self.rpc, before, final)
        early = [
            (each, Opening(header, balance, NOTHING, True, "Ok" if each.request.kind == "settlement" else UNMADE))
            for each, (_, _, header), balance in zip(made, before, balances, strict=True)
        ]
        return [*early, *late]


def opening_balances(rpc: Rpc, holders: Sequence[Holder], final: Header) -> list[int]:
    """Raw balances of the wallets at their blocks, in order. A token that did not stand yet is no balance."""
    asked = rpc.batch([_balance(wallet, token, header.hash) for wallet, token, header in holders])
    gone = [holder for holder, answer in zip(holders, asked, strict=True) if isinstance(answer, RpcRefused)]
    summed = dict(zip(map(_key, gone), _summed(rpc, gone, final), strict=True))
    return [
        summed[_key(holder)] if isinstance(answer, RpcRefused) else int(answer[2:] or "0", 16)
        for holder, answer in zip(holders, asked, strict=True)
    ]


def _summed(rpc: Rpc, holders: Sequence[Holder], final: Header) -> list[int]:
    """What they hold at a final block whose state the node still has, less all that moved between."""
    if not holders:
        return []
    now = rpc.batch([_balance(wallet, token, final.hash) for wallet, token, _ in holders])
    refused = next((answer for answer in now if isinstance(answer, RpcRefused)), None)
    if refused is not None:
        raise Retry(f"{rpc.node} tells no balance at the final block {final.number}: {refused}")
    balances = [int(answer[2:] or "0", 16) for answer in now]
    for start in range(0, len(holders), AT_ONCE):
        for place, moved in enumerate(_moved(rpc, holders[start : start + AT_ONCE], final.number), start):
            balances[place] -= moved
    return balances


def _moved(rpc: Rpc, holders: Sequence[Holder], last: int) -> list[int]:
    """What came in less what went out of each wallet after its block, up to `last`."""
    places = {(token.address.lower(), wallet.lower()): place for place, (wallet, token, _) in enumerate(holders)}
    words = tuple("0x" + wallet[2:].lower().rjust(64, "0") for _, wallet in places)
    tokens, transfer = tuple({token for token, _ in places}), (TOPICS[chain_events.Transfer],)
    filters = [LogFilter(tokens, (transfer, words)), LogFilter(tokens, (transfer, None, words))]
    moved = [0] * len(holders)
    for log in rpc.find_logs(min(header.number for _, _, header in holders) + 1, last, filters):
        event = decode(log)
        assert isinstance(event, chain_events.Transfer)
        for wallet, sign in ((event.recipient, 1), (event.sender, -1)):
            place = places.get((log.address, wallet))
            if place is not None and log.block_number > holders[place][2].number:
                moved[place] += sign * event.amount_raw
    return moved


def _key(holder: Holder) -> tuple[str, str]:
    return holder[0], holder[1].address


def _balance(wallet: str, token: Token, at: str) -> tuple[str, list[object]]:
    data = "0x" + call_data("balanceOf(address)", wallet).hex()
    return "eth_call", [{"to": token.address, "data": data}, block_parameter(at)]
