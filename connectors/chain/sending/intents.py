"""Orders to move tokens, as rows that never change what they are: written by the agent of chain.commands, once a leg."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg2.extras import execute_values

from connectors.chain.contracts.calls import invalidate_call, salt_of, spend_call, spend_hash, transfer_call
from connectors.chain.settings import ChainSettings
from infra.database import Cursor
from infra.errors import BadInput, UnknownType
from schemas.codec import Codec
from schemas.definition import Raw
from schemas.messages.chain_commands import InvalidateSpend, SubmitRefund, SubmitSpend
from streams.domain import ids
from streams.runtime.records import Record

INSERT = """
INSERT INTO chain_intents (leg_id, payment_id, account_id, chain_id, kind, amount_raw, target, call_data, signer,
                           consumed_hash, invalidates, state, correlation_id, traceparent) VALUES %s ON CONFLICT (leg_id) DO NOTHING
"""
WALLETS = "SELECT account_id, wallet, token, roles_module FROM chain_wallets WHERE account_id = ANY(%s::uuid[]) AND kind = 'customer'"
SPENDS = (
    "SELECT leg_id, target, signer, consumed_hash FROM chain_intents WHERE leg_id = ANY(%s::uuid[]) AND kind = 'spend'"
)


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
        moving = [(record, order) for record, order in orders if not isinstance(order, InvalidateSpend)]
        if moving:
            execute_values(cursor, INSERT, [self._row(record, order, wallets) for record, order in moving])
        self._take_back(cursor, [(record, order) for record, order in orders if isinstance(order, InvalidateSpend)])

    def _take_back(self, cursor: Cursor, orders: Sequence[tuple[Record, InvalidateSpend]]) -> None:
        """Only its own signer can take a signed spend back: whoever that was when it was signed."""
        if not orders:
            return
        cursor.execute(SPENDS, ([order.leg_id for _, order in orders],))
        spends = {row[0]: row[1:] for row in cursor.fetchall()}
        rows = []
        for record, order in orders:
            if order.leg_id not in spends:
                raise BadInput(f"leg {order.leg_id} has no signed spend to take back; is its SubmitSpend parked?")
            target, signer, consumed = spends[order.leg_id]
            call = invalidate_call(bytes.fromhex(consumed[2:]))
            who = (ids.invalidation_id(order.leg_id), order.payment_id, order.account_id, self.chain.chain_id)
            carried = ("invalidation", Raw(0), target, call, signer, None, order.leg_id)
            rows.append((*who, *carried, *_told(record)))
        execute_values(cursor, INSERT, rows)

    def _row(self, record: Record, order: Any, wallets: dict[UUID, tuple[str, str, str]]) -> tuple[Any, ...]:
        if not isinstance(order, SubmitSpend | SubmitRefund):
            raise UnknownType(
                f"the submitter carries out SubmitSpend, SubmitRefund and InvalidateSpend, not {type(order).__name__}"
            )
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
            carried = (
                "spend",
                order.amount_raw,
                self.chain.spender_module,
                call,
                self.delegate,
                "0x" + digest.hex(),
                None,
            )
        else:
            call = transfer_call(wallet, order.amount_raw)
            carried = ("refund", order.amount_raw, token.asset, call, self.settlement, None, None)
        who = (order.leg_id, order.payment_id, order.account_id, self.chain.chain_id)
        return (*who, *carried, *_told(record))


def _told(record: Record) -> tuple[str, str, str | None]:
    """Where an intent begins, and whose story it is part of."""
    return "planned", str(record.header("correlation_id", UUID)), record.headers.get("traceparent")
