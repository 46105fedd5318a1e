"""Who was contradicted, and how often: nodes by the others, our books by the contracts, a person who closed a spend by a block that has it.
Counted on W, for whoever watches from outside.
"""

from __future__ import annotations

from collections.abc import Mapping

from infra.database import Cursor

DRIFT_OBSERVED, ENDPOINT_OUTVOTED, CLOSED_SPEND_MINED = "drift_observed", "endpoint_outvoted", "closed_spend_mined"
COUNT = """
INSERT INTO chain_contradictions AS c (chain_id, kind, subject, times) VALUES %s
ON CONFLICT (chain_id, kind, subject) DO UPDATE SET times = c.times + excluded.times, last_at = clock_timestamp()
"""
OUTVOTED = "SELECT subject, times FROM chain_contradictions WHERE chain_id = %s AND kind = %s"


def count(cursor: Cursor, chain_id: int, kind: str, times: Mapping[str, int]) -> None:
    """So many more, by subject."""
    cursor.postpone_values(COUNT, [(chain_id, kind, subject, more) for subject, more in sorted(times.items())])


def outvoted(cursor: Cursor, chain_id: int) -> dict[str, int]:
    """How often each node (host and port) was outvoted, of those that ever were."""
    cursor.execute(OUTVOTED, (chain_id, ENDPOINT_OUTVOTED))
    return dict(cursor.fetchall())
