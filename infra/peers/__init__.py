"""Others who do what we do, in environments of their own: what the benches run beside us."""

from __future__ import annotations

from pathlib import Path

from infra.stack.side_environment import SideEnvironment

ROOM = Path(__file__).parent
PEERS = SideEnvironment("peers", ROOM / "requirements.lock", "the peers of the bench", "payriver bench")
EVENTSOURCING = ROOM / "eventsourcing_peer.py"
PONDER = ROOM / "ponder"
"""A whole project of Ponder's, with its lock: copied to where it runs, for it writes beside its files."""
