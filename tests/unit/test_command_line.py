"""What the command line cannot do is one line that names it, and no trace."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from api.cli.main import build
from api.cli.options import listened
from infra.files import must_take, put

NOBODY = "postgresql://operator:hunter2@127.0.0.1:1/payriver"


def payriver(*words: str | bytes, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command, told of a database that is not there."""
    told = {**os.environ, "PAYRIVER_WRITE_URL": NOBODY, "PAYRIVER_READ_URL": NOBODY, **environment}
    command = [sys.executable, "-m", "api.cli.main", *words]
    return subprocess.run(command, env=told, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("parked", "list"), "unreachable: a database does not answer: "),
        (("explain", b"\xff"), r"bad_input: '\udcff' is no UTF-8 text"),
        (
            ("audit", "export", "--from", "0001-01-01T00:00:00+23:59", "--to", "2026-03-01", "--out", "x"),
            "misconfigured: ",
        ),
        (
            ("archive", "--before", "0001-01-01T00:00:00+23:59"),
            "bad_input: '0001-01-01T00:00:00+23:59' is no day or time",
        ),
    ],
    ids=["a database that is away", "no UTF-8", "no keystore", "a day before all clocks"],
)
def test_what_cannot_be_done_is_one_line(words: tuple[str | bytes, ...], says: str) -> None:
    done = payriver(*words)
    assert done.returncode == 1
    assert done.stderr.startswith(says), done.stderr
    assert len(done.stderr.splitlines()) == 1 and "hunter2" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("demo", "--once", "--json"),
        ("bench", "store", "--json"),
        ("audit", "begin-again", "--reason", "x", "--out"),
        ("audit", "prove", "5", "--out"),
        ("audit", "consistency", "1", "2", "--out"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_a_file_that_cannot_be_written_is_named_before_anything_begins(words: tuple[str, ...], tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "no" / "such" / "folder"):
        done = payriver(*words, str(path))
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"bad_input: {path}: "), done.stderr


def test_a_file_that_is_tried_is_left_as_it_was(tmp_path: Path) -> None:
    """What is refused then leaves no empty file that looks like an answer."""
    new, old = tmp_path / "record.json", tmp_path / "before.json"
    old.write_text("before")
    for path in (new, old, None):
        must_take(path)
    assert not new.exists() and old.read_text() == "before"


def test_a_setting_that_cannot_be_taken_is_one_line() -> None:
    done = payriver("parked", "list", PAYRIVER_API_PORT="abc")
    assert (done.returncode, done.stderr.startswith("misconfigured: PAYRIVER_API_PORT is 'abc'")) == (1, True)


def test_a_file_that_cannot_be_had_is_one_line(tmp_path: Path) -> None:
    done = payriver("up", "--chain", str(tmp_path))
    assert done.returncode == 1
    assert str(tmp_path) in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "1e999"])
