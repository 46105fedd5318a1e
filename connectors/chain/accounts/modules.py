"""The modifiers that a known factory made from known builds, by SQL: noted in the commit of their block, asked when it is final."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psycopg2.extras import execute_values

from infra.database import Cursor

NOTE = """
INSERT INTO chain_modules (chain_id, module, kind, made_block, look_block) VALUES %s
ON CONFLICT (chain_id, module) DO UPDATE SET made_block = excluded.made_block, look_block = excluded.look_block
WHERE chain_modules.verdict IS DISTINCT FROM 'account'
"""
STIR = """
UPDATE chain_modules SET look_block = %s
WHERE chain_id = %s AND module = ANY(%s) AND verdict <> 'account' AND look_block IS NULL
"""
TO_ASK = """
SELECT module, kind, made_block, wallet, verdict FROM chain_modules
WHERE chain_id = %s AND look_block <= %s ORDER BY made_block FETCH FIRST %s ROWS WITH TIES
"""
OF_WALLETS = """
SELECT module, kind, made_block, wallet, verdict FROM chain_modules WHERE chain_id = %s AND wallet = ANY(%s) ORDER BY made_block, module
"""
ASKED = """
UPDATE chain_modules AS m SET look_block = NULL, wallet = new.wallet, verdict = new.verdict
FROM (VALUES %s) AS new (chain_id, module, wallet, verdict) WHERE m.chain_id = new.chain_id AND m.module = new.module
"""
ACCOUNT = "account"


@dataclass(frozen=True)
class Module:
    """A Roles or Delay modifier. `wallet`, `verdict`: what was found when it was asked before. Addresses in lower case."""

    address: str
    kind: str
    made_block: int
    wallet: str | None = None
    verdict: str | None = None


def note(cursor: Cursor, chain_id: int, made: Sequence[Module]) -> None:
    """They were made; made again in another block after a reorg, they are asked again."""
    newest = {each.address: each for each in made}
    if newest:
        rows = [(chain_id, each.address, each.kind, each.made_block, each.made_block) for each in newest.values()]
        execute_values(cursor, NOTE, rows)


def stir(cursor: Cursor, chain_id: int, addresses: Iterable[str], block_number: int) -> None:
    """Something happened to these addresses: those among them that were nobody's are asked again."""
    wanted = sorted(set(addresses))
    if wanted:
        cursor.execute(STIR, (block_number, chain_id, wanted))


def to_ask(cursor: Cursor, chain_id: int, final: int, limit: int) -> list[Module]:
    """Those whose block is final and that were not asked since; those of one block together."""
    cursor.execute(TO_ASK, (chain_id, final, limit))
    return [Module(*row) for row in cursor.fetchall()]


def of_wallets(cursor: Cursor, chain_id: int, wallets: Sequence[str]) -> list[Module]:
    """The modifiers that said before that they act for these wallets."""
    cursor.execute(OF_WALLETS, (chain_id, list(wallets)))
    return [Module(*row) for row in cursor.fetchall()]


def asked(cursor: Cursor, chain_id: int, answers: Iterable[tuple[str, str | None, str]]) -> None:
    """(module, wallet, verdict): what they said."""
    rows = [(chain_id, *each) for each in answers]
    if rows:
        execute_values(cursor, ASKED, rows)
