"""Exports for auditors: whole, signed, checked by one file of plain Python, and refused when any byte of them is changed."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from infra.audit import check
from infra.audit.check import Head, Refused
from infra.database import transaction
from infra.errors import BadInput, Misconfigured, NotFound
from streams.audit_log import export, leaf, log, merkle
from streams.audit_log.export_key import ExportKey, load_export_key, write_export_key
from streams.audit_log.filler import Filler
from streams.audit_log.proofs import NotCovered
from tests.integration.audit_side import add
from tests.integration.conftest import Databases

Period = tuple[datetime, datetime]
KILLED = """
import os, signal, sys
from pathlib import Path
from streams.audit_log.export import _whole
with _whole(Path(sys.argv[1])) as fresh:
    (fresh / "events.jsonl").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> ExportKey:
    path, password = tmp_path_factory.mktemp("keys") / "exports.pem", SecretStr("a password of the tests")
    write_export_key(path, password)
    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(Misconfigured, match="wrong password"):
        load_export_key(path, SecretStr("another"))
    return load_export_key(path, password)


@pytest.fixture(scope="module")
def anchored(databases: Databases, key: ExportKey) -> tuple[Head, Period]:
    """A log, and a period in its midst; afterwards something that no anchor covers."""
    filler = Filler(databases.as_role("write", "audit"), databases.as_role("read", "audit"))
    add(databases, 40)
    start = now(databases)
    add(databases, 300)
    end = now(databases)
    add(databases, 70)
    filler.catch_up(10)
    with transaction(databases.as_role("write", "auditor")) as cursor:
        size = log.end(cursor).size
        head = Head(log.log_id(cursor), size, merkle.root(size, log.Hashes(cursor)), key.fingerprint)
    add(databases, 5)
    return head, (start, end)


def now(databases: Databases) -> datetime:
    with transaction(databases.as_role("write", "owner")) as cursor:
        cursor.execute("SELECT clock_timestamp()")
        ((moment,),) = cursor.fetchall()
        assert isinstance(moment, datetime)
        return moment


@pytest.fixture(scope="module")
def exported(
    databases: Databases, key: ExportKey, anchored: tuple[Head, Period], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Head]]:
    head, period = anchored
    folder = tmp_path_factory.mktemp("exports") / "march"
    told: list[tuple[int, int]] = []
    with transaction(databases.as_role("write", "auditor")) as cursor:
        export.export(cursor, head, key, period, folder, lambda done, total: told.append((done, total)))
    assert told[-1] == (300, 300)
    yield folder, head


def test_an_export_has_the_events_of_its_period_as_they_are_stored(
    databases: Databases, exported: tuple[Path, Head], anchored: tuple[Head, Period]
) -> None:
    folder, head = exported
    manifest = check.check_export(folder, head)
    lines = (folder / "events.jsonl").read_bytes().splitlines()
    assert manifest["count"] == len(lines) == 300
    with transaction(databases.as_role("write", "auditor")) as cursor:
        cursor.execute(
            f"SELECT {leaf.SELECT} FROM events WHERE recorded_at >= %s AND recorded_at < %s ORDER BY position",
            anchored[1],
        )
        assert [json.loads(line)["event_id"] for line in lines] == [str(row[1]) for row in cursor.fetchall()]


