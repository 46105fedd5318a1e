"""Orders to move tokens, as rows that never change what they are: written by the agent of chain.commands, once a leg."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg2.extras import execute_values

from connectors.chain.calls import salt_of, spend_call, spend_hash, transfer_call
from connectors.chain.settings import ChainSettings
from infra.database import Cursor
from infra.errors import BadInput, UnknownType
from schemas.codec import Codec
from schemas.messages.chain_commands import SubmitRefund, SubmitSpend
from streams.command_agent import header_id
from streams.runtime.records import Record

INSERT = """
INSERT INTO chain_intents (leg_id, payment_id, account_id, chain_id, kind, amount_raw, target, call_data, signer,
                           consumed_hash, state, correlation_id, traceparent) VALUES %s ON CONFLICT (leg_id) DO NOTHING
"""
WALLETS = "SELECT account_id, wallet, token, roles_module FROM chain_wallets WHERE account_id = ANY(%s::uuid[]) AND kind = 'customer'"


@dataclass(frozen=True)
class IntentAgent:
    """The handler of chain.commands. `delegate` signs spends, `settlement` pays refunds (addresses)."""

    codec: Codec
    chain: ChainSettings
    delegate: str
    settlement: str

    def apply(self, cursor: Cursor, records: Sequence[Record]) -> None:
        """One intent a leg; a leg that has one already keeps it. Raises BadInput for an account that is not under watch."""
        orders = [(record, self.codec.decode(record.value)) for record in records]
        wanted: list[UUID] = [order.account_id for _, order in orders if isinstance(order, SubmitSpend | SubmitRefund)]
        cursor.execute(WALLETS, (wanted,))
        wallets = {row[0]: row[1:] for row in cursor.fetchall()}
        execute_values(cursor, INSERT, [self._row(record, order, wallets) for record, order in orders])

    def _row(self, record: Record, order: Any, wallets: dict[UUID, tuple[str, str, str]]) -> tuple[Any, ...]:
        if not isinstance(order, SubmitSpend | SubmitRefund):
            raise UnknownType(f"the submitter carries out SubmitSpend and SubmitRefund, not {type(order).__name__}")
        if order.account_id not in wallets:
            raise BadInput(
                f"account {order.account_id} is not under watch; `payriver account register` it, then replay"
            )
        wallet, token_address, roles = wallets[order.account_id]
        token = self.chain.token_at(token_address)
        if token is None:
            raise BadInput(
                f"token {token_address} of account {order.account_id} is not in the chain file; add it, then replay"
            )
        carried: tuple[Any, ...]
        if isinstance(order, SubmitSpend):
            call = spend_call(
                token.asset, roles, self.chain.settlement_address, order.amount_raw, self.chain.spending_role_key
            )
            digest = spend_hash(self.chain.chain_id, self.chain.spender_module, call, salt_of(order.leg_id))
            carried = ("spend", order.amount_raw, self.chain.spender_module, call, self.delegate, "0x" + digest.hex())
        else:
            call = transfer_call(wallet, order.amount_raw)
            carried = ("refund", order.amount_raw, token.asset, call, self.settlement, None)
        correlation = str(header_id(record, "correlation_id"))
        who = (order.leg_id, order.payment_id, order.account_id, self.chain.chain_id)
        return (*who, *carried, "planned", correlation, record.headers.get("traceparent"))
