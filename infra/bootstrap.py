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
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements.lock"
PROJECT = ROOT / "pyproject.toml"
STAMP = VENV / "installed"
BUILDS_OTHERS = "setuptools"
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--no-deps")
LOCKED = ("--require-hashes", "--no-build-isolation", "--use-pep517")


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
        run(*PIP, "--quiet", "--no-build-isolation", "--editable", ROOT)
        STAMP.write_text("\n".join(wanted) + "\n")


def install_locked(lock: str) -> None:
    """Every package of the lock, by its hash: first the one that builds others."""
    if not runs():
        make_venv()
    count = len(re.findall(r"^\S+==", lock, re.MULTILINE))
    say(f"installing the {count} packages of requirements.lock into .venv (some 200 MB to fetch, the first time)")
    with tempfile.TemporaryDirectory() as folder:
        first = Path(folder, "first.txt")
        first.write_text(entry(lock, BUILDS_OTHERS))
        run(*PIP, *LOCKED, "--quiet", "--only-binary", ":all:", "--requirement", first)
    run(*PIP, *LOCKED, *(() if sys.stderr.isatty() else ("--quiet",)), "--requirement", LOCK)


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


def run(*command: object) -> None:
    """A step of .venv's Python, its words on our own error stream; where it fails, so do we."""
    words = [str(PYTHON), *map(str, command)]
    if subprocess.run(words, stdout=sys.stderr, check=False, cwd=ROOT, env=dict(os.environ)).returncode:
        stop("that did not work, see above; once it is mended, the same command goes on from there")


def say(words: str) -> None:
    """One line of what happens."""
    sys.stderr.write(f"payriver: {words}\n")


def stop(words: str) -> NoReturn:
    """One sentence, and a failure."""
    say(words)
    sys.exit(1)


if __name__ == "__main__":
    main()