def test_the_checker_is_one_file_that_needs_nothing_of_ours(exported: tuple[Path, Head], tmp_path: Path) -> None:
    """Copied away, with no package of ours or of anybody's to be found."""
    folder, head = exported
    copy = shutil.copy(check.__file__, tmp_path / "check.py")
    command = [sys.executable, "-I", "-S", str(copy), str(folder), "--head", "0x" + head.encode().hex()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.startswith("in order: 300 events"), done.stderr
    command[-1] = "0x" + Head(head.log_id, head.size, bytes(32), head.key).encode().hex()
    refused = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert refused.returncode == 1 and refused.stderr.startswith("REFUSED: the file says root")


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sig", "events.jsonl"])
def test_whoever_names_a_part_of_an_export_is_told_to_name_its_folder(
    exported: tuple[Path, Head], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    folder, head = exported
    assert check.main([str(folder / name), "--head", head.encode().hex()]) == 1
    assert f"{name} is a part of an export" in (said := capsys.readouterr().err) and f"its folder, {folder}" in said
    assert check.main([check.__file__, "--head", head.encode().hex()]) == 1
    assert "check.py is none of payriver-audit-proof/1" in capsys.readouterr().err


def test_what_a_killed_export_left_goes_with_the_next_one_of_its_name(
    databases: Databases, key: ExportKey, anchored: tuple[Head, Period], tmp_path: Path
) -> None:
    killed = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path / "march")])
    assert killed.wait(30) == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name == f".march.{killed.pid}.part"
    with transaction(databases.as_role("write", "auditor")) as cursor:
        export.export(cursor, anchored[0], key, anchored[1], tmp_path / "march", lambda *_: None)
    assert list(tmp_path.iterdir()) == [tmp_path / "march"]


@settings(max_examples=60)
@given(st.data())
def test_an_export_with_any_bit_changed_is_refused(exported: tuple[Path, Head], data: st.DataObject) -> None:
    folder, head = exported
    name = data.draw(st.sampled_from(["events.jsonl", "manifest.json", "manifest.sig"]))
    text = (folder / name).read_bytes()
    place, bit = data.draw(st.integers(0, len(text) - 1)), data.draw(st.integers(0, 7))
    changed = bytearray(text)
    changed[place] ^= 1 << bit
    try:
        (folder / name).write_bytes(changed)
        assert check.main([str(folder), "--head", head.encode().hex()]) == 1
    finally:
        (folder / name).write_bytes(text)


@pytest.mark.parametrize("change", ["a line less", "a line twice", "two lines exchanged"])
def test_an_export_with_other_events_is_refused_though_its_manifest_is_signed_anew(
    exported: tuple[Path, Head], key: ExportKey, tmp_path: Path, change: str
) -> None:
    folder, head = exported
    forged = Path(shutil.copytree(folder, tmp_path / "forged"))
    lines = (folder / "events.jsonl").read_bytes().splitlines(keepends=True)
    other = {
        "a line less": lines[:-1],
        "a line twice": [*lines, lines[-1]],
        "two lines exchanged": [lines[1], lines[0], *lines[2:]],
    }
    _forge(forged, key, b"".join(other[change]))
    with pytest.raises(Refused, match=r"lead to the root|do not fit|are needed"):
        check.check_export(forged, head)


def _forge(folder: Path, key: ExportKey, events: bytes) -> None:
    (folder / "events.jsonl").write_bytes(events)
    told = json.loads((folder / "manifest.json").read_bytes())
    positions = [json.loads(line)["position"] for line in events.splitlines()]
    told["count"], told["first_position"], told["last_position"] = len(positions), positions[0], positions[-1]
    told["events_sha256"] = hashlib.sha256(events).hexdigest()
    text = check.canonical(told) + b"\n"
    (folder / "manifest.json").write_bytes(text)
    (folder / "manifest.sig").write_text(key.sign(text).hex() + "\n")


def test_an_export_that_another_key_signed_is_refused(exported: tuple[Path, Head], tmp_path: Path) -> None:
    folder, head = exported
    forged = Path(shutil.copytree(folder, tmp_path / "forged"))
    _forge(forged, ExportKey(Ed25519PrivateKey.generate()), (folder / "events.jsonl").read_bytes())
    with pytest.raises(Refused, match="signature is not of this key"):
        check.check_export(forged, head)


