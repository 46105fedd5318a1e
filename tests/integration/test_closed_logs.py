"""A W that went on by itself: its audit log stands, is closed with its reason, and a new one begins; what it held is never talked away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from connectors.anchoring.begin_again import begin_again
from connectors.verify.report import Findings
from infra.audit import check
from infra.audit.check import Refused
from infra.database import transaction
from infra.errors import BadInput, Conflict
from infra.stack import access
from infra.stack.supervisor import Stack
from streams.audit_log import proofs
from streams.audit_log.closing import Closing, closings
from streams.audit_log.log import LogBroken
from tests.integration.memory import FIRST, SECOND, TAIL, Memory

BECAUSE = "W was restored to noon and went on before anybody looked; see the incident of that day"
BACK = 120
"""So many events went back: some of them under the second anchor."""


@pytest.fixture
def memory() -> Iterator[Memory]:
    """Two anchors, the log and its witness full."""
    with Stack(servers=("write", "read", "node"), components=()) as stack:
        yield Memory(stack)


def went_on_by_itself(memory: Memory) -> None:
    """W is put back by some events, and takes others at the same positions before anybody looks."""
    with memory.superuser() as cursor:
        cursor.execute("SELECT max(position) FROM events")
        ((newest,),) = cursor.fetchall()
        cursor.execute("DELETE FROM events WHERE position > %s", (newest - BACK,))
        cursor.execute("DELETE FROM audit_leaves WHERE position > %s RETURNING leaf_index", (newest - BACK,))
        size = min(row[0] for row in cursor.fetchall())
        cursor.execute("DELETE FROM audit_nodes WHERE (node_index + 1) << level > %s", (size,))
        cursor.execute("SELECT setval('event_positions', %s)", (newest - BACK,))
    memory.add(BACK + 40)


def again(memory: Memory, because: str = BECAUSE) -> Closing:
    return begin_again(memory.role("write", "owner"), memory.role("read", "owner"), because, "ana")


def log_id(memory: Memory) -> str:
    with transaction(memory.role("write", "auditor")) as cursor:
        cursor.execute("SELECT log_id FROM audit_log")
        return str(cursor.fetchall()[0][0].hex)


def proved(memory: Memory, position: int) -> tuple[bytes, check.Head]:
    """The proof file of an event under the last anchor, and that anchor's head as the chain states it."""
    newest = memory.anchorer.newest()
    assert newest is not None and newest.tx_hash is not None
    head = check.anchored(memory.stack.url("node"), newest.tx_hash, newest.sender)
    with transaction(memory.role("write", "auditor")) as cursor:
        return proofs.prove(cursor, position, head), head


def in_order(found: Findings) -> bool:
    return found.differences == []


def test_a_log_that_is_in_order_is_not_closed(memory: Memory) -> None:
    before = log_id(memory)
    with pytest.raises(Conflict, match=r"the audit log is in order.* Nothing was closed"):
        again(memory)
    with pytest.raises(BadInput, match="for a reason"):
        again(memory, "  ")
    assert (log_id(memory), memory.rows("write", "SELECT 1 FROM audit_closings")) == (before, [])


def test_a_broken_log_is_closed_and_a_new_one_begins_over_all_events(memory: Memory) -> None:
    old_id, old_proof = log_id(memory), proved(memory, FIRST + SECOND - BACK)
    witness = memory.rows("read", "SELECT leaf_index, position, hash FROM audit_witness ORDER BY 1")
    went_on_by_itself(memory)
    with pytest.raises(LogBroken, match="W was put back"):
        memory.filler.catch_up(5)
    assert not in_order(memory.audit())

    made = again(memory)

    assert (made.log_id, made.told["because"], made.told["closed_by"]) == (old_id, BECAUSE, "ana")
    assert log_id(memory) == made.next_id != old_id
    kept = "SELECT leaf_index, position, hash FROM audit_closed_witness ORDER BY 1"
    assert memory.rows("read", kept) == witness
    assert memory.filler.catch_up(10).size == FIRST + SECOND + TAIL + 40
    memory.anchor()
    found = memory.audit()
    assert in_order(found), found.differences
    assert found.covered is not None and (found.covered.anchored, found.covered.not_covered) == (
        FIRST + SECOND + TAIL + 40,
        0,
    )
    said = "\n".join(found.known)
    assert f"audit log {old_id} was closed at" in said and BECAUSE in said and "W was put back" in said
    first = FIRST + SECOND + TAIL - BACK
    assert (
        f"{BACK} events at positions {first + 1} to {first + BACK} were logged as leaves {first} to {first + BACK - 1}"
        in said
    )
    with pytest.raises(Conflict, match="is in order"):
        again(memory)

    proof, head = proved(memory, first + 1)
    assert check.check_proof(proof, head)["position"] == first + 1 and head.log_id == made.next_id
    assert check.check_closing(made.record, head)["log_id"] == old_id
    check.check_proof(*old_proof)
    with pytest.raises(Refused, match=f"the file says log {made.next_id}, the anchor says {old_id}"):
        check.check_proof(proof, old_proof[1])
    with pytest.raises(Refused, match="begins log"):
        check.check_closing(made.record, old_proof[1])
    with pytest.raises(Refused, match="begins log"):
        check.check_closing(made.record.replace(b"noon", b"dawn"), head)


