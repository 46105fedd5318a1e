"""Every contract event that concerns us, as a value, and the table that says how its logs are laid out.

The same event has the same topic0 whichever of its arguments are indexed, and generations of contracts differ in that
(Safe 1.4 indexes what Safe 1.3 does not), so a layout is chosen by the number of topics. Addresses and hashes are
lower-case 0x-text, amounts raw token units, times Unix seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from connectors.chain.node.abi import topic


@dataclass(frozen=True, slots=True)
class Transfer:
    """ERC-20. From the zero address it is a mint, to it a burn."""

    sender: str
    recipient: str
    amount_raw: int


@dataclass(frozen=True, slots=True)
class Spend:
    """Spender module. `roles` is named `account` in the contract, and is the Roles modifier, not the Safe."""

    asset: str
    roles: str
    receiver: str
    amount_raw: int


@dataclass(frozen=True, slots=True)
class ConsumeAllowance:
    """Roles: an allowance was used; `balance_raw` is what is now stored."""

    key: str
    consumed_raw: int
    balance_raw: int


@dataclass(frozen=True, slots=True)
class SetAllowance:
    """Roles: an allowance was set. These are the call's arguments; what 0 stands for is in `reading.stored_allowance`."""

    key: str
    balance_raw: int
    max_refill_raw: int
    refill_raw: int
    period_seconds: int
    timestamp: int


@dataclass(frozen=True, slots=True)
class AssignRoles:
    """Roles: `member` was given (or lost) roles."""

    member: str
    role_keys: tuple[str, ...]
    given: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class TransactionAdded:
    """Delay: a transaction was put into the queue."""

    queue_nonce: int
    queued_hash: str
    target: str
    value: int
    data: str
    operation: int


@dataclass(frozen=True, slots=True)
class TxNonceSet:
    """Delay: the owner moved the head of the queue, dropping what stood before it."""

    nonce: int


@dataclass(frozen=True, slots=True)
class TxCooldownSet:
    """Delay: seconds that a queued transaction waits."""

    cooldown_seconds: int


@dataclass(frozen=True, slots=True)
class TxExpirationSet:
    """Delay: seconds after the cooldown in which a queued transaction may be executed."""

    expiration_seconds: int


@dataclass(frozen=True, slots=True)
class HashExecuted:
    """Delay, Roles, Spender: a signed call was carried out; its hash will not be taken again."""

    hash: str


@dataclass(frozen=True, slots=True)
class HashInvalidated:
    """Delay, Roles, Spender: a signer took a signed call back; its hash will not be taken."""

    hash: str


@dataclass(frozen=True, slots=True)
class ExecutionSuccess:
    """Safe: a transaction signed by its owners succeeded."""

    safe_hash: str
    payment: int


@dataclass(frozen=True, slots=True)
class ExecutionFailure:
    """Safe: a transaction signed by its owners failed."""

    safe_hash: str
    payment: int


@dataclass(frozen=True, slots=True)
class ExecutionFromModuleSuccess:
    """Safe: a module's transaction succeeded."""

    module: str


@dataclass(frozen=True, slots=True)
class ExecutionFromModuleFailure:
    """Safe: a module's transaction failed."""

    module: str


@dataclass(frozen=True, slots=True)
class AddedOwner:
    """Safe."""

    owner: str


@dataclass(frozen=True, slots=True)
class RemovedOwner:
    """Safe."""

    owner: str


@dataclass(frozen=True, slots=True)
class EnabledModule:
    """Of a Safe: a module was added. Of a Delay: an owner of the account. Of Roles: a holder of roles. Look at the emitter."""

    module: str


@dataclass(frozen=True, slots=True)
class DisabledModule:
    """As `EnabledModule`, taken away."""

    module: str


@dataclass(frozen=True, slots=True)
class ChangedThreshold:
    """Safe: how many owners must sign."""

    threshold: int


@dataclass(frozen=True, slots=True)
class SafeReceived:
    """Safe: native coin came in."""

    sender: str
    value: int


@dataclass(frozen=True, slots=True)
class SafeSetup:
    """Safe: it was made."""

    initiator: str
    owners: tuple[str, ...]
    threshold: int
    initializer: str
    fallback_handler: str


