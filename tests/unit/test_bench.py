"""The bench's words: a ratio is higher the better we are, a missed aim is an exit status, memory that is shared is counted once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import typer
from typer.testing import CliRunner

from api.bench.figure import Asked, BenchFailed, Figure, cost, percentiles, rate
from api.cli import bench as command
from infra.stack.report import look

FIELDS = {"name", "ours", "peer", "peer_name", "unit", "ratio", "aim"}
SHARED_MIB, CHILDREN = 64, 4
SHARING = f"""
import mmap, os, sys, time
shared = mmap.mmap(-1, {SHARED_MIB} << 20)
for child in range({CHILDREN} + 1):
    if child == {CHILDREN} or os.fork() == 0:
        shared[:] = bytes(len(shared))
        print("touched", flush=True)
        time.sleep(60)
"""


def measure(asked: Asked) -> Iterator[Figure]:
    yield cost("a time, half of what was aimed at", 10, 20, "ms")
    yield rate("a rate, half of what was aimed at", 10, 20, "1/s")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[CliRunner]:
    monkeypatch.setattr(command, "BENCHES", {"this": __name__})
    yield CliRunner()


def app() -> typer.Typer:
    made = typer.Typer()
    made.command()(command.bench)
    return made


def test_a_ratio_is_higher_the_better_we_are_whatever_is_measured() -> None:
    assert cost("time", 10, 20, "ms").ratio == 2
    assert cost("time", 40, 20, "ms").ratio == 0.5
    assert rate("rate", 40, 20, "1/s").ratio == 2
    assert not rate("rate", 10, 20, "1/s").reached


def test_the_file_holds_one_object_a_figure_and_numbers_are_numbers(run: CliRunner, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    assert run.invoke(app(), ["this", "--json", str(file)]).exit_code == 0
    told = json.loads(file.read_text())
    assert [each["ratio"] for each in told] == [2, 0.5]
    assert all(set(each) == FIELDS and each["peer_name"] == "aim" and each["aim"] == 1 for each in told)


def test_check_fails_when_a_ratio_is_below_its_aim(run: CliRunner) -> None:
    assert run.invoke(app(), ["this"]).exit_code == 0
    assert run.invoke(app(), ["this", "--check"]).exit_code == 1


def test_a_bench_that_nobody_has_is_named(run: CliRunner) -> None:
    failed = run.invoke(app(), ["that"])
    assert "no bench is called 'that'; there are this" in str(failed.exception)


def test_two_values_are_the_least_of_which_there_is_a_p99() -> None:
    p50, p99 = percentiles([1.0, 2.0, 3.0])
    assert p50 == 2 and 2.9 < p99 <= 3
    with pytest.raises(BenchFailed):
        percentiles([1.0])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells how many share a page")
def test_memory_that_processes_share_is_counted_once(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", SHARING], stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert process.stdout is not None
        for _ in range(CHILDREN + 1):
            process.stdout.readline()
        created = psutil.Process(process.pid).create_time()
        row = {"component": "write", "worker": 1, "kind": "server", "state": "running", "address": "", "version": ""}
        told = {"state": "ready", "processes": [row | {"pid": process.pid, "created": created, "restarts": 0}]}
        (tmp_path / "state.json").write_text(json.dumps(told))
        counted = look(tmp_path).rss_mb
    finally:
        for each in (*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)):
            each.kill()
        process.wait()
    assert SHARED_MIB < counted < 2 * SHARED_MIB