CLOSE = """
import sys
from connectors.anchoring.begin_again import begin_again
from infra.database import engine
from infra.failpoints import arm
write, read, place = sys.argv[1:]
arm(place)
begin_again(engine(write), engine(read), "noon", "ana")
"""
POINTS = ("audit.after_log_closed",)


@pytest.mark.parametrize("place", POINTS)
def test_who_dies_between_the_servers_leaves_a_log_that_stands_and_the_same_command_goes_on(
    memory: Memory, place: str
) -> None:
    went_on_by_itself(memory)
    urls = [access.database_url(memory.stack.home, server, "owner") for server in ("write", "read")]
    died = subprocess.run([sys.executable, "-c", CLOSE, *urls, place], check=False, env=dict(os.environ), timeout=60)
    assert died.returncode == -signal.SIGKILL
    (begun,) = _closings(memory)
    with pytest.raises(LogBroken):
        memory.filler.catch_up(5)
    assert any(
        each.table == "audit_closings" and "W and R do not say the same" in each.about
        for each in memory.audit().differences
    )
    assert again(memory, "another reason, which comes too late").record == begun.record
    memory.filler.catch_up(10)
    memory.anchor()
    assert in_order(memory.audit())


def test_a_w_that_is_put_back_to_before_the_closing_closes_it_again_with_the_same_record(memory: Memory) -> None:
    old_id = log_id(memory)
    went_on_by_itself(memory)
    made = again(memory)
    memory.filler.catch_up(10)
    memory.anchor()
    with memory.superuser() as cursor:
        cursor.execute("DELETE FROM audit_closed_leaves; DELETE FROM audit_closings")
        cursor.execute("UPDATE audit_log SET log_id = %s::uuid", (old_id,))
    assert not in_order(memory.audit())
    assert again(memory, "once more").record == made.record
    memory.filler.catch_up(10)
    found = memory.audit()
    assert in_order(found), found.differences
    assert any("W's own copy of its leaves was lost with a restore" in each for each in found.known)


def _closings(memory: Memory) -> list[Closing]:
    with transaction(memory.role("write", "auditor")) as cursor:
        return closings(cursor)


def test_of_two_who_close_it_at_once_one_does_and_the_log_that_begins_stands(memory: Memory) -> None:
    went_on_by_itself(memory)
    with ThreadPoolExecutor(2) as both:
        asked = [both.submit(again, memory, reason) for reason in ("noon", "one o'clock")]
    (made,) = _closings(memory)
    for each in asked:  # refused, or told what the other has done
        assert isinstance(each.exception(), Conflict) or each.result().record == made.record
    memory.filler.catch_up(10)
    memory.anchor()
    assert in_order(memory.audit())


