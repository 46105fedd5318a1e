"""Parts of the docs that are drawn from code: between two marks in a Markdown file, written by `make schemas`, held by `make check`.

A drawn part stands between `<!-- drawn: NAME -->` and `<!-- end -->`; what is around it is written by people.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.errors import BadInput

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Drawn:
    """One part: in which file, under which name, and the function that draws it."""

    path: Path
    name: str
    draw: Callable[[], str]

    def write(self) -> bool:
        """Bring the file in step; whether it was not. Raises BadInput where the marks are missing."""
        text = self.path.read_text()
        wanted = self._wanted(text)
        if wanted == text:
            return False
        self.path.write_text(wanted)
        return True

    def problem(self) -> str | None:
        """What is wrong with it, or nothing."""
        text = self.path.read_text()
        where = self.path.relative_to(ROOT)
        return (
            None
            if self._wanted(text) == text
            else f"{where}: the part {self.name!r} is out of step; run `make schemas`"
        )

    def _wanted(self, text: str) -> str:
        mark = f"<!-- drawn: {self.name} -->"
        pattern = re.compile(rf"({re.escape(mark)}\n).*?(<!-- end -->)", re.DOTALL)
        if len(pattern.findall(text)) != 1:
            raise BadInput(f"{self.path} wants one part between {mark} and <!-- end -->")
        return pattern.sub(lambda found: f"{found[1]}{self.draw().strip()}\n{found[2]}", text)


def table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table; a bar inside a cell is escaped."""
    lines = [
        headings,
        tuple("---" for _ in headings),
        *(tuple(cell.replace("|", r"\|") for cell in row) for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
