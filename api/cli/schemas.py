"""`payriver schemas`: writes what follows from the vocabulary and the tables (.avsc files, drawn parts of the docs), holds it, and
publishes a release of it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from connectors.chain import settings as chain_file
from infra import settings
from infra.drawn import ROOT, Drawn
from schemas import catalogue, files
from schemas.definition import MESSAGES
from schemas.releases import Change, Releases
from streams.domain.card import drawing as card_drawing
from streams.sagas import diagram

DRAWN = (
    Drawn(ROOT / "connectors" / "chain" / "README.md", "chain file", chain_file.drawn),
    Drawn(ROOT / "infra" / "README.md", "settings", settings.drawn),
    Drawn(ROOT / "schemas" / "README.md", "topics", catalogue.topics),
    Drawn(ROOT / "schemas" / "README.md", "messages", catalogue.messages),
    Drawn(ROOT / "streams" / "domain" / "README.md", "card leg", card_drawing.picture),
    Drawn(ROOT / "streams" / "domain" / "README.md", "card table", card_drawing.matrix),
    Drawn(ROOT / "streams" / "domain" / "README.md", "card reasons", card_drawing.reasons),
    Drawn(ROOT / "streams" / "sagas" / "README.md", "picture", diagram.picture),
    Drawn(ROOT / "streams" / "sagas" / "README.md", "words", diagram.words),
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
    _must_be_in_order()
    out.print(f"schemas: {len(MESSAGES)} messages, {len(DRAWN)} drawn parts, all in step")


@schemas.command()
def release(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what the next release would hold.")] = False,
) -> None:
    """Publish the vocabulary: schemas/released/NUMBER gets every record that is new or has changed. Exit status 1 if anything breaks."""
    _must_be_in_order()
    releases, vocabulary = Releases(), files.vocabulary()
    newest = max(releases.numbers, default=0)
    number, changes = (newest + 1, releases.changes(vocabulary)) if dry_run else releases.release(vocabulary)
    if not changes:
        out.print(f"nothing has changed since release {newest}: no new one is needed")
        return
    out.print(_table(changes))
    out.print(
        f"release {number} would hold {len(changes)} records; nothing was written"
        if dry_run
        else f"release {number} holds {len(changes)} records: commit schemas/released/{number}, it stays as it is for ever"
    )


def _table(changes: list[Change]) -> Table:
    table = Table("record", "version", "added", "removed", title="what the release holds", title_justify="left")
    for each in changes:
        version = f"{each.before['schema_version']} → " if each.before else ""
        added = ", ".join(each.added) if each.before else "all fields: the record is new"
        only_words = "" if added or each.removed else "[dim]only its texts or defaults[/]"
        table.add_row(
            each.name, f"{version}{each.after['schema_version']}", added or only_words, ", ".join(each.removed)
        )
    return table


def _must_be_in_order() -> None:
    found = problems()
    for problem in found:
        err.print(problem, highlight=False)
    if found:
        raise typer.Exit(1)


def problems() -> list[str]:
    """Everything that is out of step."""
    return [*files.problems(), *(problem for part in DRAWN if (problem := part.problem()))]