def test_which_log_was_closed_last_is_no_clocks_business(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's clock is put back between two closings, and the second one dies between the servers."""
    went_on_by_itself(memory)
    first = again(memory)
    memory.filler.catch_up(10)
    memory.anchor()
    went_on_by_itself(memory)
    urls = [access.database_url(memory.stack.home, server, "owner") for server in ("write", "read")]
    earlier = CLOSE.replace("arm(place)", EARLIER + "arm(place)")
    died = subprocess.run(
        [sys.executable, "-c", earlier, *urls, POINTS[0]], check=False, env=dict(os.environ), timeout=60
    )
    assert died.returncode == -signal.SIGKILL
    told = _closings(memory)
    assert [each.log_id for each in told] == [first.log_id, first.next_id], "in the order in which they were"
    assert again(memory, "which comes too late").record == told[1].record
    memory.filler.catch_up(10)
    memory.anchor()
    assert in_order(memory.audit())


EARLIER = """
from datetime import UTC, datetime
from connectors.anchoring import begin_again as module
class Clock:
    now = staticmethod(lambda zone: datetime(2020, 1, 1, tzinfo=UTC))
module.datetime = Clock
"""


TAMPERED = {
    "the reason": ("write", "UPDATE audit_closings SET record = replace(convert_from(record, 'UTF8'), 'noon', 'dawn')::bytea"),
    "the log that began": ("write", "UPDATE audit_closings SET next_id = gen_random_uuid()"),
    "the log that was closed": ("write", "UPDATE audit_closings SET log_id = gen_random_uuid()"),
    "the closing": ("write", "DELETE FROM audit_closings"),
    "the closing on R": ("read", "DELETE FROM audit_closings"),
    "a leaf": ("write", "UPDATE audit_closed_leaves SET hash = sha256('x') WHERE leaf_index = 7"),
    "the last leaf": ("write", "DELETE FROM audit_closed_leaves WHERE leaf_index = (SELECT max(leaf_index) FROM audit_closed_leaves)"),
    "a witness": ("read", "UPDATE audit_closed_witness SET hash = sha256('x') WHERE leaf_index = 7"),
    "the last witness": ("read", "DELETE FROM audit_closed_witness WHERE leaf_index = (SELECT max(leaf_index) FROM audit_closed_witness)"),
    "the whole witness": ("read", "DELETE FROM audit_closed_witness"),
}  # fmt: skip


def test_whatever_is_changed_of_the_evidence_is_found(memory: Memory) -> None:
    went_on_by_itself(memory)
    again(memory)
    memory.filler.catch_up(10)
    memory.anchor()
    missed = []
    for what, (server, statement) in TAMPERED.items():
        tables = ("audit_closings", "audit_closed_leaves" if server == "write" else "audit_closed_witness")
        with memory.superuser(server) as cursor:
            for table in tables:
                cursor.execute(f"CREATE TEMP TABLE kept_{table} AS TABLE {table}")
            cursor.execute(statement)
            if in_order(memory.audit()):
                missed.append(what)
            for table in tables:
                cursor.execute(f"DELETE FROM {table}; INSERT INTO {table} TABLE kept_{table}; DROP TABLE kept_{table}")
    assert missed == []
    assert in_order(memory.audit())


def test_a_person_closes_it_by_command_and_reads_of_it(memory: Memory, tmp_path: Path) -> None:
    said = _say(memory, tmp_path, "begin-again", "--reason", BECAUSE, "--by", "ana")
    assert said.returncode == 1 and said.stderr.startswith("conflict: the audit log is in order"), said.stderr
    went_on_by_itself(memory)
    said = _say(memory, tmp_path, "begin-again", "--reason", BECAUSE, "--by", "ana")
    assert said.returncode == 0, said.stderr
    (made,) = _closings(memory)
    assert (tmp_path / f"{made.log_id}.closing.json").read_bytes() == made.record
    assert BECAUSE in said.stdout and made.log_id in said.stdout and made.next_id in said.stdout
    told = json.loads(_say(memory, tmp_path, "closings", "--json", "--out", "records").stdout)
    assert told == [dict(made.told) | {"next_id": made.next_id}]
    memory.filler.catch_up(10)
    memory.anchor()
    newest = memory.anchorer.newest()
    assert newest is not None
    head = "0x" + newest.head.encode().hex()
    alone = [sys.executable, "-I", "-S", check.__file__, f"records/{made.log_id}.closing.json", "--head", head]
    checked = subprocess.run(alone, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert checked.returncode == 0 and f"log {made.next_id} began then" in checked.stdout, checked.stderr


def _say(memory: Memory, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    role = "owner" if words[0] == "begin-again" else "auditor"
    told = {
        f"PAYRIVER_{server.upper()}_URL": access.database_url(memory.stack.home, server, role)
        for server in ("write", "read")
    }
    unused = ("KEYS_URL", "CDC_URL", "KAFKA_BOOTSTRAP", "REGISTRY_URL", "CONNECT_URL")
    env = {**os.environ, **told, **{f"PAYRIVER_{name}": "unused" for name in unused}, "COLUMNS": "200"}
    command = [sys.executable, "-m", "api.cli.main", "audit", *words]
    env["PYTHONPATH"] = os.pathsep.join(sys.path)
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=120)