def test_what_cannot_be_exported_is_said_and_leaves_no_folder(
    databases: Databases, key: ExportKey, anchored: tuple[Head, Period], tmp_path: Path
) -> None:
    head, (start, _) = anchored
    future = datetime.now(UTC) + timedelta(days=1)
    folder = tmp_path / "none"
    with transaction(databases.as_role("write", "auditor")) as cursor:
        for error, period, signer in (
            (NotCovered, (start, future), key),
            (NotFound, (future, future + timedelta(days=1)), key),
            (BadInput, (start, future), ExportKey(Ed25519PrivateKey.generate())),
        ):
            with pytest.raises(error):
                export.export(cursor, head, signer, period, folder, lambda done, total: None)
    assert not folder.exists()


LACKING = {
    "an event in its midst": "(SELECT position FROM events WHERE recorded_at >= %(start)s ORDER BY position OFFSET 150 LIMIT 1)",
    "its first event": "(SELECT min(position) FROM events WHERE recorded_at >= %(start)s)",
    "the last event that is covered": "(SELECT position FROM audit_leaves WHERE leaf_index = %(size)s - 1)",
}


@pytest.mark.parametrize("what", LACKING)
@pytest.mark.parametrize("open_ended", [False, True])
def test_a_store_that_lacks_an_event_is_not_exported_and_the_log_is_called_broken(
    databases: Databases, key: ExportKey, anchored: tuple[Head, Period], tmp_path: Path, what: str, open_ended: bool
) -> None:
    head, (start, end) = anchored
    until = datetime.now(UTC) + timedelta(days=1) if open_ended else end
    folder = tmp_path / "none"
    with databases.stack.postgres("write").superuser() as cursor:
        taken = f"CREATE TABLE taken AS SELECT * FROM events WHERE position = {LACKING[what]}"
        cursor.execute(taken, {"start": start, "size": head.size})
        cursor.execute("DELETE FROM events WHERE position IN (SELECT position FROM taken)")
    try:
        with transaction(databases.as_role("write", "auditor")) as cursor:
            lacks_within = not what.startswith("the last") or open_ended
            with pytest.raises((log.LogBroken, NotCovered)) if lacks_within else nullcontext():
                export.export(cursor, head, key, (start, until), folder, lambda done, total: None)
    finally:
        with databases.stack.postgres("write").superuser() as cursor:
            cursor.execute("INSERT INTO events SELECT * FROM taken; DROP TABLE taken")
    assert folder.exists() != lacks_within


def test_an_export_that_is_broken_off_leaves_nothing_and_can_be_made_again(
    databases: Databases, key: ExportKey, anchored: tuple[Head, Period], tmp_path: Path
) -> None:
    """Ctrl-C, a full disk: half a folder would be taken for a whole one, and stand in the way of the next."""
    head, period = anchored
    folder = tmp_path / "made" / "export"

    def break_off(done: int, total: int) -> None:
        raise KeyboardInterrupt

    for progress in (break_off, lambda done, total: None):
        with transaction(databases.as_role("write", "auditor")) as cursor, suppress(KeyboardInterrupt):
            export.export(cursor, head, key, period, folder, progress)
        assert [each.name for each in folder.parent.iterdir()] == ([] if progress is break_off else ["export"])
    assert check.check_export(folder, head)["count"] == 300


@given(st.binary(max_size=200))
@settings(max_examples=30)
def test_the_checkers_signatures_are_those_of_the_library(text: bytes) -> None:
    signer = Ed25519PrivateKey.generate()
    public, signature = signer.public_key().public_bytes_raw(), signer.sign(text)
    check.check_signature(public, signature, text)
    for changed in (
        bytes([signature[0] ^ 1]) + signature[1:],
        signature[:63] + bytes([signature[63] ^ 1]),
        signature[:-1],
    ):
        with pytest.raises(Refused):
            check.check_signature(public, changed, text)
    with pytest.raises(Refused):
        check.check_signature(public, signature, text + b"x")


def test_the_checkers_signatures_are_those_of_the_rfc() -> None:
    """RFC 8032, 7.1, tests 1 and 2."""
    for public, text, signature in (
        (
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
    ):
        check.check_signature(*map(bytes.fromhex, (public, signature, text)))
