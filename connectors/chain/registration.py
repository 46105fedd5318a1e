"""An account comes under watch: what the chain says of it at a final block, and the order that records it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Engine

from connectors.chain.chain_values import Header
from connectors.chain.reading import AccountContracts, AccountReader
from connectors.chain.reconcile import verdict
from connectors.chain.rpc import Rpc
from connectors.chain.settings import ByDepth, ChainSettings, Token
from infra.database import Cursor, transaction
from infra.errors import BadInput, Retry
from infra.telemetry import new_traceparent
from schemas.definition import Raw
from schemas.messages.account_commands import RegisterAccount
from streams.command_handler import CommandHandler, Order
from streams.domain import ids
from streams.event_store.recorded import Cause

WATCH = """
INSERT INTO chain_wallets (account_id, chain_id, kind, wallet, token, roles_module, delay_module, opening_block, queued_block)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (account_id) DO NOTHING
"""
CARD = "INSERT INTO cards (card_token, account_id) VALUES (%s, %s) ON CONFLICT (card_token) DO NOTHING"
WHOSE = "SELECT account_id FROM cards WHERE card_token = %s"


@dataclass(frozen=True)
class Request:
    """What a person tells of an account; all else is read from the chain. Settlement has no modules and no card."""

    wallet: str
    token: Token
    kind: str = "customer"
    roles_module: str | None = None
    delay_module: str | None = None
    card_token: str | None = None
    person_id: UUID | None = None


@dataclass(frozen=True)
class Registrar:
    """Registers accounts on one chain."""

    database: Engine
    rpc: Rpc
    chain: ChainSettings
    reader: AccountReader
    handler: CommandHandler

    def register(self, request: Request, actor: str) -> UUID:
        """Take the wallet under watch; one that is under watch already stays as it is. Gives the account's id.

        Raises BadInput for a wallet that the chain does not know as one, and for a card that is another account's.
        """
        order = self._order(request, self._final_block())
        command_id = ids.derived("register", order.account_id)
        cause = Cause(command_id, command_id, new_traceparent(), actor)
        with transaction(self.database) as cursor:
            self.handler.handle(cursor, [Order(command_id, order, cause)])
            row = (order.account_id, order.chain_id, order.kind, order.wallet, order.token, order.roles_module)
            queued = None if order.queue_empty else order.block_number
            cursor.execute(WATCH, (*row, order.delay_module, order.block_number, queued))
            if order.card_token:
                _give_card(cursor, order.card_token, order.account_id)
        return order.account_id

    def _final_block(self) -> Header:
        finality = self.chain.finality
        if isinstance(finality, ByDepth):
            head = self.rpc.block("latest")
            found = self.rpc.block(max(0, head.number - finality.depth)) if head else None
        else:
            found = self.rpc.block(finality.tag)
        if found is None:
            raise Retry(f"{self.rpc.node} tells no final block yet")
        return found

    def _order(self, request: Request, block: Header) -> RegisterAccount:
        if request.kind == "customer" and not (request.roles_module and request.delay_module):
            raise BadInput(
                f"wallet {request.wallet}: a customer's account needs its Roles and Delay modifiers' addresses"
            )
        contracts = AccountContracts(
            request.wallet,
            request.roles_module or request.wallet,
            request.delay_module or request.wallet,
            request.token.address,
        )
        (reading,) = self.reader.read([contracts], block.hash)
        if reading.balance_raw is None or (request.kind == "customer" and reading.allowance is None):
            raise BadInput(
                f"wallet {request.wallet}: token {request.token.address} or its Roles modifier {request.roles_module} does not "
                f"answer at the final block {block.number}; check the addresses, or wait until its set-up is final"
            )
        allowance = reading.allowance
        return RegisterAccount(
            account_id=ids.account_id(self.chain.chain_id, request.wallet, request.token.address),
            kind=request.kind,
            chain_id=self.chain.chain_id,
            wallet=request.wallet,
            token=request.token.address,
            currency=request.token.currency,
            decimals=request.token.decimals,
            settlement_address=self.chain.settlement_address,
            spender_module=self.chain.spender_module if request.kind == "customer" else None,
            roles_module=request.roles_module,
            delay_module=request.delay_module,
            card_token=request.card_token,
            person_id=request.person_id,
            opening_balance_raw=Raw(reading.balance_raw),
            allowance_balance_raw=Raw(allowance.balance if allowance else 0),
            allowance_max_refill_raw=Raw(allowance.max_refill if allowance else 0),
            allowance_refill_raw=Raw(allowance.refill if allowance else 0),
            allowance_period_seconds=allowance.period_seconds if allowance else 0,
            allowance_timestamp=allowance.timestamp if allowance else 0,
            queue_empty=reading.queue_empty or request.kind == "settlement",
            integrity=verdict(reading, self.chain) if request.kind == "customer" else "Ok",
            block_number=block.number,
            block_hash=block.hash,
            block_time=block.time,
        )


def _give_card(cursor: Cursor, card_token: str, account_id: UUID) -> None:
    cursor.execute(CARD, (card_token, account_id))
    cursor.execute(WHOSE, (card_token,))
    (row,) = cursor.fetchall()
    if row[0] != account_id:
        raise BadInput(f"card {card_token!r} is account {row[0]}'s; a card has one account")
