"""Whether an account is in order: account-kit's own `accountQuery`, in its order and its words; a test holds the two together.

One difference: where no contract stands at all, its decoding fails and it says UnexpectedError; here it is named.
"""

from __future__ import annotations

from connectors.chain.accounts.reading import AccountReading, Bounces
from connectors.chain.contracts import events as chain_events
from connectors.chain.node.abi import selector
from connectors.chain.settings import ChainSettings

NOBODY = "0x" + "00" * 19 + "02"  # the owner that a set-up Safe is left with
SET_ALLOWANCE = selector("setAllowance(bytes32,uint128,uint128,uint128,uint64,uint64)")
QUEUE = "DelayQueueNotEmpty"
REREAD = (
    chain_events.EnabledModule, chain_events.DisabledModule, chain_events.AddedOwner, chain_events.RemovedOwner,
    chain_events.ChangedThreshold, chain_events.TxCooldownSet, chain_events.OwnershipTransferred, chain_events.AssignRoles,
)  # fmt: skip
"""Events after which an account's integrity must be read again."""


def integrity(reading: AccountReading, cooldown_seconds: int) -> str:
    """Ok, or the first thing that is wrong: SafeNotDeployed, SafeMisconfigured, RolesNotDeployed, RolesMisconfigured,
    DelayNotDeployed, DelayMisconfigured (its owner, or a cooldown below `cooldown_seconds`), DelayQueueNotEmpty.
    """
    checks = (
        (_safe_answers, "SafeNotDeployed"),
        (_safe_is_nobodys, "SafeMisconfigured"),
        (_roles_answer, "RolesNotDeployed"),
        (_roles_are_bounced, "RolesMisconfigured"),
        (_delay_answers, "DelayNotDeployed"),
        (_delay_is_the_safes, "DelayMisconfigured"),
        (lambda r: (r.cooldown_seconds or 0) >= cooldown_seconds, "DelayMisconfigured"),
        (lambda r: r.queue_empty, QUEUE),
    )
    return next((word for good, word in checks if not good(reading)), "Ok")


def verdict(reading: AccountReading, chain: ChainSettings) -> str:
    """The account's integrity, the Delay queue apart: that has events of its own."""
    found = integrity(reading, chain.cooldown_seconds)
    return "Ok" if found == QUEUE else found


def _safe_answers(reading: AccountReading) -> bool:
    return None not in (reading.owners, reading.threshold, reading.modules)


def _safe_is_nobodys(reading: AccountReading) -> bool:
    wanted = sorted((reading.contracts.roles.lower(), reading.contracts.delay.lower()))
    return reading.threshold == 1 and reading.owners == (NOBODY,) and sorted(reading.modules or ()) == wanted


def _roles_answer(reading: AccountReading) -> bool:
    return None not in (reading.roles_owner, reading.allowance)


def _roles_are_bounced(reading: AccountReading) -> bool:
    account = reading.contracts
    if account.bouncer is not None:
        return reading.roles_owner == account.bouncer.lower()
    return reading.bounces == Bounces(account.safe.lower(), account.roles.lower(), SET_ALLOWANCE)


def _delay_answers(reading: AccountReading) -> bool:
    return None not in (reading.delay_owner, reading.cooldown_seconds, reading.next_nonce, reading.queue_nonce)


def _delay_is_the_safes(reading: AccountReading) -> bool:
    return reading.delay_owner == reading.contracts.safe.lower()
