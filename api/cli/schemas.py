"""`payriver schemas`: writes what follows from the vocabulary and the tables (.avsc files, drawn parts of the docs), and holds it."""

from __future__ import annotations

import typer
from rich.console import Console

from infra.drawn import ROOT, Drawn
from schemas import catalogue, files
from schemas.definition import MESSAGES
from streams.sagas import diagram

DRAWN = (
    Drawn(ROOT / "schemas" / "README.md", "topics", catalogue.topics),
    Drawn(ROOT / "schemas" / "README.md", "messages", catalogue.messages),
    Drawn(ROOT / "streams" / "sagas" / "README.md", "picture", diagram.picture),
    Drawn(ROOT / "streams" / "sagas" / "README.md", "rows", diagram.rows),
)
out, err = Console(soft_wrap=True), Console(stderr=True, soft_wrap=True)

schemas = typer.Typer(no_args_is_help=True, help="The .avsc files and the drawn parts of the docs.")


@schemas.command()
def write() -> None:
    """Bring every file in step with the classes and tables that it is drawn from."""
    written = [*files.write(), *dict.fromkeys(part.path for part in DRAWN if part.write())]
    for path in written:
        out.print(f"wrote {path.relative_to(ROOT)}")
    out.print(f"{len(written)} files written")


@schemas.command()
def check() -> None:
    """Say what is out of step, and which schema breaks with one that was released. Exit status 1 if there is anything."""
    found = problems()
    for problem in found:
        err.print(problem, highlight=False)
    if found:
        raise typer.Exit(1)
    out.print(f"schemas: {len(MESSAGES)} messages, {len(DRAWN)} drawn parts, all in step")


def problems() -> list[str]:
    """Everything that is out of step."""
    return [*files.problems(), *(problem for part in DRAWN if (problem := part.problem()))]
