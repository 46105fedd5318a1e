"""Kaskade and what it needs, in a folder of the cache: installed at first use from a lock of its own, each package by its hash.

It brings `avro`, which has the same modules as the avro-python3 that judges our bytes: the two never share an environment.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from infra.bootstrap import index
from infra.errors import Misconfigured, Unreachable
from infra.stack.cache import build_once, cache_folder

LOCK = Path(__file__).with_name("requirements.lock")
LOCKED = ("--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--requirement", str(LOCK))


def ready(cache: Path | None = None, *, offline: bool = False) -> Path:
    """The folder with the packages; about 150 MB, made once. Raises Misconfigured offline, Unreachable where they cannot be had."""
    root = cache_folder(cache)
    key = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    place = root / f"ui-{key}-{sys.implementation.cache_tag}"
    if offline and not place.exists():
        raise Misconfigured(f"the Kafka UI is not in the cache {root}; run `payriver ui` once without --offline")
    return build_once(place, _install)


def python() -> str:
    """The Python below our own environment: it sees none of our packages."""
    return str(getattr(sys, "_base_executable", sys.executable))


def _install(folder: Path) -> None:
    target = ("--target", str(folder))
    uv = [sys.executable, "-m", "uv", "pip", "install", "--python", python(), *target, *LOCKED]
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *target, *LOCKED]
    told = {"UV_DEFAULT_INDEX": index()} if index() else {}
    environment = {**told, **os.environ}
    done = None
    for command in (uv, pip):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
    raise Unreachable(f"the Kafka UI could not be installed: {done.stderr.strip()[-600:] if done else ''}; try again")
