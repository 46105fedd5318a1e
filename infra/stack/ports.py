"""Free loopback ports, kept with a stack's home so that a restarted server comes back where its clients look for it."""

from __future__ import annotations

import random
import socket
from pathlib import Path

EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST = 15_000


def free_port(avoid: set[int]) -> int:
    """A port that nobody listens on, below those the kernel lends to outgoing connections where there is room.

    One of those could be lent out while its server restarts, and the server would not come back.
    """
    for _ in range(200):
        port = random.randrange(LOWEST, _first_lent())
        if port not in avoid and is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
