"""What was published: a numbered folder a release, for ever. Whatever is said today must be read by every one of them, and read them all.

`released/NUMBER/Record.avsc` holds a record as it was published; a release holds those that were new or had changed, and SHA256SUMS
(read by `sha256sum -c`) over its files. `payriver schemas release` writes the next one; nothing writes an old one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from infra.errors import Conflict
from schemas.compatibility import differences, version_problem

RELEASED = Path(__file__).parent / "released"
SUMS = "SHA256SUMS"
Schema = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """A record that the next release holds: `before` is its newest released schema, or None where it is new."""

    name: str
    before: Schema | None
    after: Schema

    @property
    def added(self) -> list[str]:
        """Fields that the released schema lacks, in today's order; all of them where the record is new."""
        known = _fields(self.before) if self.before else set()
        return [each["name"] for each in self.after["fields"] if each["name"] not in known]

    @property
    def removed(self) -> list[str]:
        """Fields that only the released schema has."""
        return sorted(_fields(self.before) - _fields(self.after)) if self.before else []


@dataclass(frozen=True)
class Releases:
    """Everything ever published, below one folder."""

    folder: Path = RELEASED

    @property
    def numbers(self) -> list[int]:
        """The releases, oldest first: 2 comes before 10."""
        return sorted(int(each.name) for each in self.folder.glob("*") if each.name.isdigit())

    @cached_property
    def history(self) -> dict[str, list[tuple[int, Schema]]]:
        """Record -> its released versions, each with its release's number, oldest first."""
        found: dict[str, list[tuple[int, Schema]]] = {}
        for number in self.numbers:
            for path in sorted((self.folder / str(number)).glob("*.avsc")):
                found.setdefault(path.stem, []).append((number, json.loads(path.read_text())))
        return found

    def of(self, name: str) -> list[Schema]:
        """Every released version of a record, oldest first."""
        return [schema for _, schema in self.history.get(name, [])]

    def changes(self, vocabulary: Mapping[str, Schema]) -> list[Change]:
        """What the next release holds: records that are new, or not as they were last published."""
        newest = {name: versions[-1][1] for name, versions in self.history.items()}
        return [Change(name, newest.get(name), now) for name, now in vocabulary.items() if newest.get(name) != now]

    def problems(self, vocabulary: Mapping[str, Schema]) -> list[str]:
        """What breaks with what was published: today's vocabulary, or a published file that is not as it was."""
        found = [
            f"{name} was removed, but release {versions[-1][0]} has it and its bytes are kept: keep the class"
            for name, versions in self.history.items()
            if name not in vocabulary
        ]
        for name, now in vocabulary.items():
            versions = self.of(name)
            found += dict.fromkeys(problem for each in versions for problem in differences(each, now))
            found += filter(None, [version_problem(versions[-1], now)] if versions else [])
        return found + self._touched()

    def release(self, vocabulary: Mapping[str, Schema]) -> tuple[int, list[Change]]:
        """Publish: write the next number's files; gives the number and what it holds (nothing: the newest number, unchanged).

        Raises Conflict while `problems` finds any; nothing is written then.
        """
        found, changes = self.problems(vocabulary), self.changes(vocabulary)
        if found:
            raise Conflict("nothing was released:\n" + "\n".join(found))
        newest = max(self.numbers, default=0)
        if not changes:
            return newest, []
        folder = self.folder / str(newest + 1)
        folder.mkdir(parents=True)
        texts = {f"{each.name}.avsc": text_of(each.after) for each in changes}
        for name, text in texts.items():
            (folder / name).write_text(text)
        (folder / SUMS).write_text(sums_of(texts))
        self.__dict__.pop("history", None)
        return newest + 1, changes

    def _touched(self) -> list[str]:
        found = []
        for number in self.numbers:
            folder = self.folder / str(number)
            files = {path.name: path.read_text() for path in folder.glob("*") if path.name != SUMS}
            if not (folder / SUMS).exists() or sums_of(files) != (folder / SUMS).read_text():
                found.append(
                    f"{folder.name}/{SUMS} does not agree with the files of release {number}: what was published is never changed; "
                    "take it from the version control again"
                )
        return found


def text_of(schema: Schema) -> str:
    """A schema file's text: indented, ending in a newline."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def sums_of(texts: Mapping[str, str]) -> str:
    """The lines of a SHA256SUMS file over these texts, by name."""
    return "".join(f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n" for name, text in sorted(texts.items()))


def _fields(schema: Schema) -> set[str]:
    return {each["name"] for each in schema["fields"]}
