"""An append costs the same in a large table: what the bench shows at a million events, at ten million here."""

from __future__ import annotations

import pytest
from rich.console import Console

from api.bench.figure import Asked
from api.bench.store import GROWTH_AIM, append_seconds
from api.bench.store_stage import staged

SMALL, LARGE, CHUNK = 100_000, 10_000_000, 500_000


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_an_append_among_ten_million_events_takes_hardly_longer_than_among_a_hundred_thousand() -> None:
    """Some 12 GB of disk for a while."""
    with staged(Asked(Console(stderr=True))) as stage:
        stage.accounts(1)
        stage.fill_to(SMALL)
        small = min(append_seconds(stage) for _ in range(5))
        for count in range(SMALL + CHUNK, LARGE + CHUNK, CHUNK):
            stage.fill_to(min(count, LARGE))
        large = min(append_seconds(stage) for _ in range(5))
    print(f"an append: {small * 1000:.3f} ms among {SMALL:,} events, {large * 1000:.3f} ms among {LARGE:,}")
    assert large <= GROWTH_AIM * small, f"{large * 1000:.2f} ms among {LARGE:,}, {small * 1000:.2f} ms among {SMALL:,}"
