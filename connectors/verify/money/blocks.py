"""Subject: the chain itself. Our blocks hang together and stand on the node; what was booked is what the token says at the final block."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from connectors.chain.node.abi import answers, call_data
from connectors.chain.node.errors import RpcRefused
from connectors.chain.node.rpc import Rpc
from connectors.verify.money.balances import Balances, Tally
from connectors.verify.snapshot import Row
from connectors.verify.walk import Context
from infra.errors import Undecodable

CURSORS = "SELECT chain_id, seen_number, seen_hash, seen_time, final_number FROM chain_cursors ORDER BY chain_id"
BLOCKS = """
SELECT number, hash, parent_hash, time, state, skipped FROM chain_blocks WHERE chain_id = %s AND state <> 'orphaned' ORDER BY number, hash
"""
DROPPED = "SELECT hash, state FROM chain_blocks WHERE chain_id = %s AND hash = %s AND state = 'orphaned'"
FINAL_HASH = "SELECT hash FROM chain_blocks WHERE chain_id = %s AND number = %s AND state = 'final'"
SENT = """
SELECT tx_hash, state, block_number FROM chain_transactions
WHERE chain_id = %s AND tx_hash ~ '^0x[0-9a-f]{64}$' ORDER BY nonce
"""
ENDED = r"""
SELECT leg_id, target, signer, consumed_hash FROM chain_intents
WHERE chain_id = %s AND kind = 'spend' AND state = 'ended_unpaid' AND consumed_hash ~ '^0x[0-9a-f]{64}$' AND signer ~ '^0x[0-9a-fA-F]{40}$'
AND target ~ '^0x[0-9a-fA-F]{40}$' ORDER BY leg_id
"""
OTHERS_SENT = """
SELECT sighting_id, account_id, tx_hash, sender, nonce FROM chain_sightings
WHERE chain_id = %s AND state = 'final' AND nonce IS NOT NULL AND tx_hash ~ '^0x[0-9a-f]{64}$' ORDER BY sighting_id, account_id
"""
UNFOLLOWED = """
SELECT told.* FROM (
    SELECT DISTINCT 'chain_blocks', chain_id FROM chain_blocks UNION ALL SELECT DISTINCT 'chain_wallets', chain_id FROM chain_wallets
) AS told (name, chain_id) WHERE NOT EXISTS (SELECT 1 FROM chain_cursors AS c WHERE c.chain_id = told.chain_id)
"""
NEW = "SELECT account_id FROM chain_wallets WHERE state = 'new'"
A_REQUEST = 100
NEWEST_BLOCKS = 5000
T = TypeVar("T")


def check(context: Context, balances: Balances) -> None:
    """Every chain that a listener follows; what needs the node is asked of the chain file's."""
    for table, chain_id in context.write.rows(UNFOLLOWED):
        context.findings.absent("chain_cursors", chain_id, "a cursor", f"{table} tells of this chain")
        context.findings.surplus(table, f"chain {chain_id}", "rows", "no listener follows this chain")
    for row in context.write.rows(CURSORS):
        cursor = dict(zip(("chain_id", "seen_number", "seen_hash", "seen_time", "final_number"), row, strict=True))
        blocks = _links(context, cursor)
        if context.node is None or context.chain is None:
            context.findings.skipped.append(f"chain {cursor['chain_id']}: the node was not asked")
        elif context.chain.chain_id != cursor["chain_id"]:
            context.findings.skipped.append(
                f"chain {cursor['chain_id']}: the chain file names {context.chain.chain_id}"
            )
        else:
            _standing(context, context.node, cursor, blocks)
            _receipts(context, context.node, cursor)
            _others(context, context.node, cursor)
            _taken_back(context, context.node, cursor)
            _balances(context, context.node, cursor, balances)


def _links(context: Context, cursor: Mapping[str, Any]) -> list[Row]:
    """Each block is the child of the one before, or follows those that it says were read in bulk. Gives the newest."""
    findings, chain_id = context.findings, cursor["chain_id"]
    before: Row | None = None
    final: int | None = None
    newest: deque[Row] = deque(maxlen=NEWEST_BLOCKS)
    for row in context.write.stream(BLOCKS, (chain_id,)):
        number, digest, parent, _, state, skipped = row
        key = f"{chain_id} {digest}"
        findings.checked["blocks"] += 1
        if before is not None and (number != before[0] + 1 + skipped or (not skipped and parent != before[1])):
            link = f"block {number}, child of {parent}"
            findings.differ("chain_blocks", key, link, f"block {before[0] + 1}, child of {before[1]}", "a broken link")
        wanted = "final" if number <= cursor["final_number"] else "seen"
        findings.expect("chain_blocks", key, state, wanted, f"column state: block {cursor['final_number']} is final")
        before, final = row, number if state == "final" else final
        newest.append(row)
    if before is not None:
        found = {
            "seen_number": cursor["seen_number"],
            "seen_hash": cursor["seen_hash"],
            "seen_time": cursor["seen_time"],
            "final_number": cursor["final_number"],
        }
        expected = {"seen_number": before[0], "seen_hash": before[1], "seen_time": before[3], "final_number": final}
        findings.compare("chain_cursors", chain_id, found, expected, "the newest blocks say otherwise")
        for digest, state in context.write.rows(DROPPED, (chain_id, cursor["seen_hash"])):
            about = "column state: the cursor stands at this block"
            findings.differ("chain_blocks", f"{chain_id} {digest}", state, "seen", about)
    return list(newest)


