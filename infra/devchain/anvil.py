"""The development node's program and its arguments; who starts it (the stack, a test) supervises it."""

from __future__ import annotations

import platform
from pathlib import Path

from infra.errors import Misconfigured

_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def anvil_program(node_modules: Path) -> Path:
    """The platform's own binary. Raises `Misconfigured` where the packages carry none for this machine."""
    system = platform.system().lower()
    machine = _MACHINES.get(platform.machine().lower(), platform.machine().lower())
    name = f"anvil-{'win32' if system == 'windows' else system}-{machine}"
    program = node_modules / "@foundry-rs" / name / "bin" / ("anvil.exe" if system == "windows" else "anvil")
    if not program.exists():
        raise Misconfigured(f"{program} is missing: no package of anvil for {system} {machine} is installed")
    return program


def anvil_command(
    node_modules: Path,
    *,
    port: int,
    cache: Path,
    chain_id: int = 100,
    slots_in_an_epoch: int = 4,
    states: int = 128,
    state: Path | None = None,
) -> list[str]:
    """The whole command line. Mines a block for each transaction, until it is told otherwise.

    The tags are `safe` = head less one epoch, `finalized` = head less two. Calls at an older block, and reorgs, reach back
    over the last `states` blocks (0.4 MB of memory each); `states=0` keeps all, in a file each that anvil never
    removes from `cache`: give it a folder that you delete. `state` is loaded if it exists and written when anvil is ended
    (SIGTERM), older states and all, so that reads at a finalized block go on working.
    """
    command = [
        str(anvil_program(node_modules)),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--chain-id",
        str(chain_id),
    ]
    command += ["--quiet", "--order", "fifo", "--cache-path", str(cache), "--slots-in-an-epoch", str(slots_in_an_epoch)]
    if states:
        command += ["--prune-history", str(states)]
    if state is not None:
        command += ["--state", str(state), "--preserve-historical-states"]
    return command
