"""Before anything else: makes `.venv` and fills it with exactly what requirements.lock names. `make` runs it; only Python is needed.

Each package is held against its hash. What comes as source alone is built by the setuptools of the lock, and the project by the
lock's hatchling, so that nothing is fetched that the lock does not name. Done again only when the lock or the project changed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements.lock"
PROJECT = ROOT / "pyproject.toml"
STAMP = VENV / "installed"
PACKAGES = ("schemas", "infra", "streams", "connectors", "api")
FIRST = ("setuptools", "uv")  # what builds the one source package, and what installs the rest in parallel
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input", "install")
UV = ("-m", "uv", "pip", "install", "--compile-bytecode", "--python", PYTHON)
LOCKED = ("--no-deps", "--require-hashes", "--no-build-isolation", "--requirement")


def main() -> None:
    """Bring .venv in step, unless it is."""
    with one_at_a_time():
        told = STAMP.read_text().split() if STAMP.exists() and runs() else ["", ""]
        wanted = [digest(LOCK), digest(PROJECT)]
        if told == wanted:
            return
        STAMP.unlink(missing_ok=True)
        if told[0] != wanted[0]:
            install_locked(LOCK.read_text())
        say("installing payriver itself")
        must(*PIP, "--quiet", "--no-deps", "--no-build-isolation", "--editable", ROOT)
        run("-m", "compileall", "-q", *PACKAGES)  # once, not by each of the twenty processes that start together
        STAMP.write_text("\n".join(wanted) + "\n")


def install_locked(lock: str) -> None:
    """Every package of the lock, by its hash: first the two that install the others."""
    if not runs():
        make_venv()
    count = len(re.findall(r"^\S+==", lock, re.MULTILINE))
    say(f"installing the {count} packages of requirements.lock into .venv (some 200 MB to fetch, the first time)")
    with tempfile.TemporaryDirectory() as folder:
        first = Path(folder, "first.txt")
        first.write_text("".join(entry(lock, name) for name in FIRST))
        must(*PIP, "--quiet", "--only-binary", ":all:", *LOCKED, first)
    quietly = () if sys.stderr.isatty() else ("--quiet",)
    if not run(*UV, *quietly, *LOCKED, LOCK):  # it knows nothing of a certificate that only pip was told of
        say("uv could not; pip takes its place")
        must(*PIP, *quietly, "--use-pep517", *LOCKED, LOCK)


def make_venv() -> None:
    """A fresh one, with the pip that this Python carries. An old one may belong to a checkout that has moved."""
    say(f"making .venv with Python {sys.version.split()[0]}")
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-400:]
        stop(f"python -m venv failed; on Debian and Ubuntu `apt-get install python3-venv` brings what it lacks: {said}")


def runs() -> bool:
    """Whether .venv's Python answers, and is the one of this place."""
    if not PYTHON.exists():
        return False
    ask = "import sys, pip; print(sys.prefix if sys.version_info >= (3, 11) else 'too old')"
    told = subprocess.run([PYTHON, "-c", ask], capture_output=True, text=True, check=False)
    return told.stdout.strip() == str(VENV)


def entry(lock: str, name: str) -> str:
    """One package's lines: its version and its hashes."""
    found = re.search(rf"^{re.escape(name)}==.*?(?=^\S|\Z)", lock, re.MULTILINE | re.DOTALL)
    if found is None:
        stop(f"requirements.lock does not name {name}; run `make lock`")
    return found[0]


def digest(path: Path) -> str:
    """A file's SHA-256, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Of two `make` at once, the second waits, and finds it done."""
    with PROJECT.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def must(*command: object) -> None:
    """A step without which it does not go on."""
    if not run(*command):
        stop("that did not work, see above; once it is mended, the same command goes on from there")


def run(*command: object) -> bool:
    """A step of .venv's Python, its words on our own error stream; whether it worked."""
    told = {"UV_DEFAULT_INDEX": index()} if index() else {}
    words = [str(PYTHON), *map(str, command)]
    return subprocess.run(words, stdout=sys.stderr, check=False, cwd=ROOT, env={**told, **os.environ}).returncode == 0


@cache
def index() -> str:
    """The package index that pip was told to use, for uv to use too; empty: the public one."""
    command = [str(PYTHON), "-m", "pip", "config", "get", "global.index-url"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    return os.environ.get("PIP_INDEX_URL", "") or told.stdout.strip()


def say(words: str) -> None:
    """One line of what happens."""
    sys.stderr.write(f"payriver: {words}\n")


def stop(words: str) -> NoReturn:
    """One sentence, and a failure."""
    say(words)
    sys.exit(1)


if __name__ == "__main__":
    main()