@pytest.mark.parametrize("words", [("verify",), ("audit", "anchor")], ids=" ".join)
def test_a_wait_that_no_clock_would_end_is_refused(words: tuple[str, ...], seconds: str) -> None:
    done = payriver(*words, "--wait", seconds)
    assert (done.returncode, done.stdout) == (2, "")
    assert "is no number of seconds" in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    "content", ["", "{", "[1]", "null", "\x00\x00"], ids=["empty", "half", "a list", "null", "zeros"]
)
@pytest.mark.parametrize("command", ["status", "down"])
def test_a_home_whose_state_cannot_be_read_is_named_with_what_to_do(tmp_path: Path, command: str, content: str) -> None:
    (tmp_path / "state.json").write_text(content)
    done = payriver(command, "--home", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith(f"misconfigured: {tmp_path}/state.json is not what was written there"), done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_where_there_is_no_room_for_the_answer_it_is_said_in_a_line() -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "api.cli.main", "--help"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("bad_input: what is said or written has no room"), done.stderr


@pytest.mark.parametrize("words", [("status",), ("status", "--json"), ("--help",)], ids=" ".join)
def test_who_has_closed_its_output_is_told_nothing_and_gets_the_exit_status(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    command = f"exec {sys.executable} -m api.cli.main {' '.join(words)} >&-"
    told = {**os.environ, "PAYRIVER_HOME": str(tmp_path / "none")}
    done = subprocess.run(["sh", "-c", command], env=told, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr
    assert done.returncode == (3 if words[0] == "status" else 0)


def test_of_a_pipe_that_its_reader_has_left_who_follows_learns_at_once(tmp_path: Path) -> None:
    """`payriver events STREAM --follow | head -1` ends, though nothing comes any more."""
    theirs, ours = os.pipe()
    with os.fdopen(ours, "w") as out, (tmp_path / "file").open("w") as file:
        assert listened(out) and listened(file) and listened(io.StringIO())
        os.close(theirs)
        assert not listened(out)


def test_a_file_gets_utf_8_whatever_the_locale_is(tmp_path: Path) -> None:
    home = tmp_path / "café"
    told = {**os.environ, "PYTHONIOENCODING": "ascii", "PAYRIVER_HOME": str(home)}
    for words in (("status",), ("status", "--json")):
        done = subprocess.run(
            [sys.executable, "-m", "api.cli.main", *words], env=told, capture_output=True, check=False
        )
        assert (done.returncode, b"Traceback" in done.stderr) == (3, False)
        assert "café" in done.stdout.decode("utf-8")


def test_a_terminal_of_another_alphabet_shows_what_it_lacks_as_a_question_mark(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    told = {**os.environ, "PYTHONIOENCODING": "ascii", "PAYRIVER_HOME": str(tmp_path / "café"), "COLUMNS": "300"}
    done = subprocess.run(
        [sys.executable, "-m", "api.cli.main", "status"],
        env=told,
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        check=False,
    )
    assert (done.returncode, b"Traceback" in done.stderr) == (3, False)
    assert b"caf?" in os.read(ours, 10_000)


def test_a_file_that_cannot_be_written_is_named_as_it_was_given(tmp_path: Path) -> None:
    """And not by the name that it has while it is written."""
    wanted = tmp_path / "no" / "such" / "proof.json"
    with pytest.raises(OSError, match=r"No such file") as told:
        put(wanted, b"proof")
    assert told.value.filename == str(wanted)


@pytest.mark.parametrize("words", [("provision",), ("migrate",), ("recover",), ("verify",)], ids=" ".join)
def test_where_no_river_runs_the_folder_that_was_looked_at_is_named(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = payriver(*words, "--home", str(tmp_path / "none"), PAYRIVER_WRITE_URL="", PAYRIVER_READ_URL="")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"misconfigured: no river runs in {tmp_path}/none") and "`payriver up`" in done.stderr


def test_the_status_of_what_does_not_run_says_how_it_is_started(tmp_path: Path) -> None:
    done = payriver("status", "--home", str(tmp_path))
    assert (done.returncode, done.stdout.split()) == (3, ["payriver:", "stopped", "in", str(tmp_path)])
    assert "`payriver up` starts it" in done.stderr


@pytest.mark.parametrize("reason", ["", "   ", "a\x1b[2Jb", "x" * 141])
def test_a_parked_message_is_discarded_for_a_reason_that_can_be_read(reason: str) -> None:
    done = payriver("parked", "discard", "0b1f0a2e-6a52-5d5b-9d0a-2f7f1c3b9c11", "--reason", reason)
    assert (done.returncode, "1 to 140 printable characters" in done.stderr) == (2, True)


def test_every_command_names_its_arguments_as_the_readme_does_and_what_it_takes_without_an_option() -> None:
    """In capitals; and `(dynamic)` tells nobody that it is the name of whoever calls."""
    told = {" ".join(words): command for words, command in commands(typer.main.get_command(build()))}
    assert len(told) > 60
    for name, command in told.items():
        arguments = [each.metavar or each.name for each in command.params if each.param_type_name == "argument"]
        assert [each for each in arguments if not each.isupper()] == [], name
        help_text = CliRunner().invoke(build(), [*name.split()[1:], "--help"], env={"COLUMNS": "200"}).output
        assert "(dynamic)" not in help_text, name


def commands(group: Any, *before: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each with the words that it is called by."""
    words = (*before, group.name or "payriver")
    for command in getattr(group, "commands", {}).values():
        yield from commands(command, *words)
    yield words, group
