"""Where a river can be looked at: the live page with its key, the API's documentation; and how to ask the command line."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterable

from rich.console import Console

from infra.stack import access
from infra.stack.cache import data_folder
from infra.stack.home import Home


def show(console: Console, home: Home, servers: Iterable[str] = ()) -> None:
    """A line an address of the embedded stack in this home, then the command that tells a payment's story.

    The page's key stands behind its #, and is good for everything.
    """
    api, key = access.url(home, "api"), home.password("api")
    elsewhere = "" if home.folder == data_folder() else f" --home {home.folder}"
    told = {
        "live page": f"{api}/#key={key}",
        "API": f"{api}/docs",
        "API key": key,
        **{name: access.url(home, name) for name in servers},
        "a story": f"{_program()} explain PAYMENT{elsewhere}",
    }
    for name, value in told.items():
        console.print(f"  {name:<12} {value}", soft_wrap=True, highlight=False)


def _program() -> str:
    """As a shell finds it: by its name where it is on the path, else as it was called."""
    return "payriver" if shutil.which("payriver") else shlex.quote(sys.argv[0])
