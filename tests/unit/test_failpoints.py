"""A process dies at the place it was told to die at, at no other, and not before."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import infra
from infra.errors import Misconfigured
from infra.failpoints import arm
from schemas.topics import SUBSCRIPTIONS
from tests.failpoints import every, in_the_code
from tests.integration import (
    test_anchoring,
    test_audit_log,
    test_closed_logs,
    test_gateway_deaths,
    test_listener,
    test_rebuild,
    test_sagas,
    test_sender_deaths,
)

PROGRAM = """
from infra.failpoints import arm, failpoint
arm({spec!r})
for pass_number in range(1, 4):
    failpoint("room.other")
    failpoint("room.place")
    print(pass_number, flush=True)
"""


@pytest.mark.parametrize(
    ("spec", "passes", "code"),
    [
        ("", 3, 0),
        ("room.place", 0, -signal.SIGKILL),
        ("room.place:3", 2, -signal.SIGKILL),
        ("room.place:4", 3, 0),
        ("room.nowhere", 3, 0),
    ],
)
def test_a_process_dies_where_it_was_told_to(spec: str, passes: int, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(spec=spec)], capture_output=True, text=True, check=False
    )
    assert (len(done.stdout.split()), done.returncode) == (passes, code)


@pytest.mark.parametrize("spec", ["room.place:0", "room.place:-1", "room.place:often"])
def test_a_count_that_is_none_is_refused(spec: str) -> None:
    with pytest.raises(Misconfigured, match="say NAME or NAME:n"):
        arm(spec)


def test_every_place_has_a_name_of_its_own() -> None:
    root = Path(infra.__file__).parent.parent
    sources = [path for room in ("streams", "connectors", "api") for path in (root / room).rglob("*.py")]
    names = [name for path in sources for name in re.findall(r'\bfailpoint\("([^"]+)"\)', path.read_text())]
    assert names and all(re.fullmatch(r"[a-z]+\.[a-z_]+", name) for name in names)
    assert len(names) == len(set(names))


def test_at_every_failpoint_of_the_code_a_process_dies_in_some_test() -> None:
    """Those that payments pass, in the acceptance test of kills, which finds them in the code; the others in their own tests."""
    consumers = [each.component for each in SUBSCRIPTIONS]
    dies = {name for names in in_the_code(consumers).values() for name in names}
    dies |= {f"listener.{point}" for point in test_listener.POINTS} | {
        f"timeout.{p}" for p in test_sagas.TIMEOUT_POINTS
    }
    dies |= {f"sender.{point}" for point, _ in test_sender_deaths.POINTS} | {
        p.partition(":")[0] for p in test_gateway_deaths.FAILPOINTS
    }
    others = (*test_audit_log.POINTS, *test_anchoring.POINTS, *test_closed_logs.POINTS, *test_rebuild.DEATHS)
    dies |= {point.partition(":")[0] for point in others}
    assert every(consumers) == dies
