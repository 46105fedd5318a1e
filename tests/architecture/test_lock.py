"""The lock: everything pinned by hash, everything that the project asks for in it, and nothing that fights with something else."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from infra import bootstrap
from tests.architecture.tree import ROOT

LOCKS = ("requirements.lock", "infra/ui/requirements.lock", "infra/peers/requirements.lock")
NPM_LOCKS = ("infra/devchain", "infra/peers/ponder")
ENTRY = re.compile(
    r"^([A-Za-z0-9._-]+)==(\S+?)(?: ; .*?)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE
)


def entries(lock: str) -> dict[str, str]:
    """Package -> version."""
    return {canonicalize_name(name): number for name, number, _ in ENTRY.findall((ROOT / lock).read_text())}


def asked_for() -> Iterator[Requirement]:
    """Every requirement of pyproject.toml, extras and all."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for group in (project["dependencies"], *project["optional-dependencies"].values()):
        yield from map(Requirement, group)


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_of_a_lock_is_a_pinned_package_with_its_hashes(lock: str) -> None:
    rest = ENTRY.sub("", (ROOT / lock).read_text())
    assert rest.strip() == ""


@pytest.mark.parametrize("folder", NPM_LOCKS)
def test_every_package_of_an_npm_lock_has_its_hash_and_no_address(folder: str) -> None:
    lock = json.loads((ROOT / folder / "package-lock.json").read_text())
    asked = json.loads((ROOT / folder / "package.json").read_text())
    first, *rest = lock["packages"].items()
    assert first[1]["dependencies"] == asked["dependencies"]
    wrong = [name for name, each in rest if not each.get("integrity", "").startswith("sha512-") or "resolved" in each]
    assert rest and wrong == []


def test_the_lock_holds_what_the_project_asks_for() -> None:
    locked = entries("requirements.lock")
    missing = [
        str(each)
        for each in asked_for()
        if not each.specifier.contains(locked.get(canonicalize_name(each.name), ""), prereleases=True)
    ]
    assert missing == [], "run `make lock`"


def test_nothing_brings_the_package_avro_that_overwrites_avro_python3() -> None:
    assert "avro" not in entries("requirements.lock")
    assert "avro-python3" in entries("requirements.lock")
    with pytest.raises(PackageNotFoundError):
        version("avro")


def test_what_builds_the_others_is_locked_and_nothing_is_built_by_what_is_not() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert all(bootstrap.entry(lock, name).startswith(f"{name}==") for name in bootstrap.FIRST)
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert {canonicalize_name(Requirement(each).name) for each in build} | {"editables"} <= entries(
        "requirements.lock"
    ).keys()
