"""What a person sees while the river runs: the steps as they are taken, and the payments as they move."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

COLOURS = {
    "settled": "green", "open": "yellow", "declined": "red", "refunded": "magenta", "unseen": "blue", "unpaid": "bright_red",
}  # fmt: skip


@dataclass
class View:
    """Draws steps and counts; on a pipe it prints a line a step instead."""

    console: Console
    counts: Callable[[], Mapping[str, int]]
    done: list[tuple[str, str, float]] = field(default_factory=list)
    now: str = ""
    _began: float = 0.0
    _live: Live | None = None

    def __enter__(self) -> View:
        if self.console.is_terminal:
            self._live = Live(get_renderable=self._drawn, console=self.console, refresh_per_second=5, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self.console.print(self._steps())

    def begin(self, name: str) -> None:
        """A step begins."""
        self.now, self._began = name, monotonic()

    def end(self, told: str) -> float:
        """The step is done; gives its seconds."""
        seconds = monotonic() - self._began
        self.add(self.now, told, seconds)
        self.now = ""
        return seconds

    def add(self, name: str, told: str, seconds: float) -> None:
        """A step that was done, here or before."""
        self.done.append((name, told, seconds))
        if self._live is None:
            self.console.print(f"  {name:<14} {told:<28} {seconds:6.1f} s")

    def _drawn(self) -> Group:
        parts: list[Any] = [self._steps()]
        if self.now:
            parts.append(Spinner("dots", Text(f" {self.now} ...  {monotonic() - self._began:.0f} s", style="cyan")))
        counts = self.counts()
        if counts:
            parts.append(Panel(_bars(counts), title="payments", width=72))
        return Group(*parts)

    def _steps(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for name, told, seconds in self.done:
            table.add_row(Text("✓", style="green"), name, Text(told, style="dim"), f"{seconds:.1f} s")
        return table


def _bars(counts: Mapping[str, int]) -> Table:
    most = max(counts.values(), default=1) or 1
    table = Table.grid(padding=(0, 1))
    for outcome, count in sorted(counts.items()):
        table.add_row(outcome, Text("█" * -(-count * 40 // most), style=COLOURS.get(outcome, "white")), str(count))
    return table


def closing(console: Console, told: Mapping[str, Any]) -> None:
    """The summary."""
    table = Table(title="The day in figures", show_header=False)
    for outcome, count in told["payments"].items():
        table.add_row(f"payments {outcome}", str(count))
    for name, values in told["latency_ms"].items():
        table.add_row(f"{name.replace('_', ' ')}, ms", f"p50 {values['p50']}   p99 {values['p99']}")
    table.add_row("memory of all processes, MiB", f"{sum(told['rss_mb'].values()):.0f}")
    ok = told["verify"]["ok"]
    table.add_row("verify", Text("agrees with the chain", style="green") if ok else Text("DIFFERS", style="bold red"))
    console.print(table)
    for each in told["verify"]["differences"][:20]:
        console.print(each, style="red")
