"""What a decision may know besides the streams: the write server's clock, how fresh our view of the chain is, the rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Policy:
    """The programme's rules, from settings."""

    chain_stale_seconds: int = 60
    hold_expiry: timedelta = timedelta(days=7)
    patience: timedelta = timedelta(hours=1)
    blocked_mccs: frozenset[str] = frozenset()
    blocked_countries: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Circumstances:
    """`now`: W's clock. `chain_time`: time of the last seen block, Unix seconds. `chain_age_seconds`: since we saw it."""

    now: datetime
    chain_time: int
    chain_age_seconds: int
    policy: Policy = field(default_factory=Policy)
