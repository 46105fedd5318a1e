"""`payriver up` where another holds the home: it comes back when that one is ready, and with its failure."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from infra.stack.home import Home, take_lock, write_state
from infra.stack.roles import secret_names

ANOTHER = {"supervisor": {"pid": os.getpid(), "created": psutil.Process().create_time()}, "processes": []}
"""The one that starts the stack: this process."""


@pytest.fixture
def home() -> Iterator[Home]:
    """One that this process holds, as its supervisor."""
    made = Home.throwaway()
    made.open()
    made.make_passwords(secret_names())
    made.choose_ports(["api-1"])
    write_state(made.folder, {**ANOTHER, "state": "starting"})
    yield made
    made.close(remove=True)


def up(home: Home) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "api.cli.main", "up", "--home", str(home.folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_it_comes_back_when_the_other_is_ready(home: Home) -> None:
    beside = up(home)
    with pytest.raises(subprocess.TimeoutExpired):
        beside.wait(3)
    write_state(home.folder, {**ANOTHER, "state": "ready"})
    said, _ = beside.communicate(timeout=20)
    assert beside.returncode == 0
    assert "ready" in said and "live page" in said


def test_it_fails_where_the_other_did(home: Home) -> None:
    beside = up(home)
    with pytest.raises(subprocess.TimeoutExpired):
        beside.wait(3)
    write_state(home.folder, {**ANOTHER, "state": "failed", "error": "kafka-1 did not get ready"})
    home.close()
    _, said = beside.communicate(timeout=20)
    assert (beside.returncode, said.strip()) == (1, "unreachable: the stack did not start: kafka-1 did not get ready")


def test_it_says_so_where_the_other_ends_it(home: Home) -> None:
    write_state(home.folder, {**ANOTHER, "state": "stopping"})
    _, said = up(home).communicate(timeout=20)
    assert said.startswith(f"conflict: the stack in {home.folder} is ending"), said


def test_what_a_dead_one_said_does_not_count(home: Home) -> None:
    dead = {"pid": os.getpid(), "created": 1.0}
    write_state(home.folder, {**ANOTHER, "supervisor": dead, "state": "ready"})
    beside = up(home)
    with pytest.raises(subprocess.TimeoutExpired):
        beside.wait(3)
    beside.terminate()
    beside.communicate(timeout=20)


def test_who_only_looks_keeps_nobody_from_starting() -> None:
    home = Home.throwaway()
    glance = take_lock(home.folder)
    assert glance is not None
    began = time.monotonic()
    threading.Timer(0.3, glance.close).start()
    home.open()
    assert time.monotonic() - began > 0.2
    home.close(remove=True)
