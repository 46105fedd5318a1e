"""A table where the terminal is wide enough for it; elsewhere its rows as paragraphs, a line a column: nothing is cut off."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

LEAST = 20
"""Characters of a column that may be wrapped: with fewer, paragraphs read better."""
ENDLESS = 10_000
"""Characters: as wide as no terminal is."""


@dataclass(frozen=True)
class Fitting:
    """The table. A column may be wrapped where it says overflow="fold" and not no_wrap; every other keeps its width."""

    table: Table

    def __post_init__(self) -> None:
        for column in self.table.columns:
            column.no_wrap = not _wraps(column)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The one or the other, by the width that there is."""
        if self._least(console, options) <= options.max_width:
            yield self.table
            return
        if self.table.title:
            yield Text(str(self.table.title), style="table.title")
        for cells in zip(*(column.cells for column in self.table.columns), strict=True):
            yield from self._paragraph(console, cells)

    def _least(self, console: Console, options: ConsoleOptions) -> int:
        """Characters that the table cannot do without."""
        endless = options.update(max_width=ENDLESS)

        def width(cell: RenderableType) -> int:
            return Measurement.get(console, endless, cell).maximum

        spare = [
            max(width(cell) for cell in (column.header, *column.cells)) - LEAST
            for column in self.table.columns
            if _wraps(column)
        ]
        return width(self.table) - sum(each for each in spare if each > 0)

    def _paragraph(self, console: Console, cells: tuple[RenderableType, ...]) -> RenderResult:
        if not self.table.show_header:
            yield Text("  ").join(_text(console, cell) for cell in cells)
            return
        lines = Table.grid(padding=(0, 2, 0, 0))
        lines.add_column(style="dim", no_wrap=True)
        lines.add_column(overflow="fold")
        for column, cell in zip(self.table.columns, cells, strict=True):
            if str(cell):
                lines.add_row(column.header, cell)
        yield lines
        yield ""


def _wraps(column: Column) -> bool:
    return column.overflow == "fold" and not column.no_wrap


def _text(console: Console, cell: RenderableType) -> Text:
    return cell if isinstance(cell, Text) else console.render_str(str(cell))
