"""What is nested without an end ends no process, wherever what others say is read."""

from __future__ import annotations

import subprocess
import sys

import pytest

READ = "import json, {module}\ntry:\n    json.loads('[' * 99_000)\nexcept RecursionError:\n    print('refused')"


@pytest.mark.parametrize("module", ["api.app", "api.cli.audit"])
def test_brackets_without_an_end_are_refused(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", READ.format(module=module)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "refused\n"), done.stderr[-300:]
