"""A file that a command writes is there whole, or as it was."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.files import put, unfinished


def test_a_file_is_written_anew_and_nothing_stands_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "event.proof.json"
    for data in (b"first", b"second"):
        put(path, data)
        assert path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_goes_on_leading_where_it_led(tmp_path: Path) -> None:
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_bytes(b"first")
    link.symlink_to(real)
    put(link, b"second")
    assert link.is_symlink() and real.read_bytes() == b"second"


def test_what_is_no_file_is_written_to(tmp_path: Path) -> None:
    put(Path("/dev/null"), b"proof")
    assert Path("/dev/null").is_char_device()


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "event.proof.json"
    path.write_bytes(b"first")

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:3])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        put(path, b"second")
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() == b"first"


def dead() -> int:
    """A process that was."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_what_a_killed_process_left_of_the_same_name_is_taken_away_and_nothing_else(tmp_path: Path) -> None:
    path, gone, lives = tmp_path / "march", dead(), os.getppid()
    left = tmp_path / f".march.{gone}.part"
    left.mkdir()
    (left / "events.jsonl").write_bytes(b"half")
    (tmp_path / f".march.{os.getpid()}.part").write_bytes(b"of one that had our number")
    stays = [
        f".march.{lives}.part",
        f".april.{gone}.part",
        f".march.{gone}",
        ".march.old.part",
        "march.part",
        f".march.1.{gone}.part",
    ]
    for name in stays:
        (tmp_path / name).write_bytes(b"")
    assert unfinished(path) == tmp_path / f".march.{os.getpid()}.part"
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(stays)


def test_a_name_with_signs_of_a_pattern_is_a_name(tmp_path: Path) -> None:
    other = tmp_path / f".march.{dead()}.part"
    other.write_bytes(b"")
    unfinished(tmp_path / "*")
    assert other.exists()
