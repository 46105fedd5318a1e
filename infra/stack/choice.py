"""The one choice between two runtimes for the tests: containers where a Docker engine answers, the embedded servers where not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import httpx

from infra.stack.containers import ContainerStack
from infra.stack.supervisor import Provisioner, Stack

Runtime = Literal["containers", "embedded"]
SOCKETS = ("/var/run/docker.sock", "/run/docker.sock", "~/.docker/run/docker.sock")


def choose() -> Runtime:
    """Which runtime the tests stand on here."""
    return "containers" if docker_answers() else "embedded"


def docker_answers() -> bool:
    """Whether a Docker engine answers on its socket; only asks, and needs no client."""
    return any(_pings(Path(socket).expanduser()) for socket in SOCKETS)


def stack_for_tests(provisioner: Provisioner, *, partitions: int = 4) -> Stack:
    """The servers, provisioned and thrown away afterwards, with none of our own processes."""
    if choose() == "containers":
        return ContainerStack(provisioner=provisioner, partitions=partitions)
    return Stack(provisioner=provisioner, partitions=partitions, components=())


def _pings(socket: Path) -> bool:
    if not socket.exists() or not os.access(socket, os.R_OK | os.W_OK):
        return False
    try:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), timeout=3) as http:
            return http.get("http://docker/_ping").status_code == 200
    except httpx.HTTPError:
        return False
