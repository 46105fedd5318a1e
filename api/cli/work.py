"""`payriver work ROLE` and `payriver serve`: one worker, or the API, until SIGTERM."""

from __future__ import annotations

import sys

import typer

from api.roots.root import Root
from api.roots.workers import HANDLERS, consume, sender
from connectors.recovery.agreement import check_read_side
from infra.errors import BadInput

ROLES = (*HANDLERS, "sender")


def serve() -> None:
    """Answer the REST API, the card network's requests and the live page."""
    from api.app import create_app
    from api.app import serve as run

    root = Root.begin("api")
    check_read_side(root.write, root.read)
    run(
        create_app(root.settings, read=root.read, write=root.write, keys=root.keys, gateway=root.gateway), root.settings
    )


def work(role: str = typer.Argument(metavar="ROLE", help=f"One of: {', '.join(ROLES)}")) -> None:
    """Run one worker of ROLE until SIGTERM."""
    if role not in ROLES:
        raise BadInput(f"no role is called {role!r}; the roles are {', '.join(ROLES)}")
    root = Root.begin(role)
    sys.exit(sender(root) if role == "sender" else consume(root, HANDLERS[role](root)))
