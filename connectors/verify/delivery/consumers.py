"""Subject: how far each consumer has come. One checkpoint a partition and consumer, and none that stands before what R has seen delivered."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from connectors.verify.walk import Context
from schemas.topics import SUBSCRIPTIONS

CHECKPOINTS = "SELECT cluster, topic_id, topic, partition, consumer, next_offset FROM checkpoints"
NEWEST = """SELECT topic, partition, max("offset") FROM deliveries WHERE topic IS NOT NULL GROUP BY topic, partition"""
Place = tuple[str, str, str]
"""(cluster, topic id, topic)"""


def check(context: Context) -> None:
    """All checkpoints of both servers. An audit without any (nothing was provisioned) says so."""
    rows = {
        (server, *row[:5]): row[5]
        for server, snapshot in (("write", context.write), ("read", context.read))
        for row in snapshot.rows(CHECKPOINTS)
    }
    if not rows:
        context.findings.skipped.append("checkpoints: none are provisioned")
        return
    partitions = _partitions(rows)
    newest = {(topic, partition): offset for topic, partition, offset in context.read.rows(NEWEST)}
    _strangers(context, rows)
    for subscription in SUBSCRIPTIONS:
        for place, count in partitions.items():
            if place[2] in subscription.topics:
                for partition in range(count):
                    key = (subscription.server, *place, partition, subscription.component)
                    _checkpoint(context, key, rows.get(key), newest.get((place[2], partition)))


def _partitions(rows: dict[tuple[Any, ...], int]) -> dict[Place, int]:
    """How many partitions each topic was provisioned with: as most topics say, for all are made alike."""
    seen: dict[Place, int] = defaultdict(int)
    for _, cluster, topic_id, topic, partition, _ in rows:
        seen[cluster, topic_id, topic] = max(seen[cluster, topic_id, topic], partition + 1)
    (usual, _), *_ = Counter(seen.values()).most_common(1)
    return {place: max(count, usual) for place, count in seen.items()}


def _checkpoint(context: Context, key: tuple[Any, ...], next_offset: int | None, newest: int | None) -> None:
    server, _, _, topic, partition, consumer = key
    name = f"{consumer} {topic}/{partition} on {server}"
    context.findings.checked["checkpoints"] += 1
    if next_offset is None:
        context.findings.absent(
            "checkpoints", name, "a checkpoint", "every provisioned partition has one for each consumer"
        )
    elif newest is not None and next_offset <= newest:
        about = f"column next_offset: offset {newest} was delivered, {consumer} has not come so far"
        context.findings.differ("checkpoints", name, next_offset, f"above {newest}", about)
        if consumer == "projections":  # both are written in one commit, so one of the two was changed
            about = f"column offset: projections stands at {next_offset}"
            context.findings.differ("deliveries", f"{topic}/{partition}", newest, f"below {next_offset}", about)


def _strangers(context: Context, rows: dict[tuple[Any, ...], int]) -> None:
    known = {(each.server, topic, each.component) for each in SUBSCRIPTIONS for topic in each.topics}
    for server, _, _, topic, partition, consumer in rows:
        if (server, topic, consumer) not in known:
            name = f"{consumer} {topic}/{partition} on {server}"
            context.findings.surplus("checkpoints", name, "a checkpoint", "nobody subscribes so")
