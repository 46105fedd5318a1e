"""A listener or submitter of its own process that steps until a failpoint kills it, or until nothing moves: `python ... listen CHAIN_FILE`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from connectors.chain.accounts.discovery import Discovery
from connectors.chain.accounts.reading import AccountReader
from connectors.chain.accounts.registration import Registrar
from connectors.chain.listening.booking import Booking
from connectors.chain.listening.listener import Listener
from connectors.chain.listening.reconcile import Reconciler
from connectors.chain.node.rpc import Rpc
from connectors.chain.settings import load_chain_settings
from infra import failpoints
from infra.database import engine, transaction
from infra.settings import Settings
from schemas.registry import load_codec
from streams.command_handler import CommandHandler
from streams.domain.circumstances import Policy


def main() -> None:
    settings = Settings()
    database, chain = engine(settings.write_url), load_chain_settings(Path(sys.argv[1]))
    with transaction(database) as cursor:
        handler = CommandHandler(load_codec(cursor), Policy())
    rpc = Rpc(chain.rpc_urls)
    reader = AccountReader(rpc, chain)
    reconciler = Reconciler(database, rpc, chain, reader)
    discovery = Discovery(database, chain, Registrar(database, rpc, chain, reader, handler))
    listener = Listener(database, rpc, chain, Booking(chain.chain_id, handler), reconciler, discovery, "killed", 0.01)
    failpoints.arm(settings.failpoint)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if not listener.step():
            time.sleep(0.05)


if __name__ == "__main__":
    main()
