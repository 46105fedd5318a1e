"""An append costs the same in a large table: what the bench shows at a million events, at ten million here."""

from __future__ import annotations

import pytest
from rich.console import Console

from api.bench.figure import Asked
from api.bench.store import GROWTH_AIM, append_seconds
from api.bench.store_stage import StoreStage, commit_seconds, staged

SMALL, LARGE, CHUNK = 100_000, 10_000_000, 500_000


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_an_append_among_ten_million_events_takes_hardly_longer_than_among_a_hundred_thousand() -> None:
    """Some 12 GB of disk for a while."""
    with staged(Asked(Console(stderr=True))) as stage:
        stage.accounts(1)
        stage.fill_to(SMALL)
        small, disk = _measured(stage)
        for count in range(SMALL + CHUNK, LARGE + CHUNK, CHUNK):
            stage.fill_to(min(count, LARGE))
        large, disk_then = _measured(stage)
    print(
        f"an append: {small:.3f} ms among {SMALL:,} events, {large:.3f} ms among {LARGE:,};"
        f" the disk made a page durable in {disk:.3f} ms, and in {disk_then:.3f} ms then"
    )
    assert large <= GROWTH_AIM * small, f"{large:.2f} ms among {LARGE:,}, {small:.2f} ms among {SMALL:,}"


def _measured(stage: StoreStage) -> tuple[float, float]:
    """An append, and the disk alone at the same time, in ms: it is the machine's, and may be busy with something else."""
    found = [(append_seconds(stage), commit_seconds(stage.stack.home.path())) for _ in range(5)]
    return min(each[0] for each in found) * 1000, min(each[1] for each in found) * 1000
