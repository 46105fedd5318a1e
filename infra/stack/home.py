"""A stack's home: its folders, ports and passwords, the lock that says it runs, and the state that others may read."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from typing import IO, Any

from infra.errors import Misconfigured
from infra.stack.cache import is_root, must_be_reachable, must_be_somebody
from infra.stack.ports import claimed, claimed_port, is_free
from infra.stack.process import Identity, end

PREFIX = "payriver-home-"
JUST_MADE_SECONDS = 120
GLANCE_SECONDS = 1.0
"""Who only looks whether a supervisor lives has the lock for a moment."""
FOLDERS = ("conf", "logs", "tmp", "work", "keystore")


@dataclass
class Home:
    """One stack's folder. Passwords are made at the first start, and only their owner may read them."""

    folder: Path
    ports: dict[str, int] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict, repr=False)
    _lock: IO[str] | None = field(default=None, repr=False)
    _claims: dict[int, socket] = field(default_factory=dict, repr=False)

    @classmethod
    def throwaway(cls) -> Home:
        """A new folder for one run. What earlier runs could not clean up any more is cleaned first."""
        place = _temporary_place()
        for old in place.glob(f"{PREFIX}*"):
            _clean(old)
        return cls(Path(tempfile.mkdtemp(prefix=PREFIX, dir=place)))

    def path(self, *parts: str) -> Path:
        """A path below the home."""
        return self.folder.joinpath(*parts)

    def open(self) -> None:
        """Makes this process the home's one supervisor; ends what an earlier one left behind."""
        must_be_somebody()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o711 if is_root() else 0o700)
        must_be_reachable(self.folder, "the stack's home")
        self._lock = take_lock(self.folder, GLANCE_SECONDS)
        if self._lock is None:
            raise Misconfigured(
                f"a stack runs in {self.folder} already; see `payriver status`, end it with `payriver down`"
            )
        end_left_overs(self.folder)
        shutil.rmtree(self.path("tmp"), ignore_errors=True)
        for name in FOLDERS:
            self.path(name).mkdir(exist_ok=True)
            self.path(name).chmod(0o700)
        self.load()

    def load(self) -> None:
        """Reads the ports and passwords, without becoming the supervisor."""
        self.ports = _read_json(self.path("ports.json"))
        self.passwords = _read_json(self.path("secrets.json"))

    def close(self, *, remove: bool = False) -> None:
        """Gives the home up, and its ports."""
        if remove:
            shutil.rmtree(self.folder, ignore_errors=True)
        for claim in self._claims.values():
            claim.close()
        self._claims.clear()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def choose_ports(self, names: list[str]) -> None:
        """A port for each name, claimed until the home is closed: the one it had, where that is still free."""
        for name in names:
            if name not in self.ports or not self._keeps(self.ports[name]):
                port, self._claims[port] = claimed_port(set(self.ports.values()))
                self.ports[name] = port
        write_private(self.path("ports.json"), json.dumps(self.ports, indent=1))

    def _keeps(self, port: int) -> bool:
        """Whether a port that we had is ours again."""
        if port in self._claims:
            return is_free(port)
        claim = claimed(port)
        if claim is not None:
            self._claims[port] = claim
        return claim is not None

    def make_passwords(self, names: list[str]) -> None:
        """A random password for each name that has none."""
        for name in names:
            self.passwords.setdefault(name, secrets.token_urlsafe(24))
        write_private(self.path("secrets.json"), json.dumps(self.passwords, indent=1))

    def password(self, name: str) -> str:
        """The password of a database role (`write.commands`), a Kafka user (`kafka.connect`) and so on."""
        try:
            return self.passwords[name]
        except KeyError:
            raise Misconfigured(f"{self.folder} holds no password for {name}; start the stack there once") from None

    def port(self, name: str) -> int:
        """The port of a server."""
        try:
            return self.ports[name]
        except KeyError:
            raise Misconfigured(f"{self.folder} knows no port of {name}; start the stack there first") from None


def take_lock(folder: Path, seconds: float = 0.0) -> IO[str] | None:
    """The lock of a home, or None where somebody has had it all those seconds: a living supervisor."""
    file, end_at = (folder / "lock").open("a"), time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            if time.monotonic() >= end_at:
                file.close()
                return None
            time.sleep(0.02)


def read_state(folder: Path) -> dict[str, Any]:
    """What the supervisor last wrote about its processes; empty where there was none."""
    return _read_json(folder / "state.json")


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Replaces the state in one step, so that a reader never sees half of it."""
    write_private(folder / "state.json", json.dumps(state, indent=1))


def end_left_overs(folder: Path) -> None:
    """Ends the processes that a killed supervisor left; only with the home's lock in hand."""
    rows = read_state(folder).get("processes", [])
    end({Identity(r["pid"], r["created"]): r["signal"] for r in rows if r.get("pid")}, 12)
    (folder / "state.json").unlink(missing_ok=True)


def write_private(path: Path, text: str) -> None:
    """A file that only its owner may read, replaced in one step."""
    fresh = path.with_name(f".{path.name}.new")
    with open(fresh, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)
    fresh.replace(path)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Misconfigured(
            f"{path} is not what was written there; bring it back from a copy. state.json and ports.json may be removed where nothing runs:"
            " they are made anew. secrets.json may not: nobody else knows the databases' passwords"
        )
    return found


def _temporary_place() -> Path:
    """The folder for temporary files; for root one that the database's user may pass too."""
    for place in (Path(tempfile.gettempdir()), Path("/var/tmp")):
        with suppress(Misconfigured):
            must_be_reachable(place, "the folder for temporary files")
            return place
    raise Misconfigured("no folder for temporary files that every user may pass; set TMPDIR")


def _clean(old: Path) -> None:
    """Removes a throw-away home whose supervisor is dead. One that is just being made has no state yet, and is left alone."""
    with suppress(OSError):
        just_made = time.time() - old.stat().st_mtime < JUST_MADE_SECONDS and not (old / "state.json").exists()
        if old.stat().st_uid != os.geteuid() or just_made:
            return
        lock = take_lock(old)
        if lock is None:
            return
        end_left_overs(old)
        shutil.rmtree(old, ignore_errors=True)
        lock.close()
