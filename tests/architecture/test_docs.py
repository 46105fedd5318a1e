"""The docs tell the truth: their links lead somewhere, their commands exist, their drawn parts are what the code draws."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from api.cli.main import build
from api.cli.schemas import problems
from tests.architecture.tree import ROOT, named, text_of, tracked

DOCS = tuple(path for path in tracked() if path.suffix == ".md")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`|^(?:\$ )?((?:make|payriver|\.venv/bin/payriver) .*)$", re.MULTILINE)


def prose(path: Path) -> str:
    """Without code blocks: what stands there is no link."""
    return FENCE.sub("", text_of(path))


def anchors(path: Path) -> set[str]:
    """The headings of a document as links name them."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(path: Path) -> Iterator[str]:
    """The relative links of a document that lead nowhere."""
    for link in (a or b for a, b in LINK.findall(prose(path))):
        if re.match(r"[a-z]+:", link):
            continue
        where, _, anchor = link.partition("#")
        target = (path.parent / where).resolve() if where else path
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            yield link


def commands(path: Path) -> list[list[str]]:
    """Every `make ...` and `payriver ...` of a document, as words."""
    said = (a or b for a, b in CODE.findall(text_of(path)))
    return [re.split(r"\s+", each.strip().removeprefix(".venv/bin/")) for each in said]


def targets() -> set[str]:
    """What the Makefile can be asked for."""
    return set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))


def known(words: list[str], group: typer.core.TyperGroup) -> bool:
    """Whether the command line has this command, and the command these options."""
    for place, word in enumerate(words):  # what is written large, in quotes or with dots is an argument
        inner = group.commands.get(word)
        if inner is None:
            return not re.fullmatch(r"[a-z][a-z-]*", word)
        if not isinstance(inner, typer.core.TyperGroup):
            options = {name for parameter in inner.params for name in (*parameter.opts, *parameter.secondary_opts)}
            return {each for each in words[place:] if each.startswith("--")} <= options | {"--help"}
        group = inner
    return True


def test_there_are_docs() -> None:
    assert {"README.md", "ARCHITECTURE.md", "CHANGELOG.md", "schemas/README.md"} <= {named(path) for path in DOCS}


@pytest.mark.parametrize("path", DOCS, ids=named)
def test_every_link_leads_somewhere(path: Path) -> None:
    assert list(broken(path)) == []


@pytest.mark.parametrize("path", DOCS, ids=named)
def test_every_command_that_is_named_exists(path: Path) -> None:
    group = typer.main.get_group(build())
    unknown = [
        " ".join(words)
        for words in commands(path)
        if (words[0] == "make" and len(words) > 1 and words[1].isalpha() and words[1] not in targets())
        or (words[0] == "payriver" and not known(words[1:], group))
    ]
    assert unknown == []


def test_the_drawn_parts_are_what_the_code_draws() -> None:
    assert problems() == []


def test_the_machine_runs_the_test_command_that_the_readme_tells() -> None:
    assert "\nmake test\n" in text_of(ROOT / "README.md")
    assert text_of(ROOT / ".ci" / "run").rstrip().endswith("exec make test")
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_make_help_lists_every_target() -> None:
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert all(f"make {target}" in told for target in targets())
