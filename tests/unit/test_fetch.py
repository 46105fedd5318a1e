"""The servers come from a pinned lock: each file is checked, a second run goes on behind the first, and nothing half done is used."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rich.console import Console

from infra.errors import Misconfigured, Unreachable
from infra.stack import fetch
from infra.stack.cache import build_once
from infra.stack.npm import npm_ci
from infra.stack.servers.node import PACKAGES

QUIET = Console(quiet=True)


class Mirror(ThreadingHTTPServer):
    """A Maven repository on loopback that remembers what it was asked for."""

    asked: list[str]


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    folder = tmp_path / "mirror"
    folder.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append(self.path)
            super().do_GET()

        def log_message(self, *_: object) -> None:
            return

    server = Mirror(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    server.asked = []
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def publish(tmp_path: Path, name: str, content: bytes, *, says: bytes | None = None) -> fetch.Artifact:
    """Puts a jar into the mirror; the lock row expects the hash of `says`, if that is given."""
    path = tmp_path / "mirror" / "org" / "test" / name / "1.0" / f"{name}-1.0.jar"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    sha256 = hashlib.sha256(content if says is None else says).hexdigest()
    return fetch.Artifact("org.test", name, "1.0", "jar", "", sha256, len(content), "kafka")


def download(tmp_path: Path, mirror: Mirror, *artifacts: fetch.Artifact) -> None:
    missing = [a for a in artifacts if not fetch.is_here(tmp_path / "cache", a)]
    fetch.download_all(tmp_path / "cache", missing, f"http://127.0.0.1:{mirror.server_port}/", QUIET)


def test_a_file_is_fetched_from_the_mirror_and_checked(tmp_path: Path, mirror: Mirror) -> None:
    (tmp_path / "cache").mkdir()
    artifact = publish(tmp_path, "first", b"some classes")
    download(tmp_path, mirror, artifact)
    assert fetch.stored(tmp_path / "cache", artifact).read_bytes() == b"some classes"


def test_a_file_with_another_hash_is_never_used(
    tmp_path: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch.download.retry, "stop", lambda _state: True)
    (tmp_path / "cache").mkdir()
    artifact = publish(tmp_path, "forged", b"other classes", says=b"some classes")
    with pytest.raises(Unreachable, match="the lock says"):
        download(tmp_path, mirror, artifact)
    assert not fetch.stored(tmp_path / "cache", artifact).exists()


def test_a_run_that_was_cut_off_goes_on_behind_what_it_has(
    tmp_path: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch.download.retry, "stop", lambda _state: True)
    (tmp_path / "cache").mkdir()
    good = publish(tmp_path, "good", b"some classes")
    bad = publish(tmp_path, "bad", b"cut", says=b"whole")
    with pytest.raises(Unreachable):
        download(tmp_path, mirror, good, bad)
    mirror.asked.clear()
    with pytest.raises(Unreachable):
        download(tmp_path, mirror, good, bad)
    assert mirror.asked
    assert not [path for path in mirror.asked if "good" in path]


def test_offline_an_empty_cache_says_what_to_do(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(Misconfigured, match=r"run once without --offline|choose a folder"):
        fetch.fetch(cache=tmp_path / "cache", offline=True, console=QUIET)


def test_offline_missing_packages_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"run once without --offline|choose a folder"):
        npm_ci(PACKAGES, cache=tmp_path / "cache", offline=True)


def test_half_a_folder_is_never_seen(tmp_path: Path) -> None:
    def breaks(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        build_once(tmp_path / "server", breaks)
    assert not (tmp_path / "server").exists()
    built = build_once(tmp_path / "server", lambda folder: (folder / "whole").touch())
    assert [path.name for path in built.iterdir()] == ["whole"]


def test_the_lock_pins_every_file_by_hash_and_names_no_host() -> None:
    text = fetch.LOCK.read_text()
    rows = json.loads(text)
    assert all(re.fullmatch(r"[0-9a-f]{64}", row["sha256"]) and row["size"] > 0 for row in rows)
    assert len({(r["g"], r["a"], r["ext"], r["cls"]) for r in rows}) == len(rows)
    assert "://" not in text
    assert {a.server for a in fetch.read_lock()} == {"kafka", "debezium", "apicurio"}


def test_a_lock_that_mixes_kafka_versions_is_refused(tmp_path: Path) -> None:
    rows = json.loads(fetch.LOCK.read_text())
    clients = next(row for row in rows if row["a"] == "kafka-clients")
    clients["v"] = "3.9.1"
    (tmp_path / "mixed.json").write_text(json.dumps(rows))
    with pytest.raises(Misconfigured, match="mixes Kafka versions"):
        fetch.read_lock(tmp_path / "mixed.json")


def test_the_package_lock_names_no_host() -> None:
    assert "resolved" not in (PACKAGES / "package-lock.json").read_text()
