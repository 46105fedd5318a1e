"""What the chain says of accounts at one block: balances, allowances, queues, owners, modules; many in one call.

Stored allowances are read as stored; what has accrued since is `Allowance.accrued`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from connectors.chain.contracts.events import SetAllowance
from connectors.chain.node.abi import answers, call_data
from connectors.chain.node.multicall import BLOCK_TIME, aggregate, decoded
from connectors.chain.node.rpc import Rpc
from connectors.chain.node.values import At
from connectors.chain.settings import ChainSettings
from infra.errors import Undecodable
from streams.domain.states.allowance import UINT128_MAX, Allowance

LIST_BEGIN = "0x" + "00" * 19 + "01"  # where a contract's list of modules begins
ACCOUNTS_A_CALL = 50


@dataclass(frozen=True)
class AccountContracts:
    """The contracts of one account. `bouncer` must own its Roles; None: whatever contract says that it bounces for them."""

    safe: str
    roles: str
    delay: str
    token: str
    bouncer: str | None = None

    @classmethod
    def of(cls, wallet: str, token: str, roles: str | None, delay: str | None) -> AccountContracts:
        """Of a wallet under watch. It stands in for a module that it has not: nothing answers for one there."""
        return cls(wallet, roles or wallet, delay or wallet, token)


@dataclass(frozen=True)
class Bounces:
    """Whom a Bouncer lets through: only calls of `selector`, from `origin`, to `target`."""

    origin: str
    target: str
    selector: bytes


@dataclass(frozen=True)
class AccountReading:
    """One account at one block. None stands where the contract does not answer: it is not there, or is something else."""

    contracts: AccountContracts
    block_time: int
    balance_raw: int | None
    owners: tuple[str, ...] | None
    threshold: int | None
    modules: tuple[str, ...] | None
    roles_owner: str | None
    allowance: Allowance | None
    delay_owner: str | None
    cooldown_seconds: int | None
    next_nonce: int | None
    queue_nonce: int | None
    bounces: Bounces | None = None

    @property
    def queue_empty(self) -> bool:
        """Whether nothing waits in the Delay queue."""
        return self.next_nonce is not None and self.next_nonce == self.queue_nonce


@dataclass(frozen=True)
class View:
    """A view function that every reading asks: which contract, and the types of its answer."""

    field: str
    of: str
    signature: str
    types: tuple[str, ...]


VIEWS = (
    View("owners", "safe", "getOwners()", ("address[]",)),
    View("threshold", "safe", "getThreshold()", ("uint256",)),
    View("modules", "safe", "getModulesPaginated(address,uint256)", ("address[]", "address")),
    View("roles_owner", "roles", "owner()", ("address",)),
    View("allowance", "roles", "allowances(bytes32)", ("uint128", "uint128", "uint64", "uint128", "uint64")),
    View("delay_owner", "delay", "owner()", ("address",)),
    View("cooldown_seconds", "delay", "txCooldown()", ("uint256",)),
    View("next_nonce", "delay", "txNonce()", ("uint256",)),
    View("queue_nonce", "delay", "queueNonce()", ("uint256",)),
    View("balance_raw", "token", "balanceOf(address)", ("uint256",)),
)
BOUNCER_VIEWS = (("from()", ("address",)), ("to()", ("address",)), ("selector()", ("bytes4",)))


class AccountReader:
    """Reads accounts through `rpc` on the chain of `settings`."""

    def __init__(self, rpc: Rpc, settings: ChainSettings) -> None:
        self._rpc = rpc
        self._settings = settings

    def read(self, accounts: Sequence[AccountContracts], at: At = "latest") -> list[AccountReading]:
        """All accounts at one block, in order. Pin it by hash or number: between calls a tag moves on."""
        chunks = [accounts[i : i + ACCOUNTS_A_CALL] for i in range(0, len(accounts), ACCOUNTS_A_CALL)]
        return [reading for chunk in chunks for reading in self._with_bouncers(self._read(chunk, at), at)]

    def _read(self, accounts: Sequence[AccountContracts], at: At) -> list[AccountReading]:
        calls = [(getattr(account, view.of), self._question(account, view)) for account in accounts for view in VIEWS]
        *found, time = self._ask([*calls, (self._settings.multicall_address, call_data(BLOCK_TIME))], at)
        block_time = decoded(("uint256",), time)
        if block_time is None:
            raise Undecodable(f"{self._settings.multicall_address} does not tell the block's time: is it Multicall3?")
        size = len(VIEWS)
        return [_reading(a, found[i * size : (i + 1) * size], block_time[0]) for i, a in enumerate(accounts)]

    def _question(self, account: AccountContracts, view: View) -> bytes:
        values: dict[str, tuple[Any, ...]] = {
            "modules": (LIST_BEGIN, 10),
            "allowance": (self._settings.spending_allowance_key,),
            "balance_raw": (account.safe,),
        }
        return call_data(view.signature, *values.get(view.field, ()))

    def _with_bouncers(self, readings: list[AccountReading], at: At) -> list[AccountReading]:
        """Asks the owners of Roles whom they let through, where the account did not say who must own them."""
        owners = [r.roles_owner for r in readings if r.contracts.bouncer is None and r.roles_owner is not None]
        if not owners:
            return readings
        found = self._ask([(owner, call_data(view)) for owner in owners for view, _ in BOUNCER_VIEWS], at)
        said = {owner: _bounces(found[3 * i : 3 * i + 3]) for i, owner in enumerate(owners)}
        return [replace(r, bounces=said.get(r.roles_owner)) if r.roles_owner else r for r in readings]

    def _ask(self, calls: Sequence[tuple[str, bytes]], at: At) -> list[bytes | None]:
        return aggregate(self._rpc, self._settings.multicall_address, calls, at)

    # -- what the submitter must know of its own keys

    def is_enabled(self, key: str, at: At = "latest") -> bool:
        """Whether `key` may call the Spender directly: a sending key must not, for a salt does not bind it."""
        answer = self._rpc.eth_call(self._settings.spender_module, call_data("isModuleEnabled(address)", key), at)
        return bool(answers(("bool",), answer)[0])


def stored_allowance(event: SetAllowance, block_time: int) -> Allowance:
    """What the contract stores when it tells `event`: no maximum is the greatest number, no time is the block's."""
    return Allowance(
        balance=event.balance_raw,
        max_refill=event.max_refill_raw or UINT128_MAX,
        refill=event.refill_raw,
        period_seconds=event.period_seconds,
        timestamp=event.timestamp or block_time,
    )


def _reading(account: AccountContracts, found: Sequence[bytes | None], block_time: int) -> AccountReading:
    said = {view.field: decoded(view.types, data) for view, data in zip(VIEWS, found, strict=True)}
    allowance = said.pop("allowance")
    values = {field: values[0] if values else None for field, values in said.items()}
    return AccountReading(account, block_time, allowance=_allowance(allowance), **values)


def _allowance(said: tuple[Any, ...] | None) -> Allowance | None:
    if said is None:
        return None
    refill, max_refill, period_seconds, balance, timestamp = said
    return Allowance(balance, max_refill, refill, period_seconds, timestamp)


def _bounces(found: Sequence[bytes | None]) -> Bounces | None:
    said = [decoded(types, data) for (_, types), data in zip(BOUNCER_VIEWS, found, strict=True)]
    if None in said:
        return None
    origin, target, selector = (values[0] for values in said if values)
    return Bounces(origin, target, bytes(selector))
