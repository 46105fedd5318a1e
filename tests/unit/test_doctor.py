"""`payriver doctor`: what this machine lacks is said in one sentence, with the remedy."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from infra.errors import Misconfigured
from infra.stack.doctor import examine
from infra.stack.home import Home


def told(what: str, home: Path | None = None) -> tuple[str, str]:
    """(state, sentence) of one look."""
    (found,) = (each for each in examine(home=home) if each.what == what)
    return found.state, found.says


def test_a_user_without_a_name_is_told_before_initdb_refuses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4_242_424)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    state, says = told("user", tmp_path)
    assert state == "fail" and "user id 4242424 has no name" in says and "adduser --uid" in says
    with pytest.raises(Misconfigured, match="user id 4242424 has no name"):
        Home(tmp_path / "home").open()
    assert not (tmp_path / "home").exists(), "nothing was begun"


def test_a_home_that_the_databases_user_may_not_enter_is_told_with_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("infra.stack.cache.ROOT_CACHE", tmp_path / "cache")
    (tmp_path / "closed").mkdir(mode=0o700)
    state, says = told("home", tmp_path / "closed" / "home")
    assert state == "fail" and "which only its owner may enter" in says and "choose a folder" in says


def test_a_platform_without_a_build_is_sent_to_compose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    state, says = told("platform")
    assert state == "fail" and "riscv64" in says and "docker compose up" in says
