"""What speaks to the chain: its root, the listener, the submitter's agent."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path

from api.roots.root import Root
from connectors.chain.accounts.discovery import Discovery
from connectors.chain.accounts.reading import AccountReader
from connectors.chain.accounts.registration import Registrar
from connectors.chain.client import rpc_of
from connectors.chain.listening.booking import Booking
from connectors.chain.listening.listener import Listener
from connectors.chain.listening.reconcile import Reconciler
from connectors.chain.node.abi import checksummed
from connectors.chain.node.rpc import Rpc
from connectors.chain.sending.intents import IntentAgent
from connectors.chain.sending.keystore import Keyring, open_keys
from connectors.chain.settings import ChainSettings, load_chain_settings
from infra.errors import Misconfigured


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


def intents(root: ChainRoot) -> IntentAgent:
    """The submitter's agent for a replay: it needs the addresses of two keys, and none of the keys."""
    return IntentAgent(root.codec, root.chain, root.address("delegate"), root.address("settlement"))
