"""The chain's bench, run small on real servers: every aim has its figure, and what is compared was measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.long
def test_the_chains_bench_reads_back_beside_its_peer_and_follows_the_head(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "api.cli.main", "bench", "chain", "--size", "small", "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(file.read_text())
    compared = {(each["name"], each["peer_name"]) for each in told}
    assert {
        ("backfill of 2,000 logs", "Ponder 0.16.6"),
        ("backfill of 2,000 logs", "eth_getLogs + JSON"),
        ("block mined -> committed, p99", "Ponder 0.16.6"),
        ("a block with 10,000 accounts watched", "with 100"),
        ("memory, backfill of 2,000 logs, most", "aim"),
    } <= compared
    assert all(each["ours"] > 0 and each["peer"] > 0 and each["ratio"] > 0 for each in told)
