"""The nonces of our senders: counted under a lock, each given out once; what others used is passed over, and one that lies idle is used."""

from __future__ import annotations

from collections.abc import Callable

from infra.database import Cursor

LOCK_NONCE = "SELECT next_nonce FROM chain_nonces WHERE chain_id = %s AND sender = %s FOR UPDATE"
ALONE = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
COUNT_NONCE = """
INSERT INTO chain_nonces (chain_id, sender, next_nonce) VALUES (%s, %s, %s)
ON CONFLICT (chain_id, sender) DO UPDATE SET next_nonce = excluded.next_nonce
"""
PASS_OVER = """
UPDATE chain_nonces SET of_others = of_others + int8multirange(int8range(next_nonce, %(used)s)), next_nonce = %(used)s
WHERE chain_id = %(chain_id)s AND sender = %(sender)s AND next_nonce < %(used)s
"""
IDLE = """
{0}.state = 'signed' AND EXISTS (SELECT 1 FROM chain_transactions AS c
    WHERE c.leg_id = {0}.leg_id AND c.sender <> {0}.sender AND c.state IN ('broadcast', 'mined', 'final'))
"""
"""A spend that no node took while its sender could not pay, and that another sender has carried since. {0}: the transaction."""
IDLE_NONCE = f"""
SELECT t.tx_hash, t.nonce FROM chain_transactions AS t WHERE t.chain_id = %s AND t.sender = %s AND {IDLE.format("t")}
ORDER BY t.nonce LIMIT 1 FOR UPDATE OF t SKIP LOCKED
"""


def next_nonce(cursor: Cursor, chain_id: int, sender: str, ask_node: Callable[[], int]) -> int:
    """The sender's next nonce, nobody else's until the transaction ends; the node is asked once in the sender's life."""
    counted = _counted(cursor, chain_id, sender)
    if counted is None:  # there is no row to be locked yet
        cursor.execute(ALONE, (f"nonce {chain_id} {sender}",))
        counted = _counted(cursor, chain_id, sender)
    return ask_node() if counted is None else counted


def idle(cursor: Cursor, chain_id: int, sender: str) -> tuple[str, int] | None:
    """(transaction, nonce) of the sender's first spend that no node took while it could not pay, and that another sender has carried since.

    Locked. Nothing waits for it but its nonce: the sender's next spend is signed there, and the contract would refuse the old one anyhow.
    """
    cursor.execute(IDLE_NONCE, (chain_id, sender))
    row = cursor.fetchone()
    return (str(row[0]), int(row[1])) if row else None


def count_nonce(cursor: Cursor, chain_id: int, sender: str, nonce: int) -> None:
    """Something was signed at this nonce: the next one is the one after it."""
    cursor.postpone(COUNT_NONCE, (chain_id, sender, nonce + 1))


def pass_over(cursor: Cursor, chain_id: int, sender: str, used: int) -> None:
    """A stranger has the key too: so many nonces of the sender are used up to a final block, and none of them is given out any more."""
    cursor.postpone(PASS_OVER, {"used": used, "chain_id": chain_id, "sender": sender})


def _counted(cursor: Cursor, chain_id: int, sender: str) -> int | None:
    cursor.execute(LOCK_NONCE, (chain_id, sender))
    row = cursor.fetchone()
    return int(row[0]) if row else None
