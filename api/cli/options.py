"""What many commands take, in the same words everywhere: where the embedded stack's home is, times, and whether a program reads the answer."""

from __future__ import annotations

import getpass
import select
from datetime import datetime
from io import UnsupportedOperation
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from pydantic import TypeAdapter

from infra.errors import BadInput
from infra.moments import moment_of

HomeOption = Annotated[Path | None, typer.Option("--home", help="The embedded stack's folder; also PAYRIVER_HOME.")]

MOST_SECONDS = 86_400
"""That a command waits."""


def seconds_option(words: str) -> Any:
    """So long a command waits. Neither for ever nor for what is no number: a wait that no clock ends would never return."""
    return typer.Option(help=words, callback=_seconds)


def _seconds(wanted: float) -> float:
    if not 0 <= wanted <= MOST_SECONDS:
        raise typer.BadParameter(f"{wanted} is no number of seconds from 0 to {MOST_SECONDS}")
    return wanted


def by_option(words: str) -> Any:
    """Who does something, by the machine's name for whoever calls unless another is said; kept with it."""
    return typer.Option("--by", help=words, default_factory=getpass.getuser, show_default="who calls")


def reason_option(words: str) -> Any:
    """Why something is done: by the rule that the API has for it, since what is taken here is shown there."""
    return typer.Option(help=words, callback=_reason)


def _reason(told: str | None) -> str | None:
    if told is None:
        return None
    from api.requests.orders import Text

    try:
        return str(TypeAdapter(Text).validate_python(told if told.strip() else ""))
    except ValueError:
        raise typer.BadParameter("say why in 1 to 140 printable characters") from None


JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def moment(told: str) -> datetime:
    """A day or a time that a person wrote, in UTC. Raises BadInput."""
    try:
        return moment_of(told)
    except ValueError as error:
        raise BadInput(
            f"{told!r} is no day or time ({error}); write 2026-03-01 or 2026-03-01T12:00:00Z (UTC where no zone is said)"
        ) from None


def listened(out: TextIO) -> bool:
    """Whether somebody still reads it: of a pipe that its reader has left one who waits would learn with the next word alone."""
    try:
        descriptor = out.fileno()
    except UnsupportedOperation:
        return True
    poll = select.poll()
    poll.register(descriptor, 0)
    return not poll.poll(0)