def _standing(context: Context, node: Rpc, cursor: Mapping[str, Any], blocks: Sequence[Row]) -> None:
    """The node has the same blocks. One that is not final may have been dropped while we looked: then it has nothing to say."""
    findings, final = context.findings, cursor["final_number"]
    for place, batch in _batches(blocks):
        for row, header in zip(batch, node.blocks([row[0] for row in batch]), strict=True):
            key = f"{cursor['chain_id']} {row[1]}"
            if row[0] > final and (header is None or header.hash != row[1]):
                continue
            if header is None:
                findings.differ("chain_blocks", key, row[0], "a block of the node", f"{node.node} has no such block")
                continue
            found = {"hash": row[1], "parent_hash": row[2], "time": row[3]}
            expected = {"hash": header.hash, "parent_hash": header.parent_hash, "time": header.time}
            findings.compare("chain_blocks", key, found, expected, f"{node.node} says otherwise")
        findings.checked["blocks on the node"] += len(batch)
        context.progress("blocks on the node", place, len(blocks))


def _receipts(context: Context, node: Rpc, cursor: Mapping[str, Any]) -> None:
    """What became for good of our transactions, by their receipts. What is not final may have moved while we looked."""
    rows = context.write.rows(SENT, (cursor["chain_id"],))
    for place, batch in _batches(rows):
        for (tx_hash, state, number), receipt in zip(batch, node.receipts([row[0] for row in batch]), strict=True):
            if receipt is None or receipt.block_number > cursor["final_number"]:
                if state in ("final", "reverted_final"):
                    found = "has no receipt" if receipt is None else f"is in block {receipt.block_number}, not final"
                    context.findings.differ("chain_transactions", tx_hash, state, found, f"column state: {node.node}")
                continue
            told = {"state": state, "block_number": number}
            expected = {
                "state": "final" if receipt.succeeded else "reverted_final",
                "block_number": receipt.block_number,
            }
            context.findings.compare("chain_transactions", tx_hash, told, expected, "its receipt says otherwise")
        context.findings.checked["receipts"] += len(batch)
        context.progress("receipts", place, len(rows))


def _others(context: Context, node: Rpc, cursor: Mapping[str, Any]) -> None:
    """Who sent a debit that others sent, and at which nonce, where the node still has its transaction."""
    rows = context.write.rows(OTHERS_SENT, (cursor["chain_id"],))
    for place, batch in _batches(rows):
        answers = node.batch([("eth_getTransactionByHash", [row[2]]) for row in batch])
        for (sighting_id, account_id, _, sender, nonce), told in zip(batch, answers, strict=True):
            if isinstance(told, dict):
                found, expected = (
                    {"sender": sender, "nonce": nonce},
                    {"sender": told["from"].lower(), "nonce": int(told["nonce"], 16)},
                )
                key, about = f"{sighting_id} {account_id}", f"{node.node} says otherwise"
                context.findings.compare("chain_sightings", key, found, expected, about)
        context.progress("debits that others sent", place, len(rows))


def _taken_back(context: Context, node: Rpc, cursor: Mapping[str, Any]) -> None:
    """A spend that ended unpaid is one that the contract will refuse for ever."""
    rows = context.write.rows(ENDED, (cursor["chain_id"],))
    for place, batch in _batches(rows):
        calls = [
            (target, call_data("consumed(address,bytes32)", signer, consumed)) for _, target, signer, consumed in batch
        ]
        for row, answer in zip(batch, node.eth_calls(calls, cursor["final_number"]), strict=True):
            about = (
                f"the spend ended unpaid, and at the final block {cursor['final_number']} its hash is not taken back"
            )
            context.findings.expect("chain_intents", row[0], _number(answer), 1, about)
        context.findings.checked["spends taken back"] += len(batch)
        context.progress("spends taken back", place, len(rows))


def _balances(context: Context, node: Rpc, cursor: Mapping[str, Any], balances: Balances) -> None:
    """Each wallet's tokens at the final block that was booked, against the tally of its stream."""
    new = {row[0] for row in context.write.rows(NEW)}
    chain_id, final = cursor["chain_id"], cursor["final_number"]
    followed = [each for each in balances.tallies.values() if each.opened.chain_id == chain_id]
    followed = [each for each in followed if each.opened.account_id not in new and each.opened.block_number <= final]
    known = context.write.rows(FINAL_HASH, (chain_id, final))
    at = known[0][0] if known else final
    for place, batch in _batches(followed):
        for tally, found in zip(batch, token_balances(node, batch, at), strict=True):
            account_id = tally.opened.account_id
            if isinstance(found, str):
                about = f"the node does not tell the balance of {tally.opened.wallet} at block {final}"
                context.findings.differ("balances", account_id, found, tally.final, about)
            else:
                about = f"booked is not what the token says of {tally.opened.wallet} at the final block {final}"
                context.findings.expect("balances", account_id, tally.final, found, about)
        context.findings.checked["balances on the chain"] += len(batch)
        context.progress("balances on the chain", place, len(followed))


def token_balances(node: Rpc, tallies: Sequence[Tally], at: int | str) -> list[int | str]:
    """`balanceOf` of each account's wallet at one block; words where the node gives no number."""
    calls = [(each.opened.token, call_data("balanceOf(address)", each.opened.wallet.lower())) for each in tallies]
    return [_number(answer) for answer in node.eth_calls(calls, at)]


def _number(answer: bytes | RpcRefused) -> int | str:
    if isinstance(answer, RpcRefused):
        return str(answer)
    try:
        return int(answers(("uint256",), answer)[0])
    except Undecodable as error:
        return str(error)


def _batches(things: Sequence[T]) -> Iterator[tuple[int, Sequence[T]]]:
    """(how many when this one is done, the batch)"""
    for start in range(0, len(things), A_REQUEST):
        batch = things[start : start + A_REQUEST]
        yield start + len(batch), batch
