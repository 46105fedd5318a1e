"""Free loopback ports, kept with a stack's home so that a restarted server comes back where its clients look for it.

A port is free until its server listens, and stacks that start at once would choose the same: so each claims what it chooses.
"""

from __future__ import annotations

import random
import socket
import sys
from pathlib import Path

EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST = 15_000


def free_port(avoid: set[int]) -> int:
    """A port that nobody listens on and no stack has claimed."""
    port, claim = claimed_port(avoid)
    claim.close()
    return port


def claimed_port(avoid: set[int]) -> tuple[int, socket.socket]:
    """The same with its claim: below those ports that the kernel lends to outgoing connections, where there is room.

    One of those could be lent out while its server restarts, and the server would not come back.
    """
    for _ in range(200):
        port = random.randrange(LOWEST, _first_lent())
        if port not in avoid and (claim := claimed(port)) is not None:
            return port, claim
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if (claim := claimed(port)) is not None:
            return port, claim


def claimed(port: int) -> socket.socket | None:
    """Ours among all stacks of this machine until it is closed or we die; None where it is another's, or somebody listens on it.

    The claim is a name in Linux' abstract namespace (unix(7)), which no file is left of; elsewhere nobody else hears of it.
    """
    claim = socket.socket(socket.AF_UNIX)
    try:
        if sys.platform == "linux":
            claim.bind(f"\0payriver-port-{port}")
    except OSError:
        claim.close()
        return None
    if not is_free(port):
        claim.close()
        return None
    return claim


def is_free(port: int) -> bool:
    """Whether we may listen on it now; connections of an earlier server that only linger do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _first_lent() -> int:
    try:
        first = int(EPHEMERAL.read_text().split()[0])
    except (OSError, ValueError):
        first = 32_768
    return max(first, LOWEST + 1_000)
