"""The legs that we sent, as the listener finds them on the chain and tells the submitter how far they are: rows of its intents, by SQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from connectors.chain.listening.interpret import Leg, Legs
from infra.database import Cursor
from streams.domain.chain.facts import Transfer

OUR_SPENDS = "SELECT consumed_hash, payment_id, leg_id, kind, account_id FROM chain_intents WHERE consumed_hash = ANY(%s::text[])"
OUR_REFUNDS = """
SELECT t.tx_hash, i.payment_id, i.leg_id, i.kind FROM chain_transactions AS t INNER JOIN chain_intents AS i USING (leg_id)
WHERE t.tx_hash = ANY(%s::text[]) AND i.kind = 'refund'
"""
SIGNED = "SELECT leg_id, target, signer, consumed_hash FROM chain_intents WHERE leg_id = ANY(%s::uuid[])"
END_LEGS = """
UPDATE chain_intents SET state = 'ended_unpaid' WHERE leg_id = ANY(%s::uuid[]) AND state IN ('planned', 'submitted')
"""
LEG_STATE = "UPDATE chain_intents AS i SET state = new.state FROM (VALUES %s) AS new (leg_id, state) WHERE i.leg_id = new.leg_id"


def our_legs(cursor: Cursor, consumed: Sequence[str], transactions: Sequence[str]) -> Legs:
    """Which of these consumed hashes and transactions are ours."""
    cursor.execute(OUR_SPENDS, (list(consumed),))
    by_hash = {row[0]: Leg(row[1], row[2], row[3], account_id=row[4]) for row in cursor.fetchall()}
    cursor.execute(OUR_REFUNDS, (list(transactions),))
    return Legs(by_hash, {row[0]: Leg(*row[1:]) for row in cursor.fetchall()})


def signed_spends(cursor: Cursor, leg_ids: Sequence[UUID]) -> dict[UUID, tuple[str, str, str]]:
    """(Spender, signer, hash) of these legs' signed spends."""
    if not leg_ids:
        return {}
    cursor.execute(SIGNED, (list(leg_ids),))
    return {row[0]: tuple(row[1:]) for row in cursor.fetchall()}


def mark_legs(cursor: Cursor, transfers: Iterable[Transfer], state: str) -> None:
    """Tell the submitter how far its legs are; a leg that is not ours has no row."""
    rows = [(each.leg_id, state) for each in transfers if each.leg_id is not None]
    cursor.postpone_values(LEG_STATE, rows)


def end_legs(cursor: Cursor, leg_ids: Sequence[UUID]) -> None:
    """These spends can never happen any more."""
    if leg_ids:
        cursor.postpone(END_LEGS, (list(leg_ids),))