@dataclass(frozen=True, slots=True)
class ProxyCreation:
    """Safe factory: a Safe was made."""

    proxy: str
    singleton: str


@dataclass(frozen=True, slots=True)
class ModuleProxyCreation:
    """Module factory: a Delay, Roles or Spender was made."""

    proxy: str
    mastercopy: str


@dataclass(frozen=True, slots=True)
class OwnershipTransferred:
    """Delay, Roles, Spender: who may configure it."""

    previous: str
    owner: str


ChainEvent = (
    Transfer | Spend | ConsumeAllowance | SetAllowance | AssignRoles
    | TransactionAdded | TxNonceSet | TxCooldownSet | TxExpirationSet | HashExecuted | HashInvalidated
    | ExecutionSuccess | ExecutionFailure | ExecutionFromModuleSuccess | ExecutionFromModuleFailure
    | AddedOwner | RemovedOwner | EnabledModule | DisabledModule | ChangedThreshold | SafeReceived | SafeSetup
    | ProxyCreation | ModuleProxyCreation | OwnershipTransferred
)  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """How an event's logs are laid out: its arguments' types in order, and which are indexed, by number of indexed ones."""

    event: type[ChainEvent]
    signature: str
    indexed: tuple[tuple[int, ...], ...]

    @property
    def topic0(self) -> str:
        return topic(self.signature)


NONE, FIRST, TWO = (), (0,), (0, 1)

SHAPES = (
    Shape(Transfer, "Transfer(address,address,uint256)", (TWO,)),
    Shape(Spend, "Spend(address,address,address,uint256)", (NONE,)),
    Shape(ConsumeAllowance, "ConsumeAllowance(bytes32,uint128,uint128)", (NONE,)),
    Shape(SetAllowance, "SetAllowance(bytes32,uint128,uint128,uint128,uint64,uint64)", (NONE,)),
    Shape(AssignRoles, "AssignRoles(address,bytes32[],bool[])", (NONE,)),
    Shape(TransactionAdded, "TransactionAdded(uint256,bytes32,address,uint256,bytes,uint8)", (TWO,)),
    Shape(TxNonceSet, "TxNonceSet(uint256)", (NONE,)),
    Shape(TxCooldownSet, "TxCooldownSet(uint256)", (NONE,)),
    Shape(TxExpirationSet, "TxExpirationSet(uint256)", (NONE,)),
    Shape(HashExecuted, "HashExecuted(bytes32)", (NONE,)),
    Shape(HashInvalidated, "HashInvalidated(bytes32)", (NONE,)),
    Shape(ExecutionSuccess, "ExecutionSuccess(bytes32,uint256)", (NONE, FIRST)),
    Shape(ExecutionFailure, "ExecutionFailure(bytes32,uint256)", (NONE, FIRST)),
    Shape(ExecutionFromModuleSuccess, "ExecutionFromModuleSuccess(address)", (FIRST,)),
    Shape(ExecutionFromModuleFailure, "ExecutionFromModuleFailure(address)", (FIRST,)),
    Shape(AddedOwner, "AddedOwner(address)", (NONE, FIRST)),
    Shape(RemovedOwner, "RemovedOwner(address)", (NONE, FIRST)),
    Shape(EnabledModule, "EnabledModule(address)", (NONE, FIRST)),
    Shape(DisabledModule, "DisabledModule(address)", (NONE, FIRST)),
    Shape(ChangedThreshold, "ChangedThreshold(uint256)", (NONE,)),
    Shape(SafeReceived, "SafeReceived(address,uint256)", (FIRST,)),
    Shape(SafeSetup, "SafeSetup(address,address[],uint256,address,address)", (FIRST,)),
    Shape(ProxyCreation, "ProxyCreation(address,address)", (NONE, FIRST)),
    Shape(ModuleProxyCreation, "ModuleProxyCreation(address,address)", (TWO,)),
    Shape(OwnershipTransferred, "OwnershipTransferred(address,address)", (TWO,)),
)

TOPICS: dict[type[ChainEvent], str] = {shape.event: shape.topic0 for shape in SHAPES}
"""topic0 by event: what a filter of `eth_getLogs` asks for."""
