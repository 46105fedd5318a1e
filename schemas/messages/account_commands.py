"""Orders to an account, and the facts that the chain listener brings to it."""

from __future__ import annotations

from uuid import UUID

from schemas.definition import Message, Raw, f, message
from schemas.topics import ACCOUNT_COMMANDS

ACCOUNT = "The account."


@message(ACCOUNT_COMMANDS, "account_id")
class RegisterAccount(Message):
    """Take a wallet under watch, with what the chain says of it at a final block."""

    account_id: UUID = f("The account: uuid5 of chain, wallet and token.")
    kind: str = f("customer or settlement.")
    chain_id: int = f("EIP-155 chain id.")
    wallet: str = f("Address that holds the tokens, checksummed (EIP-55).")
    token: str = f("Address of the token contract whose Transfer logs count.")
    currency: str = f("ISO 4217 code that the token stands for.")
    decimals: int = f("Decimals of the token.")
    settlement_address: str = f("Where spends go and refunds come from.")
    spender_module: str | None = f("The Spender module that spends go through.", default=None)
    roles_module: str | None = f("The account's Roles modifier.", default=None)
    delay_module: str | None = f("The account's Delay modifier.", default=None)
    card_token: str | None = f("Token of the account's card.", default=None)
    person_id: UUID | None = f("Whose account it is.", default=None)
    opening_balance_raw: Raw = f("Token balance at the opening block, raw units.", business=False)
    allowance_balance_raw: Raw = f("Allowance balance as stored, raw units.", business=False)
    allowance_max_refill_raw: Raw = f("Allowance: cap, raw units.", business=False)
    allowance_refill_raw: Raw = f("Allowance: added each period, raw units.", business=False)
    allowance_period_seconds: int = f("Allowance: period.", business=False)
    allowance_timestamp: int = f("Allowance: beginning of the present period, Unix seconds.", business=False)
    queue_empty: bool = f("Whether the Delay queue is empty.", business=False)
    integrity: str = f("Ok, or what is wrong.", business=False)
    block_number: int = f("The opening block, final.", business=False)
    block_hash: str = f("Its hash.", business=False)
    block_time: int = f("Its time, Unix seconds.", business=False)


@message(ACCOUNT_COMMANDS, "account_id")
class BindCard(Message):
    """Give an account that has none its card."""

    account_id: UUID = f(ACCOUNT)
    card_token: str = f("Token of the card; never a PAN.")


@message(ACCOUNT_COMMANDS, "account_id")
class FreezeCard(Message):
    """Freeze the account's card."""

    account_id: UUID = f(ACCOUNT)
    reason: str = f("Why: holder, lost, stolen, compliance.")


@message(ACCOUNT_COMMANDS, "account_id")
class UnfreezeCard(Message):
    """Make the account's card active again."""

    account_id: UUID = f(ACCOUNT)
    reason: str = f("Why.")
