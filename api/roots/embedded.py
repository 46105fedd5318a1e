"""The embedded stack as the demo and its bench play on it."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from api.roots.development_chain import prepare
from api.roots.provisioning import River
from infra.settings import MachineSettings
from infra.stack.supervisor import Stack

PARTITIONS = 4
SENDER = {"PAYRIVER_WEBHOOK_ALLOWED_HOSTS": '["127.0.0.1"]'}


def embedded(console: Console, *, offline: bool = False, cache: Path | None = None) -> Stack:
    """The stack of the demo, also of its bench: thrown away in the end, yet everything waits for the disk."""
    machine = MachineSettings()
    return Stack(
        throwaway=False,
        provisioner=River(last=prepare),
        partitions=PARTITIONS,
        settings={"sender": SENDER},
        cache=cache or machine.cache,
        mirror=machine.maven_mirror,
        offline=offline or machine.offline,
        console=console,
    )
