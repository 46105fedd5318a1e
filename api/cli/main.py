"""`payriver`: the one command line. A command is a row of the table; only the module of the command that is given is loaded."""

from __future__ import annotations

import errno
import gc
import importlib
import io
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from infra.errors import BadInput, PayriverError, Unreachable

# Whom it is for -> command -> module that exports, under the command's name, its function or its typer.Typer of sub-commands.
PANELS: Mapping[str, Mapping[str, str]] = {
    "A river": {
        "up": "api.cli.stack",
        "down": "api.cli.stack",
        "status": "api.cli.stack",
        "customer": "api.cli.customer",
        "doctor": "api.cli.stack",
        "demo": "api.cli.demo",
    },
    "To look": {
        "explain": "api.cli.explain",
        "events": "api.cli.events",
        "diff": "api.cli.events",
        "chain": "api.cli.chain_status",
        "ui": "api.cli.ui",
        "verify": "api.cli.verify",
        "audit": "api.cli.audit",
    },
    "To act": {
        "parked": "api.cli.parked",
        "payment": "api.cli.payment",
        "account": "api.cli.chain",
        "webhook": "api.cli.webhook",
        "person": "api.cli.person",
        "forget": "api.cli.person",
    },
    "To keep it running": {
        "backfill": "api.cli.backfill",
        "snapshots": "api.cli.snapshots",
        "projections": "api.cli.projections",
        "archive": "api.cli.archive",
        "recover": "api.cli.recovery",
        "provision": "api.cli.stack",
        "migrate": "api.cli.stack",
    },
    "Its processes": {
        "serve": "api.cli.work",
        "work": "api.cli.work",
        "listen": "api.cli.chain",
        "submit": "api.cli.chain",
    },
    "For whoever changes the code": {
        "schemas": "api.cli.schemas",
        "bench": "api.cli.bench",
    },
}
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
COMMANDS = {name: (module, panel) for panel, modules in PANELS.items() for name, module in modules.items()}


def build(wanted: str | None = None) -> typer.Typer:
    """The command line with the wanted command alone, or with all of them where it is none of ours (`--help`)."""
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    app.callback()(payriver)
    for name in [wanted] if wanted is not None and wanted in COMMANDS else COMMANDS:
        module, panel = COMMANDS[name]
        found = getattr(importlib.import_module(module), name)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name, rich_help_panel=panel)
        else:
            app.command(name, rich_help_panel=panel)(found)
    return app


def payriver() -> None:
    """Event-driven card payments on Gnosis Chain: every step an event that nobody can lose."""


def main() -> None:
    """The console script. A named error is one line and exit status 1; anything else is a bug, and shows its trace."""
    _take_what_is_said()
    try:
        _must_be_text(sys.argv)
        app = build(sys.argv[1] if len(sys.argv) > 1 else None)
        gc.freeze()  # what was imported stays: looking through it for garbage stops all threads for some 40 ms, again and again
        app()
    except Exception as error:
        named = error if isinstance(error, PayriverError) else _named(error)
        if named is None:
            raise
        typer.secho(f"{named.reason}: {named}", fg=typer.colors.RED, err=True)
        sys.exit(1)


def _take_what_is_said() -> None:
    """Standard streams as every command may use them: a closed one drops what it is told, another alphabet's shows what it lacks as `?`.

    A file or a pipe is given UTF-8 whatever the locale says: JSON has no other encoding (RFC 8259, 8.1).
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 (as long as the process)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="replace")


def _must_be_text(words: Sequence[str]) -> None:
    """What a shell passes on may be any bytes; what none of our tables holds is refused here."""
    for word in words:
        if not word.isascii() and any("\udc80" <= character <= "\udcff" for character in word):
            raise BadInput(f"{word!r} is no UTF-8 text; say it in UTF-8")


def _named(error: Exception) -> PayriverError | None:
    """What the world did to us, by its name: a database that is away, a file that cannot be had. None for a mistake of ours."""
    from psycopg2 import OperationalError
    from sqlalchemy.exc import DBAPIError

    found = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    if isinstance(found, OperationalError):
        said = (str(found).strip().splitlines() or [type(found).__name__])[0]
        return Unreachable(f"a database does not answer: {said}; do it again when it does, what was done stands")
    if isinstance(found, OSError) and found.filename is not None:
        return BadInput(f"{found.filename}: {found.strerror}; name a file or folder that can be had")
    if isinstance(found, OSError) and found.errno in FULL:
        return BadInput(f"what is said or written has no room: {found.strerror}; make some, and do it again")
    return None


if __name__ == "__main__":
    main()
