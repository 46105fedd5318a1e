"""What this process counts, as Prometheus reads it: answers to the card network, open pages, and the lag of the read side."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator

from api.answers.health_models import Readiness

BOUNDS_SECONDS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.0)


class AnswerTimes:
    """How long answers to the card network took, by response code."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._buckets = [0] * (len(BOUNDS_SECONDS) + 1)
        self._codes: Counter[str] = Counter()
        self._seconds = 0.0

    def took(self, seconds: float, response_code: str) -> None:
        """One answer was given."""
        with self._lock:
            self._buckets[bisect_left(BOUNDS_SECONDS, seconds)] += 1
            self._codes[response_code] += 1
            self._seconds += seconds

    def lines(self) -> Iterator[str]:
        """In Prometheus' text format."""
        with self._lock:
            buckets, codes, seconds = list(self._buckets), dict(self._codes), self._seconds
        yield "# HELP payriver_authorization_seconds Time to answer the card network."
        yield "# TYPE payriver_authorization_seconds histogram"
        so_far = 0
        for bound, count in zip((*map(str, BOUNDS_SECONDS), "+Inf"), buckets, strict=True):
            so_far += count
            yield f'payriver_authorization_seconds_bucket{{le="{bound}"}} {so_far}'
        yield f"payriver_authorization_seconds_sum {seconds:.6f}"
        yield f"payriver_authorization_seconds_count {so_far}"
        yield "# HELP payriver_authorizations_total Answers to the card network, by response code (ISO 8583 DE39)."
        yield "# TYPE payriver_authorizations_total counter"
        for code, count in sorted(codes.items()):
            yield f'payriver_authorizations_total{{response_code="{code}"}} {count}'


def exposition(times: AnswerTimes, live_pages: int, found: Readiness) -> str:
    """All of it. `live_pages`: that are open on the live stream."""
    gauges = {
        "payriver_ready": ("Whether this process can work.", int(found.status == "ready")),
        "payriver_live_pages": ("Pages open on the live stream.", live_pages),
        "payriver_unsettled_positions": (
            "Positions that readers of all events wait with, for appends that go on.",
            found.unsettled_positions,
        ),
        "payriver_longest_append_seconds": (
            "Age of the oldest transaction that appends; all readers wait for it.",
            found.longest_append_seconds,
        ),
        "payriver_read_lag_events": ("Positions between the newest event stored and delivered.", found.lag_events),
        "payriver_read_lag_seconds": ("Age of the oldest event that is not delivered.", found.lag_seconds),
        "payriver_set_aside_shown": ("Events that were put aside and are shown all the same.", found.set_aside_shown),
        "payriver_chain_age_seconds": ("How old our view of the chain is.", found.chain_age_seconds),
        "payriver_unanchored_seconds": ("Age of the oldest event that no anchor covers.", found.unanchored_seconds),
        "payriver_read_late_seconds": ("From which lag on the read side is late.", found.read_late_seconds),
        "payriver_chain_stale_seconds": ("From which age on our view is stale.", found.chain_stale_seconds),
        "payriver_anchor_late_seconds": ("From which age on an anchor is late.", found.anchor_late_seconds),
    }
    lines = list(times.lines())
    counters = {
        "payriver_drifts_observed_total": (
            "Contracts that contradicted our view of an account.",
            found.drifts_observed,
        ),
        "payriver_endpoints_outvoted_total": ("Nodes that most others contradicted.", found.endpoints_outvoted),
        "payriver_closed_spends_mined_total": (
            "Spends that a person had closed and a block has after all.",
            found.closed_spends_mined,
        ),
    }
    for kind, told in (("gauge", gauges), ("counter", counters)):
        for name, (meaning, value) in told.items():
            if value is not None:
                lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}", f"{name} {value}"]
    lines += ["# HELP payriver_parked What waits for a person, by kind.", "# TYPE payriver_parked gauge"]
    lines += [f'payriver_parked{{kind="{kind}"}} {count}' for kind, count in _parked(found) if count is not None]
    return "\n".join(lines) + "\n"


def _parked(found: Readiness) -> Iterator[tuple[str, int | None]]:
    yield "write_message", found.parked_write_messages
    yield "read_message", found.parked_read_messages
    yield "saga", found.parked_sagas
    yield "webhook", found.parked_webhooks
