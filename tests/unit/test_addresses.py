"""Where a person looks: at the page of the river that runs, or at what is said where none does."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from api.cli import addresses
from api.roots.root import Root
from infra.errors import Misconfigured
from infra.stack.cache import data_folder
from infra.stack.home import Home


def shown(folder: Path, *servers: str) -> list[str]:
    home = Home(folder, ports={"api-1": 8080, "api-2": 8081, "kafka": 9092}, passwords={"api": "k-" + "0" * 30})
    out = io.StringIO()
    addresses.show(Console(file=out, width=40), home, servers)
    return out.getvalue().splitlines()


def test_each_address_is_one_line_that_can_be_copied_whole(tmp_path: Path) -> None:
    told = shown(tmp_path, "kafka")
    assert told[0].split() == ["live", "page", "http://127.0.0.1:8080/#key=k-" + "0" * 30]
    assert told[3].split() == ["kafka", "127.0.0.1:9092"]
    assert told[-1].endswith(f" explain PAYMENT --home {tmp_path}")


def test_the_command_is_one_that_a_shell_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name only where that is on the path: after `make demo` nobody has activated anything."""
    monkeypatch.setattr("sys.argv", [".venv/bin/payriver", "demo"])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shown(data_folder())[-1].split() == ["a", "story", ".venv/bin/payriver", "explain", "PAYMENT"]
    (tmp_path / "payriver").touch(mode=0o755)
    assert shown(data_folder())[-1].split() == ["a", "story", "payriver", "explain", "PAYMENT"]


def test_the_home_that_is_looked_in_anyhow_is_not_named() -> None:
    assert shown(data_folder())[-1].endswith(" explain PAYMENT")


def test_a_command_that_finds_no_river_names_where_it_looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAYRIVER_WRITE_URL", raising=False)
    with pytest.raises(Misconfigured, match=f"no river runs in {tmp_path / 'river'}: .*payriver up.*--home"):
        Root.begin("auditor", home=tmp_path / "river")
