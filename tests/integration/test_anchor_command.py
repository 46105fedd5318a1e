"""From `payriver audit anchor` to an auditor's desk, as people type it: a real chain, the keys of a stack, each command a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.roots.development_chain import devchain, prepare
from infra.audit import check
from infra.database import engine
from infra.devchain.chain import DevChain
from infra.migrations.runner import migrate
from infra.stack import access
from infra.stack.supervisor import Stack
from tests.integration.audit_side import MANY

OURS = [sys.executable, "-m", "api.cli.main", "audit"]
ALONE = [sys.executable, "-I", "-S", check.__file__]
"""The checker as an auditor has it: one file, no package, no setting, no path of ours."""


class People:
    """Those who run commands, and a chain that moves."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack, self.folder = stack, folder
        for server in ("write", "read"):
            migrate(engine(access.database_url(stack.home, server, "owner")), server)
        prepare(stack)
        self.chain: DevChain = devchain(stack)
        self.chain.interval_mining(1)

    def add(self, count: int) -> None:
        with self.stack.postgres("write").superuser() as cursor:
            cursor.execute(MANY, (count,))

    def say(self, who: str, *words: str, command: list[str] = OURS) -> subprocess.CompletedProcess[str]:
        told = {name: value for name, value in os.environ.items() if not name.startswith("PAYRIVER_")}
        told |= {**self.stack.settings_for(who), "COLUMNS": "200", "PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.run(
            [*command, *words], cwd=self.folder, env=told, capture_output=True, text=True, check=False, timeout=120
        )

    def well(self, who: str, *words: str, command: list[str] = OURS) -> str:
        done = self.say(who, *words, command=command)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def status(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.well("auditor", "status", "--json"))
        return told

    def checked(self, told: str) -> str:
        """What was printed as the way to check a file, done by somebody without any role: with our command, then with the one file alone."""
        (line,) = (each for each in told.splitlines() if each.startswith("check it: "))
        words = line.replace("URL", self.stack.url("node")).partition("payriver audit check ")[2].split()
        ours = self.well("downstream", "check", *words)
        assert self.well("downstream", *words, command=ALONE) == ours
        return ours


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    with Stack(servers=("write", "read", "node"), components=(), slots_in_an_epoch=1) as stack:
        yield People(stack, tmp_path_factory.mktemp("audit"))


@pytest.mark.long
def test_an_auditors_way_from_the_log_to_proofs_and_an_export(people: People) -> None:
    assert "there is nothing to anchor" in people.say("audit", "anchor").stderr
    people.add(300)
    assert people.status()["covered"] == 0
    assert "final in block" in people.well("audit", "anchor")
    people.add(200)
    assert "500 events" in people.well("audit", "anchor")
    people.add(7)
    found = people.status()
    assert (found["size"], found["covered"], found["not_covered"]) == (500, 500, 7)

    _one_event(people, found["anchors"][0]["data"])
    told = people.checked(people.well("auditor", "consistency", "300", "500"))
    log_id = people.status()["log_id"]
    assert told == f"in order: the log of 500 events begins with the log of 300 (log {log_id})\n"

    people.well("audit", "anchor")
    told = people.well("audit", "export", "--from", "2020-01-01", "--to", "2099-01-01", "--out", "all")
    assert "all has 507 events" in told and people.checked(told).startswith("in order: 507 events")
    lines = people.folder / "all" / "events.jsonl"
    lines.write_bytes(_flipped(lines.read_bytes()))
    refused = people.say("downstream", "all", "--head", people.status()["anchors"][0]["data"], command=ALONE)
    assert refused.returncode == 1 and "they are not what the log has at this place" in refused.stderr


def _one_event(people: People, head: str) -> None:
    told = people.checked(people.well("auditor", "prove", "42", "--out", "p.json"))
    assert "position 42) is in the log of 500" in told
    (people.folder / "bad.json").write_bytes(_flipped((people.folder / "p.json").read_bytes()))
    refused = people.say("downstream", "bad.json", "--head", head, command=ALONE)
    assert refused.returncode == 1 and "this event, as it stands here, is not in the log" in refused.stderr
    assert people.say("downstream", "p.json", "--head", head, command=ALONE).returncode == 0


def _flipped(text: bytes) -> bytes:
    """One bit of what an event says, which leaves it the JSON that it was."""
    place = text.index(b"Caf")
    return text[:place] + bytes([text[place] ^ 0x20]) + text[place + 1 :]


def test_whoever_has_no_key_for_it_cannot_anchor(people: People) -> None:
    done = people.say("submitter", "anchor")
    assert done.returncode == 1 and "anchor.json" in done.stderr and "Traceback" not in done.stderr, done.stderr
