"""The keeper's small promises, on real processes of a line each."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from infra.errors import Misconfigured, Unreachable
from infra.stack import keeper as keeping
from infra.stack.access import settings_for
from infra.stack.home import Home
from infra.stack.keeper import Keeper, Kept
from infra.stack.ports import claimed, free_port, is_free
from infra.stack.process import Command, Identity
from infra.stack.servers.kafka import NEWER


@pytest.fixture
def keeper(monkeypatch: pytest.MonkeyPatch) -> Iterator[Keeper]:
    """It looks at its processes more often than in earnest."""
    monkeypatch.setattr(keeping, "TICK_SECONDS", 0.02)
    made = Keeper(lambda: None)
    yield made
    made.stop_all([made.kept])
    made.close()


def keep(keeper: Keeper, tmp_path: Path, script: str, *, ready: Callable[[], bool] = lambda: True) -> Kept:
    command = Command(("/bin/sh", "-c", script), log=tmp_path / "log", cwd=tmp_path, stop_seconds=1)
    kept = Kept("thing", 1, "component", "1", "", lambda: command, ready=ready)
    keeper.kept.append(kept)
    return kept


def eventually(true: Callable[[], bool], seconds: float = 10) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if true():
            return True
        time.sleep(0.05)
    return False


def test_what_dies_comes_back_with_growing_pauses(keeper: Keeper, tmp_path: Path) -> None:
    kept = keep(keeper, tmp_path, "date +%s.%N; exit 1")
    keeper.start(kept, wait=False)
    assert eventually(lambda: len((tmp_path / "log").read_text().split()) >= 3, seconds=20)
    first, second, third = (float(line) for line in (tmp_path / "log").read_text().split()[:3])
    assert third - second > 1.5 * (second - first)


def test_what_its_log_names_is_told_by_that_name_and_by_this_starts_words_alone(keeper: Keeper, tmp_path: Path) -> None:
    kept = keep(keeper, tmp_path, "cat words; exit 1", ready=lambda: False)
    kept.named = lambda log: Misconfigured("it is too new") if "cannot read" in log else None
    for words, error in (("cannot read this", Misconfigured), ("the port is taken", Unreachable)):
        (tmp_path / "words").write_text(words)
        with pytest.raises(error):
            keeper.start(kept)
        keeper.stop(kept)


@pytest.mark.parametrize(
    "said",
    [
        "org.apache.kafka.common.errors.UnsupportedVersionException: Can't read version 4 of BrokerEndpoint",
        "Tried to apply FeatureLevelRecord FeatureLevelRecord(name='metadata.version', featureLevel=30), but this controller only "
        "supports versions 7-29",
    ],
    ids=["that ran", "that were formatted"],
)
def test_a_broker_that_finds_data_of_a_newer_one_is_understood(said: str) -> None:
    """Word for word as Kafka 4.2.1 said it of a home of Kafka 4.3.1."""
    found = NEWER.search(f"INFO loading\nCaused by: {said}\nINFO ending")
    assert found is not None and found[0] in said
    assert NEWER.search("UnsupportedVersionException: The node does not support METADATA") is None


def test_what_was_stopped_stays_down(keeper: Keeper, tmp_path: Path) -> None:
    kept = keep(keeper, tmp_path, "exec sleep 60")
    keeper.start(kept)
    keeper.stop(kept)
    time.sleep(10 * keeping.TICK_SECONDS)
    assert (kept.state, kept.alive(), kept.restarts) == ("stopped", False, 0)


def test_a_frozen_process_and_a_deaf_one_are_ended_too(keeper: Keeper, tmp_path: Path) -> None:
    kept = keep(keeper, tmp_path, "trap '' TERM; while true; do sleep 0.1; done")
    keeper.start(kept)
    assert kept.process is not None
    kept.process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    keeper.stop(kept)
    assert not kept.alive()
    assert time.monotonic() - began < 5


def test_a_process_that_does_not_get_ready_is_named_with_the_end_of_its_log(keeper: Keeper, tmp_path: Path) -> None:
    kept = keep(keeper, tmp_path, "echo the port is taken; exit 3", ready=lambda: False)
    with pytest.raises(Unreachable, match=r"thing-1 did not get ready(.|\n)*the port is taken"):
        keeper.start(kept)


def test_a_process_inherits_no_secret_of_its_starter(
    keeper: Keeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAYRIVER_WRITE_URL", "postgresql://owner:secret@127.0.0.1/payriver")
    kept = keep(keeper, tmp_path, "env; exec sleep 60")
    keeper.start(kept)
    assert eventually(lambda: "PATH=" in (tmp_path / "log").read_text())
    assert "secret" not in (tmp_path / "log").read_text()


def test_another_process_with_the_same_id_is_not_taken_for_ours() -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as other:
        identity = Identity.of(other.pid)
        assert identity.process() == psutil.Process(other.pid)
        assert Identity(other.pid, identity.created - 1).process() is None
        other.kill()
    assert identity.process() is None


def test_ports_stay_with_a_home_while_they_are_free(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.choose_ports(["write", "kafka"])
    home.close()
    again = Home(tmp_path)
    again.load()
    again.choose_ports(["write", "kafka", "node"])
    assert {name: again.ports[name] for name in home.ports} == home.ports
    assert len(set(again.ports.values())) == 3
    assert all(is_free(port) for port in again.ports.values())
    assert free_port(set()) < 65536


def test_stacks_that_start_at_once_never_choose_the_same_ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = [free_port(set()) for _ in range(8)]
    homes = [Home(tmp_path / "one"), Home(tmp_path / "two")]
    for home in homes:
        home.folder.mkdir()
        draws = iter(drawn)
        with monkeypatch.context() as patched:
            patched.setattr(random, "randrange", lambda *_, draws=draws: next(draws))
            home.choose_ports(["write", "kafka", "node"])
    one, two = (set(home.ports.values()) for home in homes)
    assert len(one) == len(two) == 3 and not one & two
    assert all(claimed(port) is None for port in one)
    homes[0].close()
    returned = Home(tmp_path / "two", ports=dict(homes[0].ports))
    returned.choose_ports(["write", "kafka", "node"])
    assert returned.ports == homes[0].ports
    homes[1].close()
    returned.close()


def test_passwords_are_made_once_and_only_their_owner_may_read_them(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.make_passwords(["write.owner"])
    first = home.password("write.owner")
    home.make_passwords(["write.owner", "kafka.connect"])
    assert home.password("write.owner") == first
    assert home.password("kafka.connect") != first
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert first not in repr(home)


def test_a_home_that_was_given_up_before_it_had_a_state_is_removed_by_a_later_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        Path(place).chmod(0o711)
        monkeypatch.setattr(tempfile, "tempdir", place)
        abandoned, just_made = Home.throwaway(), Home.throwaway()
        os.utime(abandoned.folder, (0, 0))
        third = Home.throwaway()
        assert {each.name for each in Path(place).iterdir()} == {just_made.folder.name, third.folder.name}


def test_an_unknown_component_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="no component is called 'ledger'; there are api, audit, auditor"):
        settings_for(Home(tmp_path), "ledger")
