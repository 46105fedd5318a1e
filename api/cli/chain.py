"""`payriver listen`, `payriver submit`, `payriver account`: the processes and orders that speak to the chain."""

from __future__ import annotations

import os
import socket
import sys
from typing import Annotated
from uuid import UUID

import structlog
import typer
from rich.console import Console

from api.cli.options import HomeOption
from api.roots.chain import ChainRoot, listener_of
from api.roots.workers import consume, until_signalled
from connectors.chain.accounts.request import Request
from connectors.chain.preflight import examine
from connectors.chain.sending.intents import IntentAgent
from connectors.chain.sending.submitter import Submitter
from connectors.chain.settings import ChainSettings, Token
from infra.errors import BadInput
from infra.garbage import look_seldom


def listen() -> None:
    """Follow the chain: what it says of our accounts becomes events."""
    root = ChainRoot.begin("listener")
    listener = listener_of(root, f"{socket.gethostname()}/{os.getpid()}")
    look_seldom()
    listener.run(until_signalled())


def submit() -> None:
    """Carry out the sagas' chain commands: sign, store, broadcast, watch."""
    root = ChainRoot.begin("submitter")
    keys = root.keyring
    for hint in examine(root.chain, root.rpc, keys):
        structlog.get_logger(__name__).warning("keys", hint=hint)
    agent = IntentAgent(root.codec, root.chain, keys.delegate.address, keys.settlement.address)
    loop = Submitter(root.write, root.rpc, root.chain, root.handler, keys)
    sys.exit(consume(root, agent, [loop], after_commit=lambda _: loop.news.set()))


account = typer.Typer(no_args_is_help=True, help="Accounts under watch.")


@account.command()
def register(
    wallet: Annotated[str, typer.Argument(metavar="WALLET", help="Address that holds the tokens (the Safe).")],
    roles: Annotated[str | None, typer.Option(help="Address of its Roles modifier.")] = None,
    delay: Annotated[str | None, typer.Option(help="Address of its Delay modifier.")] = None,
    card: Annotated[str | None, typer.Option(help="Token of its card; never a PAN.")] = None,
    person: Annotated[UUID | None, typer.Option(help="Whose account it is.")] = None,
    currency: Annotated[str | None, typer.Option(help="Which of the chain file's tokens, by currency.")] = None,
    settlement: Annotated[bool, typer.Option(help="It is the settlement wallet.")] = False,
    home: HomeOption = None,
) -> None:
    """Take a wallet under watch, with what the chain says of it at a final block."""
    root = ChainRoot.begin("operator", home=home)
    kind = "settlement" if settlement else "customer"
    token = _token(root.chain, currency)
    request = Request(wallet, token, kind, roles_module=roles, delay_module=delay, card_token=card, person_id=person)
    Console().print(f"account [bold]{root.registrar.register(request, 'operator')}[/] follows {wallet}")


@account.command()
def bind(
    wallet: Annotated[str, typer.Argument(metavar="WALLET", help="Address that holds the tokens (the Safe).")],
    card: Annotated[str, typer.Argument(metavar="CARD", help="Token of its card; never a PAN.")],
    currency: Annotated[str | None, typer.Option(help="Which of the chain file's tokens, by currency.")] = None,
    home: HomeOption = None,
) -> None:
    """Give an account that was found by itself its card."""
    root = ChainRoot.begin("operator", home=home)
    account_id = root.registrar.account_of(wallet, _token(root.chain, currency))
    root.registrar.bind_card(account_id, card, "operator")
    Console().print(f"account [bold]{account_id}[/] has card {card}")


def _token(chain: ChainSettings, currency: str | None) -> Token:
    found = [each for each in chain.tokens if currency in (None, each.currency)]
    if len(found) != 1:
        there = ", ".join(each.currency for each in chain.tokens)
        said = "there are several" if currency is None else f"{currency!r} is none of them"
        raise BadInput(f"--currency must name one of this chain's: {there}; {said}")
    return found[0]
