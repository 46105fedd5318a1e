"""An account comes under watch: the order that records what it is, given once, and its rows beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Engine

from connectors.chain.accounts.integrity import verdict
from connectors.chain.accounts.openings import Opening, Openings
from connectors.chain.accounts.reading import AccountReader
from connectors.chain.accounts.request import Found, Request, contracts_of, written
from connectors.chain.accounts.scope import scoped_tokens
from connectors.chain.node.rpc import Rpc
from connectors.chain.node.values import Header
from connectors.chain.settings import ByDepth, ChainSettings, Token
from infra.database import Cursor, reading, transaction
from infra.errors import BadInput, Forgotten, NotFound, Retry
from infra.telemetry import new_traceparent
from schemas.definition import Raw
from schemas.messages.account_commands import BindCard, RegisterAccount
from streams.command_handler import CommandHandler
from streams.domain import ids
from streams.domain.chain.facts import Block, ObserveIntegrity
from streams.domain.person import Person
from streams.event_store.recorded import Cause
from streams.orders import Order

WATCH = """
INSERT INTO chain_wallets (account_id, chain_id, kind, wallet, token, roles_module, delay_module, opening_block, queued_block)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (account_id) DO NOTHING
"""
CARD = "INSERT INTO cards (card_token, account_id) VALUES (%s, %s) ON CONFLICT (card_token) DO NOTHING"
WHOSE = "SELECT account_id FROM cards WHERE card_token = %s"
CARD_OF = "SELECT card_token FROM cards WHERE account_id = %s"
WATCHED = "SELECT account_id FROM chain_wallets WHERE chain_id = %s AND lower(wallet) = lower(%s) AND token = %s"
THEIRS = "SELECT account_id FROM chain_wallets WHERE account_id = ANY(%s::uuid[])"


@dataclass(frozen=True)
class Registrar:
    """Registers accounts on one chain."""

    database: Engine
    rpc: Rpc
    chain: ChainSettings
    reader: AccountReader
    handler: CommandHandler

    @property
    def _openings(self) -> Openings:
        return Openings(self.rpc, self.chain, self.reader)

    def register(self, request: Request, actor: str) -> UUID:
        """Take the wallet under watch; one that is under watch already stays as it is, and may be given its card. Gives the account's id.

        Raises BadInput for a wallet that the chain does not know as one, or not in this token, and for a card that is another account's;
        NotFound, Forgotten for its holder.
        """
        request = written(request)
        if request.person_id is not None:
            self._must_be_known(request.person_id)
        known = self._watched(request)
        if known is not None:
            if request.card_token:
                self.bind_card(known, request.card_token, actor)
            return known
        final = self.final_block()
        order = self._registration(request, self._openings.of(request, final))
        self._must_be_scoped(request, final)
        with transaction(self.database) as cursor:
            self.handler.handle(cursor, [_order("register", order, actor)])
            _watch(cursor, order)
            if order.card_token:
                _give_card(cursor, order.card_token, order.account_id)
        return order.account_id

    def account_of(self, wallet: str, token: Token) -> UUID:
        """The account of a wallet under watch. Raises NotFound."""
        found = self._watched(written(Request(wallet, token)))
        if found is None:
            raise NotFound(
                f"wallet {wallet} is not under watch in {token.symbol}; `payriver account register` takes it"
            )
        return found

    def bind_card(self, account_id: UUID, card_token: str, actor: str) -> None:
        """Give an account that has no card this one. Raises BadInput where either of them has another already."""
        order = BindCard(account_id=account_id, card_token=card_token)
        with transaction(self.database) as cursor:
            cursor.execute(CARD_OF, (account_id,))
            other = next((row[0] for row in cursor.fetchall() if row[0] != card_token), None)
            if other is not None:
                raise BadInput(f"account {account_id} has card {other!r}; an account has one card")
            _give_card(cursor, card_token, account_id)
            self.handler.handle(cursor, [_order(f"bind/{card_token}", order, actor)])

    def register_found(self, found: Sequence[Found], final: Header) -> None:
        """Take accounts under watch that were found by a final block, all in one append, with what they were before they were made.

        Those that are under watch stay as they are: what of them differs now, their integrity says.
        """
        found = self._unwatched(found)
        if not found:
            return
        orders = [self._registration(each.request, opening) for each, opening in self._openings.of_found(found, final)]
        contracts = [contracts_of(each.request) for each in found]
        readings = {each.contracts.safe: each for each in self.reader.read(contracts, final.hash)}
        block = Block(final.number, final.hash, final.time)
        told = []
        for order in orders:
            word = "Ok" if order.kind == "settlement" else verdict(readings[order.wallet], self.chain)
            observed = ObserveIntegrity(order.account_id, word, block)
            told += [_order("found", order, "listener"), _order("found/integrity", observed, "listener")]
        with transaction(self.database) as cursor:
            self.handler.handle(cursor, told)
            for order in orders:
                _watch(cursor, order)

    def final_block(self) -> Header:
        """The newest final block. Raises Retry where the node tells none yet."""
        finality = self.chain.finality
        if isinstance(finality, ByDepth):
            head = self.rpc.block("latest")
            found = self.rpc.block(max(0, head.number - finality.depth)) if head else None
        else:
            found = self.rpc.block(finality.tag)
        if found is None:
            raise Retry(f"{self.rpc.node} tells no final block yet")
        return found

    def _unwatched(self, found: Sequence[Found]) -> list[Found]:
        by_id = {
            ids.account_id(self.chain.chain_id, each.request.wallet, each.request.token.address): each for each in found
        }
        with transaction(self.database) as cursor:
            cursor.execute(THEIRS, (list(by_id),))
            watched = {row[0] for row in cursor.fetchall()}
        return [each for account_id, each in by_id.items() if account_id not in watched]

    def _watched(self, request: Request) -> UUID | None:
        with transaction(self.database) as cursor:
            cursor.execute(WATCHED, (self.chain.chain_id, request.wallet, request.token.address))
            row = cursor.fetchone()
        return row[0] if row else None

    def _must_be_scoped(self, request: Request, final: Header) -> None:
        """Whether it is an account in this very token: in any other, nothing that we approve could ever be spent."""
        if request.roles_module is None:
            return
        (token,) = scoped_tokens(self.rpc, self.chain, [request.roles_module], final.hash, [request.token])
        if token is None:
            raise BadInput(
                f"wallet {request.wallet}: its Roles modifier {request.roles_module} does not let our spender pay settlement, and it alone, in "
                f"{request.token.symbol} at the final block {final.number}; name another --currency, or have its scope mended"
            )

    def _must_be_known(self, person_id: UUID) -> None:
        with reading(self.database) as cursor:
            person = self.handler.state(cursor, person_id)
        if not isinstance(person, Person):
            raise NotFound(f"no person {person_id} is in the register; `payriver person register` takes one")
        if person.forgotten:
            raise Forgotten(f"person {person_id} was forgotten, for good; register under a new id")

    def _registration(self, request: Request, opening: Opening) -> RegisterAccount:
        allowance, customer = opening.allowance, request.kind == "customer"
        return RegisterAccount(
            account_id=ids.account_id(self.chain.chain_id, request.wallet, request.token.address),
            kind=request.kind,
            chain_id=self.chain.chain_id,
            wallet=request.wallet,
            token=request.token.address,
            currency=request.token.currency,
            decimals=request.token.decimals,
            settlement_address=self.chain.settlement_address,
            spender_module=self.chain.spender_module if customer else None,
            roles_module=request.roles_module,
            delay_module=request.delay_module,
            card_token=request.card_token,
            person_id=request.person_id,
            opening_balance_raw=Raw(opening.balance_raw),
            allowance_balance_raw=Raw(allowance.balance),
            allowance_max_refill_raw=Raw(allowance.max_refill),
            allowance_refill_raw=Raw(allowance.refill),
            allowance_period_seconds=allowance.period_seconds,
            allowance_timestamp=allowance.timestamp,
            queue_empty=opening.queue_empty,
            integrity=opening.integrity,
            block_number=opening.block.number,
            block_hash=opening.block.hash,
            block_time=opening.block.time,
        )


def _order(name: str, message: RegisterAccount | BindCard | ObserveIntegrity, actor: str) -> Order:
    """An order that means the same however often it is given."""
    command_id = ids.derived(name, message.account_id)
    return Order(command_id, message, Cause(command_id, command_id, new_traceparent(), actor))


def _watch(cursor: Cursor, order: RegisterAccount) -> None:
    queued = None if order.queue_empty else order.block_number
    addresses = (order.wallet, order.token, order.roles_module, order.delay_module)
    cursor.execute(WATCH, (order.account_id, order.chain_id, order.kind, *addresses, order.block_number, queued))


def _give_card(cursor: Cursor, card_token: str, account_id: UUID) -> None:
    cursor.execute(CARD, (card_token, account_id))
    cursor.execute(WHOSE, (card_token,))
    (row,) = cursor.fetchall()
    if row[0] != account_id:
        raise BadInput(f"card {card_token!r} is account {row[0]}'s; a card has one account")
