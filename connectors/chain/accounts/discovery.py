"""Accounts that others made come under watch by themselves: whose modifiers a known factory made, and let our spender pay settlement.

What a log says is only where to look; what is so is asked of the contracts at a final block. An account is never known by one
mastercopy: generations live side by side. One that is not in order is followed too; its integrity says so, and nothing is approved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Engine

from connectors.chain.accounts import modules as rows
from connectors.chain.accounts.integrity import REREAD
from connectors.chain.accounts.modules import ACCOUNT, Module
from connectors.chain.accounts.reading import LIST_BEGIN
from connectors.chain.accounts.registration import Registrar
from connectors.chain.accounts.request import Found, Request
from connectors.chain.accounts.scope import scoped_tokens
from connectors.chain.contracts import events as chain_events
from connectors.chain.contracts.decode import Seen, decode_all
from connectors.chain.node.abi import call_data, checksummed
from connectors.chain.node.logs import Log
from connectors.chain.node.multicall import aggregate, decoded
from connectors.chain.node.values import Header
from connectors.chain.settings import ChainSettings, Token
from infra.database import Cursor, transaction
from infra.errors import Retry

log = structlog.get_logger(__name__)
AT_ONCE = 100
MODULES = "getModulesPaginated(address,uint256)"
TOPICS_OF_MAKING = frozenset(chain_events.TOPICS[each] for each in (chain_events.ModuleProxyCreation, *REREAD))


@dataclass(frozen=True)
class _Guards:
    """Of each kind the newest modifier that says it acts for the wallet, and that the wallet has enabled."""

    wallet: str
    roles: Module | None
    delay: Module | None


@dataclass(frozen=True)
class Discovery:
    """Finds the accounts of one chain."""

    database: Engine
    chain: ChainSettings
    registrar: Registrar

    def note(self, cursor: Cursor, seen: Iterable[Seen]) -> None:
        """What these logs tell of modifiers that were made, and of those that were nobody's; in the commit of their blocks."""
        if not self.chain.discovery.enabled:
            return
        found = list(seen)
        rows.note(cursor, self.chain.chain_id, self.made(found))
        stirred: dict[int, set[str]] = {}
        for each, event in found:
            if isinstance(event, REREAD):
                told = {each.address, getattr(event, "module", each.address)}
                stirred.setdefault(each.block_number, set()).update(told)
        for number, addresses in sorted(stirred.items()):
            rows.stir(cursor, self.chain.chain_id, addresses, number)

    def made(self, seen: Iterable[Seen]) -> list[Module]:
        """The modifiers that the known factory made from known builds."""
        factory, kind_of = self.chain.discovery.module_factory.lower(), self.chain.discovery.kind_of
        return [
            Module(event.proxy, kind, each.block_number)
            for each, event in seen
            if isinstance(event, chain_events.ModuleProxyCreation) and each.address == factory
            if (kind := kind_of(event.mastercopy)) is not None
        ]

    def settle(self, begin: int) -> None:
        """Settlement's wallet comes under watch in every token, from where the listener began."""
        if self.chain.discovery.enabled:
            wallet = self.chain.settlement_address
            found = [Found(Request(wallet, token, "settlement"), begin + 1) for token in self.chain.tokens]
            self.registrar.register_found(found, self.registrar.final_block())

    def found_in(self, logs: Sequence[Log], final: int) -> int:
        """Accounts that came under watch because of these logs, whose blocks are final."""
        if not self.chain.discovery.enabled:
            return 0
        with transaction(self.database) as cursor:
            self.note(
                cursor, decode_all(each for each in logs if each.topics and each.topics[0] in TOPICS_OF_MAKING).events
            )
        return self.look(final)

    def look(self, final: int) -> int:
        """Ask those that were made up to a final block whose they are, and take the accounts under watch. Gives how many accounts."""
        taken, newest = 0, None
        while self.chain.discovery.enabled:
            with transaction(self.database) as cursor:
                asked = rows.to_ask(cursor, self.chain.chain_id, final, AT_ONCE)
            if not asked:
                break
            newest = newest or self._block(final)
            taken += self.judge(asked, newest)
        return taken

    def _block(self, final: int) -> Header:
        found = self.registrar.rpc.block(final)
        if found is None:
            raise Retry(f"{self.registrar.rpc.node} has no block {final}, which is final")
        return found

    def judge(self, asked: Sequence[Module], final: Header) -> int:
        """Register the accounts that these modifiers guard, and remember what became of each. Gives how many accounts."""
        avatars = dict(zip(asked, self._avatars(asked, final), strict=True))
        guards = self._guards({each for each in avatars.values() if each is not None}, avatars, final)
        whole = [each for each in guards if each.roles is not None and each.delay is not None]
        tokens = scoped_tokens(
            self.registrar.rpc, self.chain, [each.roles.address for each in whole if each.roles], final.hash
        )
        ours = {each.wallet: token for each, token in zip(whole, tokens, strict=True) if token is not None}
        if ours:
            self._register([(each, ours[each.wallet]) for each in whole if each.wallet in ours], final)
        verdicts = {each.wallet: _verdict(each, each.wallet in ours) for each in guards}
        answers = [
            (each.address, wallet, verdicts.get(wallet or "", "acts for nobody")) for each, wallet in avatars.items()
        ]
        with transaction(self.database) as cursor:
            rows.asked(cursor, self.chain.chain_id, answers)
        told = Counter(verdict for _, _, verdict in answers)
        log.info("modules_judged", block_number=final.number, accounts=len(ours), modules=dict(told))
        return len(ours)

    def _avatars(self, asked: Sequence[Module], final: Header) -> list[str | None]:
        calls = [(each.address, call_data("avatar()")) for each in asked]
        found = aggregate(self.registrar.rpc, self.chain.multicall_address, calls, final.hash)
        said = [decoded(("address",), answer) for answer in found]
        return [str(values[0]).lower() if values else None for values in said]

    def _guards(self, wallets: set[str], avatars: dict[Module, str | None], final: Header) -> list[_Guards]:
        """Whoever makes a modifier says whom it acts for; whether it does, the wallet alone says."""
        with transaction(self.database) as cursor:
            known = rows.of_wallets(cursor, self.chain.chain_id, sorted(wallets))
        enabled = self._enabled(sorted(wallets), final)
        of: dict[str, dict[str, Module]] = {wallet: {} for wallet in enabled}
        for module, wallet in [*((each, each.wallet) for each in known), *avatars.items()]:
            if wallet is not None and module.address in enabled[wallet]:
                of[wallet][module.kind] = module
        return [_Guards(wallet, found.get("roles"), found.get("delay")) for wallet, found in of.items()]

    def _enabled(self, wallets: Sequence[str], final: Header) -> dict[str, set[str]]:
        """The modules of each wallet, the first ten: an account has two."""
        calls = [(wallet, call_data(MODULES, LIST_BEGIN, 10)) for wallet in wallets]
        said = aggregate(self.registrar.rpc, self.chain.multicall_address, calls, final.hash) if calls else []
        told = [decoded(("address[]", "address"), answer) for answer in said]
        return {
            wallet: {str(each).lower() for each in values[0]} if values else set()
            for wallet, values in zip(wallets, told, strict=True)
        }

    def _register(self, accounts: Sequence[tuple[_Guards, Token]], final: Header) -> None:
        found = [
            Found(_request(each.wallet, token, each.roles, each.delay), _made(each.roles, each.delay))
            for each, token in accounts
            if each.roles is not None and each.delay is not None
        ]
        self.registrar.register_found(found, final)


def _request(wallet: str, token: Token, roles: Module, delay: Module) -> Request:
    return Request(
        checksummed(wallet), token, roles_module=checksummed(roles.address), delay_module=checksummed(delay.address)
    )


def _made(*guards: Module) -> int | None:
    """The block that made the account; None where it became one only later: then it is known from the block that we look at."""
    late = any(each.verdict is not None for each in guards)
    return None if late else min(each.made_block for each in guards)


def _verdict(guards: _Guards, ours: bool) -> str:
    if ours:
        return ACCOUNT
    if guards.roles is None or guards.delay is None:
        return f"its wallet has enabled no {'Roles' if guards.roles is None else 'Delay'} modifier that we know"
    return "does not let our spender pay settlement"
