"""Programs that must not share our environment, each in a folder of the cache: installed at first use from a lock, each package by its hash."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from infra.bootstrap import index
from infra.errors import Misconfigured, Unreachable
from infra.stack.cache import build_once, cache_folder


@dataclass(frozen=True)
class SideEnvironment:
    """`name`: its folder's; `lock`: what is in it; `what`, `command`: as a person knows them."""

    name: str
    lock: Path
    what: str
    command: str

    def ready(self, cache: Path | None = None, *, offline: bool = False) -> Path:
        """The folder with the packages, made once. Raises Misconfigured offline, Unreachable where they cannot be had."""
        root = cache_folder(cache)
        key = hashlib.sha256(self.lock.read_bytes()).hexdigest()[:12]
        place = root / f"{self.name}-{key}-{sys.implementation.cache_tag}"
        if offline and not place.exists():
            raise Misconfigured(f"{self.what} is not in the cache {root}; run `{self.command}` once without --offline")
        return build_once(place, self._install)

    def _install(self, folder: Path) -> None:
        locked = ("--no-deps", "--require-hashes", "--only-binary", ":all:", "--requirement", str(self.lock))
        wanted = ("--target", str(folder), "--quiet", *locked)
        uv = [sys.executable, "-m", "uv", "pip", "install", "--python", python(), *wanted]
        pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *wanted]
        told = {"UV_DEFAULT_INDEX": index()} if index() else {}
        environment = {**told, **os.environ}
        done = None
        for command in (uv, pip):
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return
        said = done.stderr.strip()[-600:] if done else ""
        raise Unreachable(f"{self.what} could not be installed: {said}; try again")


def python() -> str:
    """The Python below our own environment: it sees none of our packages."""
    return str(getattr(sys, "_base_executable", sys.executable))
