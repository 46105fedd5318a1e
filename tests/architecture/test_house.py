"""The house holds: who may import whom, no file too long to read, nothing in it that belongs to one machine."""

from __future__ import annotations

import re
import subprocess
import sys

from infra.migrations import runner
from schemas import files
from tests.architecture.tree import ROOT, named, text_of, tracked

LINES = 300
# Longer ones, each for a reason. A file that became shorter leaves the list.
LONGER = {
    "infra/audit/check.py": "the one file that an auditor copies",
}
GENERATED = re.compile(r"(\.lock|-lock\.json|\.lock\.json|\.avsc|/schema\.sql|\.svg)$")
# Written apart, so that this file does not name them itself.
REGISTRY_HOSTS = re.compile(
    "|".join(
        re.escape(".".join(parts))
        for parts in (
            ("pypi", "org"),
            ("pythonhosted", "org"),
            ("npmjs", "org"),
            ("npmjs", "com"),
            ("maven", "org"),
            ("maven", "apache", "org"),
            ("sonatype", "org"),
            ("crates", "io"),
            ("debian", "org"),
        )
    )
)
MACHINE_PATHS = re.compile(
    r"(?<![\w.$}-])/(?:" + "|".join(("work", "root", "home/[a-z]+", "tmp", "Users")) + r")/[\w.-]"
)


def test_the_river_flows_one_way() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_no_file_is_too_long_to_read() -> None:
    lengths = {
        named(path): text_of(path).count("\n")
        for path in tracked()
        if path.suffix in (".py", ".sql", ".md", ".js", ".mjs", ".html", ".css", ".sol")
        and not GENERATED.search(named(path))
    }
    long = {name for name, lines in lengths.items() if lines > LINES}
    assert long - LONGER.keys() == set(), "divide them, or list them with a reason"
    assert LONGER.keys() - long == set(), "no longer that long: take them off the list"


def test_a_file_opens_with_a_sentence_that_tells_its_place() -> None:
    silent = [
        named(path)
        for path in tracked()
        if path.suffix == ".py" and text_of(path).strip() and not text_of(path).startswith(('"""', "#!"))
    ]
    assert silent == []


def test_nothing_names_the_host_of_a_package_registry() -> None:
    assert [(named(path), found[0]) for path in tracked() if (found := REGISTRY_HOSTS.search(text_of(path)))] == []


def test_nothing_names_a_place_of_one_machine() -> None:
    found = [(named(path), match[0]) for path in tracked() for match in MACHINE_PATHS.finditer(text_of(path))]
    assert found == []


def test_the_schema_files_are_what_their_classes_say_and_break_with_nothing_released() -> None:
    assert files.problems() == []


def test_the_steps_of_a_database_are_numbered_without_a_gap_or_a_double() -> None:
    for server in ("write", "read", "keys"):
        numbers = [int(path.name[:4]) for path in runner.files(server)]
        assert numbers == list(range(1, len(numbers) + 1)), server
