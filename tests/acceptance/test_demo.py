"""`payriver demo` ended by people, at any moment: no process, port or temporary file is left; what a SIGKILL leaves, the next start removes."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from infra.stack.choice import choose
from infra.stack.home import PREFIX
from infra.stack.ports import is_free

pytestmark = pytest.mark.skipif(
    choose() != "embedded", reason="about the embedded servers; here a Docker engine answers"
)
WHEN = random.Random(20260301)
MOMENTS = [round(WHEN.uniform(0.5, 60), 1) for _ in range(6)]
"""Seconds after its beginning: in the start, and in the day."""


@pytest.fixture
def place() -> Iterator[Path]:
    """The demo's folder for temporary files; root's database user must pass it."""
    with tempfile.TemporaryDirectory(prefix="payriver-test-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.mark.long
def test_interrupted_in_mid_day_and_impatiently_again_it_leaves_nothing(place: Path) -> None:
    demo = a_demo(place)
    comes_to(demo, place, "deposits")
    ports = ports_of(place)
    for _ in range(3):
        demo.send_signal(signal.SIGINT)
        time.sleep(0.3)
    assert demo.wait(120) == 130
    nothing_is_left(place, ports, seconds=0)


def test_killed_in_mid_start_with_its_watchdog_the_next_start_removes_what_it_left(place: Path) -> None:
    demo = a_demo(place)
    until(lambda: any(here(place)), "servers", 120, demo, place)
    watchdogs = [each for each in psutil.Process(demo.pid).children() if "infra.stack.watchdog" in each.cmdline()]
    for each in watchdogs:
        each.kill()
    demo.kill()
    demo.wait()
    (left,) = place.glob(f"{PREFIX}*")
    second = a_demo(place)
    until(lambda: any(place.glob(f"{PREFIX}*/state.json")) and not left.exists(), "it is removed", 120, second, place)
    second.send_signal(signal.SIGTERM)
    assert second.wait(120) == 130
    nothing_is_left(place, [], seconds=0)


@pytest.mark.long
@pytest.mark.parametrize("seconds", MOMENTS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_ended_at_any_moment_it_leaves_nothing(place: Path, seconds: float, number: signal.Signals) -> None:
    demo = a_demo(place)
    try:
        demo.wait(seconds)
    except subprocess.TimeoutExpired:
        ports = ports_of(place)
        demo.send_signal(number)
        demo.wait(120)
        nothing_is_left(place, ports, seconds=30 if number == signal.SIGKILL else 0)
    else:
        pytest.fail(f"it ended by itself: {(place / 'out').read_text()}")


@pytest.mark.long
def test_left_alone_it_ends_by_itself_with_its_figures_and_nothing_is_left(place: Path) -> None:
    demo = a_demo(place)
    assert demo.wait(600) == 0, (place / "out").read_text()
    told = json.loads((place / "summary.json").read_text())
    assert told["verify"] == {"ok": True, "differences": []}
    assert told["payments"]["settled"] == 90 and told["payments"]["refunded"] == 1
    nothing_is_left(place, [], seconds=0)


def a_demo(place: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "api.cli.main", "demo", "--once", "--json", str(place / "summary.json")]
    with (place / "out").open("ab") as out:
        return subprocess.Popen(
            command, env={**os.environ, "TMPDIR": str(place)}, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )


def comes_to(demo: subprocess.Popen[bytes], place: Path, step: str) -> None:
    until(lambda: step in (place / "out").read_text(), f"the step {step}", 180, demo, place)


def until(true: Callable[[], object], what: str, seconds: float, demo: subprocess.Popen[bytes], place: Path) -> None:
    end = time.monotonic() + seconds
    while not true():
        said = (place / "out").read_text()
        assert demo.poll() is None and time.monotonic() < end, f"{what}: not so within {seconds} s; it said: {said}"
        time.sleep(0.05)


def ports_of(place: Path) -> list[int]:
    return [port for file in place.glob(f"{PREFIX}*/ports.json") for port in json.loads(file.read_text()).values()]


def here(place: Path) -> Iterator[psutil.Process]:
    """Processes that work in the folder or name it, but not the demo itself."""
    for process in psutil.process_iter(["cmdline", "cwd", "status"]):
        told = [*(process.info["cmdline"] or []), process.info["cwd"] or ""]
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(f"{place}/{PREFIX}" in each for each in told):
            yield process


def nothing_is_left(place: Path, ports: list[int], seconds: float) -> None:
    """At once after it ended in order; within the watchdog's time after SIGKILL."""
    end = time.monotonic() + seconds
    while True:
        left = [*(str(each) for each in here(place)), *(str(each) for each in place.glob(f"{PREFIX}*"))]
        left += [f"port {port}" for port in ports if not is_free(port)]
        if not left or time.monotonic() > end:
            break
        time.sleep(0.1)
    assert left == [], f"left: {left}; it said: {(place / 'out').read_text()}"
    files = {each.name for each in place.iterdir()} - {"out", "summary.json"}
    assert files == set(), files
