"""`payriver listen`, `payriver submit`, `payriver account`: the processes and orders that speak to the chain."""

from __future__ import annotations

import json
import os
import socket
import sys
from functools import cached_property
from pathlib import Path
from typing import Annotated
from uuid import UUID

import structlog
import typer
from rich.console import Console

from api.cli.options import HomeOption
from api.cli.roots import Root
from api.cli.work import consume, until_signalled
from connectors.chain.accounts.discovery import Discovery
from connectors.chain.accounts.reading import AccountReader
from connectors.chain.accounts.registration import Registrar
from connectors.chain.accounts.request import Request
from connectors.chain.client import rpc_of
from connectors.chain.listening.booking import Booking
from connectors.chain.listening.listener import Listener
from connectors.chain.listening.reconcile import Reconciler
from connectors.chain.node.abi import checksummed
from connectors.chain.node.rpc import Rpc
from connectors.chain.preflight import examine
from connectors.chain.sending.intents import IntentAgent
from connectors.chain.sending.keystore import Keyring, open_keys
from connectors.chain.sending.submitter import Submitter
from connectors.chain.settings import ChainSettings, Token, load_chain_settings
from infra.errors import BadInput, Misconfigured
from infra.garbage import look_seldom


class ChainRoot(Root):
    """A process that speaks to the chain: the chain file, the node, the keys."""

    @cached_property
    def chain(self) -> ChainSettings:
        """The chain file."""
        if self.settings.chain_file is None:
            raise Misconfigured(
                "PAYRIVER_CHAIN_FILE names no file; it says which node, tokens, settlement and spender there are"
            )
        return load_chain_settings(self.settings.chain_file)

    @cached_property
    def rpc(self) -> Rpc:
        """The nodes."""
        return rpc_of(self.chain)

    @cached_property
    def reader(self) -> AccountReader:
        """Reads accounts at a block."""
        return AccountReader(self.rpc, self.chain)

    @property
    def keyring(self) -> Keyring:
        """Our keys, opened."""
        folder = self.settings.keystore
        if folder is None:
            raise Misconfigured(
                "PAYRIVER_KEYSTORE names no folder; the submitter needs settlement.json, delegate.json and relayer.json"
            )
        return open_keys(folder, self.settings.keystore_password)

    def address(self, name: str) -> str:
        """The address of a key of ours, as its keystore file says it in the open."""
        folder = self.settings.keystore or (self.settings.home and self.settings.home / "keystore")
        path = (folder or Path()) / f"{name}.json"
        try:
            return checksummed("0x" + json.loads(path.read_text())["address"].removeprefix("0x"))
        except (OSError, ValueError, KeyError) as error:
            raise Misconfigured(
                f"no address of {name} in {path}; PAYRIVER_KEYSTORE names the keystore's folder"
            ) from error

    @property
    def registrar(self) -> Registrar:
        """Registers accounts."""
        return Registrar(self.write, self.rpc, self.chain, self.reader, self.handler)


def listen() -> None:
    """Follow the chain: what it says of our accounts becomes events."""
    root = ChainRoot.begin("listener")
    listener = listener_of(root, f"{socket.gethostname()}/{os.getpid()}")
    look_seldom()
    listener.run(until_signalled())


def listener_of(root: ChainRoot, name: str) -> Listener:
    """The chain's listener, under a name of its own."""
    return Listener(
        database=root.write,
        rpc=root.rpc,
        chain=root.chain,
        booking=Booking(root.chain.chain_id, root.handler),
        reconciler=Reconciler(root.write, root.rpc, root.chain, root.reader),
        discovery=Discovery(root.write, root.chain, root.registrar),
        name=name,
        poll_seconds=root.settings.poll_seconds,
    )


def submit() -> None:
    """Carry out the sagas' chain commands: sign, store, broadcast, watch."""
    root = ChainRoot.begin("submitter")
    keys = root.keyring
    for hint in examine(root.chain, root.rpc, keys):
        structlog.get_logger(__name__).warning("keys", hint=hint)
    agent = IntentAgent(root.codec, root.chain, keys.delegate.address, keys.settlement.address)
    loop = Submitter(root.write, root.rpc, root.chain, root.handler, keys)
    sys.exit(consume(root, agent, [loop], after_commit=lambda _: loop.news.set()))


def intents(root: ChainRoot) -> IntentAgent:
    """The submitter's agent for a replay: it needs the addresses of two keys, and none of the keys."""
    return IntentAgent(root.codec, root.chain, root.address("delegate"), root.address("settlement"))


account = typer.Typer(no_args_is_help=True, help="Accounts under watch.")


@account.command()
def register(
    wallet: Annotated[str, typer.Argument(help="Address that holds the tokens (the Safe).")],
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
    wallet: Annotated[str, typer.Argument(help="Address that holds the tokens (the Safe).")],
    card: Annotated[str, typer.Argument(help="Token of its card; never a PAN.")],
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
        raise BadInput(
            f"--currency must name one of {', '.join(each.currency for each in chain.tokens)}; {currency!r} names {len(found)}"
        )
    return found[0]
