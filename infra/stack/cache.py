"""Where downloaded servers rest between runs: outside the checkout, written whole or not at all, shared by every stack here."""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_cache_path, user_data_path

from infra.errors import Misconfigured

ROOT_CACHE = Path("/var/cache/payriver")
ROOT_DATA = Path("/var/lib/payriver")


def is_root() -> bool:
    """Root runs PostgreSQL under another user, who must be able to reach the binaries and the data."""
    return os.geteuid() == 0


def cache_folder(chosen: Path | None = None) -> Path:
    """The cache: the chosen one, or the system's for root, or the user's own."""
    folder = chosen or (ROOT_CACHE if is_root() else user_cache_path("payriver"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def data_folder(chosen: Path | None = None) -> Path:
    """Where a stack that is kept has its home: the chosen folder, or the system's for root, or the user's own."""
    return (chosen or (ROOT_DATA if is_root() else user_data_path("payriver"))).absolute()


def digest(path: Path) -> str:
    """A file's SHA-256, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time; the kernel lets go of the lock when its holder dies, however it dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """`folder`, made by `build` if it is not there yet: built beside its place and renamed, so that half a folder is never seen."""
    if folder.exists():
        return folder
    with locked(folder.parent / f".{folder.name}.lock"):
        if folder.exists():
            return folder
        for left_over in folder.parent.glob(f".{folder.name}.new-*"):
            shutil.rmtree(left_over)
        fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.new-", dir=folder.parent))
        fresh.chmod(0o755)
        build(fresh)
        fresh.rename(folder)
    return folder


def must_be_somebody() -> None:
    """Raises where the user that we run as has a number and no name, as in some containers: initdb refuses to work for nobody known."""
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        raise Misconfigured(
            f"user id {os.geteuid()} has no name on this machine, and PostgreSQL does not run without one: "
            "run as a user that is listed (`getent passwd`), or add this one (`adduser --uid`)"
        ) from None


def must_be_reachable(folder: Path, what: str) -> None:
    """Raises where root keeps `what` below a folder that the database's user may not pass."""
    if not is_root():
        return
    for step in (folder, *folder.parents):
        if step.exists() and not step.stat().st_mode & 0o001:
            raise Misconfigured(
                f"{what} {folder} lies below {step}, which only its owner may enter; PostgreSQL does not run as root: "
                f"choose a folder that every user may pass, such as one below {ROOT_DATA.parent}"
            )
