"""A file that a command writes is there whole, or as it was."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from infra.files import put


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
