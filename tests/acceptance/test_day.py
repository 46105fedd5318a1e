"""The demo's day is the acceptance test: every step demands what must come of it, and verify agrees with the chain."""

from __future__ import annotations

from typing import Any


def test_a_day_of_the_programme_ends_as_it_must(day: dict[str, Any]) -> None:
    assert day["verify"] == {"ok": True, "differences": []}
    assert day["payments"]["settled"] == 50 + 1 + 37 + 1 + 1
    assert day["payments"]["declined"] == 2 + 63
    assert day["payments"]["refunded"] == 1
    assert day["payments"]["parked"] == 0


def test_the_day_is_anchored_on_chain_before_it_is_verified(day: dict[str, Any]) -> None:
    covered = day["audit_log"]
    assert covered["anchors_read"] and covered["transaction"].startswith("0x")
    assert covered["anchored"] + covered["not_covered"] == covered["events"] and covered["anchored"] > 50 * 5


def test_the_summary_tells_latency_seconds_and_memory(day: dict[str, Any]) -> None:
    for name in ("swipe_to_booked", "authorization"):
        assert 0 < day["latency_ms"][name]["p50"] <= day["latency_ms"][name]["p99"]
    assert {"spends", "at once", "verify"} <= day["seconds"].keys()
    assert day["rss_mb"]["api-1"] > 0
