"""Orders to the chain submitter. One leg, one order: the leg's id is the salt that lets the contract refuse a second one."""

from __future__ import annotations

from uuid import UUID

from schemas.definition import Message, Raw, f, message
from schemas.topics import CHAIN_COMMANDS


@message(CHAIN_COMMANDS, "payment_id")
class SubmitSpend(Message):
    """Move tokens from the account's Safe to settlement, through its Roles modifier."""

    payment_id: UUID = f("The payment.")
    leg_id: UUID = f("The leg; as bytes32 the salt of the signed call.")
    account_id: UUID = f("The account that pays.")
    amount_raw: Raw = f("Amount, raw units.")


@message(CHAIN_COMMANDS, "payment_id")
class SubmitRefund(Message):
    """Move tokens from settlement to the account's Safe: one key and nonce for ever."""

    payment_id: UUID = f("The payment.")
    leg_id: UUID = f("The leg.")
    account_id: UUID = f("The account that is paid.")
    amount_raw: Raw = f("Amount, raw units.")


@message(CHAIN_COMMANDS, "payment_id")
class InvalidateSpend(Message):
    """Take a signed spend back: its signer calls `invalidate` on the Spender, so that the contract refuses it for ever."""

    payment_id: UUID = f("The payment.")
    leg_id: UUID = f("The leg whose spend is taken back.")
    account_id: UUID = f("The account that would have paid.")
