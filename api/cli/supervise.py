"""The process behind `payriver up`: holds the stack until it is told to end. Started by `up`, not by hand."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import structlog
import typer

from api.roots.development_chain import prepare_lively
from api.roots.provisioning import River
from infra.errors import PayriverError
from infra.settings import MachineSettings, Settings, rules
from infra.stack.roles import IDENTITIES
from infra.stack.start_order import SERVERS
from infra.stack.supervisor import Stack

log = structlog.get_logger(__name__)


def supervise(
    folder: Path,
    chain: Annotated[Path | None, typer.Option()] = None,
    offline: Annotated[bool, typer.Option()] = False,
    throwaway: Annotated[bool, typer.Option()] = False,
    restore: Annotated[bool, typer.Option()] = False,
) -> None:
    """Starts the stack in `folder` and ends it at SIGTERM or SIGINT, also in the middle of the start."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    machine, told = MachineSettings(), Settings()
    stack = Stack(
        folder,
        throwaway=throwaway,
        servers=[name for name in SERVERS if name != "node" or chain is None],
        provisioner=River(last=prepare_lively, restore=restore),
        partitions=told.topic_partitions,
        chain_file=chain,
        settings={name: rules(told) | _signing(told).get(name, {}) for name in IDENTITIES},
        cache=machine.cache,
        mirror=machine.maven_mirror,
        offline=offline or machine.offline,
    )
    try:
        with stack:
            log.info("ready", seconds=stack.seconds)
            while True:
                signal.pause()
    except KeyboardInterrupt:
        log.info("ended", seconds=stack.seconds)
    except PayriverError as error:
        log.error("failed", reason=error.reason, error=str(error))
        sys.exit(1)


def _signing(told: Settings) -> dict[str, dict[str, str]]:
    """The keys for a chain that is not ours, as `up` was told of them; only those that sign are told in turn, each its own."""
    if told.keystore is None:
        return {}
    passwords = {"submitter": told.keystore_password, "audit": told.anchor_password}
    return {
        name: {
            "PAYRIVER_KEYSTORE": str(told.keystore.absolute()),
            "PAYRIVER_KEYSTORE_PASSWORD": each.get_secret_value(),
        }
        for name, each in passwords.items()
    }


if __name__ == "__main__":
    typer.run(supervise)
