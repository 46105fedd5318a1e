"""What every server of the stack is told, and what the supervisor may ask of it."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Protocol

import httpx

from infra.stack.fetch import Servers
from infra.stack.home import Home, write_private
from infra.stack.process import Command

TEMPLATES = Path(__file__).parent.parent / "templates"


@dataclass(frozen=True)
class Site:
    """Where and how a stack runs. `throwaway`: for tests, nothing survives a power failure, and nothing waits for the disk."""

    home: Home
    programs: Servers
    throwaway: bool
    offline: bool = False
    slots_in_an_epoch: int = 4


class Server(Protocol):
    """One server. `prepare` lays its folder out (again, on kept data) before each start."""

    name: str
    version: str

    def prepare(self) -> None:
        """Writes what the server needs before it starts."""

    def command(self) -> Command:
        """How it is started."""

    def ready(self) -> bool:
        """Whether it answers."""

    def stopped(self) -> None:
        """Called after it ended in order."""


def fill(template: str, target: Path, values: dict[str, object]) -> Path:
    """A configuration file from its template; it holds passwords, so only its owner may read it."""
    write_private(target, Template((TEMPLATES / template).read_text()).substitute(values))
    return target


def listens(port: int) -> bool:
    """Whether something accepts connections there; asked first, since clients are loud about a server that is not up."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def answers(address: str, *, login: tuple[str, str] | None = None) -> httpx.Response | None:
    """A GET's response, or None while nobody answers."""
    try:
        return httpx.get(address, auth=login, timeout=2, trust_env=False)
    except httpx.HTTPError:
        return None
