"""What a bench says: one figure beside a peer's, or beside its aim. A ratio's direction is always the same: higher is better."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from infra.errors import PayriverError


class BenchFailed(PayriverError):
    """What was to be measured did not happen."""

    reason = "bench_failed"


@dataclass(frozen=True)
class Asked:
    """What every bench is told. `cold`: begin with an empty cache of servers; `console`: where it shows how far it is.

    `size`: small, usual or full; for those benches that can be run short, or very long.
    """

    console: Console
    cold: bool = False
    offline: bool = False
    cache: Path | None = None
    size: str = "usual"


@dataclass(frozen=True)
class Figure:
    """Ours beside a peer's, in `unit`. `aim` is the least ratio that we are content with."""

    name: str
    ours: float
    peer: float
    peer_name: str
    unit: str
    ratio: float
    aim: float

    @property
    def reached(self) -> bool:
        """Whether the aim is."""
        return self.ratio >= self.aim

    def as_json(self) -> dict[str, Any]:
        """One element of the list that `--json` writes."""
        return asdict(self)


def cost(name: str, ours: float, aim: float, unit: str) -> Figure:
    """A time or an amount of memory, of which less is better, beside our own aim; what took no time is a thousand times better."""
    return Figure(name, _shown(ours), aim, "aim", unit, _shown(aim / max(ours, aim / 1000)), 1)


def rate(name: str, ours: float, aim: float, unit: str) -> Figure:
    """So many a second, beside our own aim."""
    return Figure(name, _shown(ours), aim, "aim", unit, _shown(ours / aim), 1)


def percentiles(values: Sequence[float]) -> tuple[float, float]:
    """p50 and p99, neither of them interpolated beyond what was measured. Raises BenchFailed for fewer than two values."""
    if len(values) < 2:
        raise BenchFailed(f"{len(values)} values are too few for a p99")
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[98]


def _shown(value: float) -> float:
    """Three decimals: more would be noise."""
    return round(value, 3)
