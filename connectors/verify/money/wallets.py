"""Subject: what the listener keeps. Wallets and cards as they were registered; every sighting where the account's stream says it is."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from connectors.verify.money.balances import Balances
from connectors.verify.snapshot import Aligned, Row
from connectors.verify.walk import Context, Event, Subject
from streams.domain import ids

WALLETS = """
SELECT account_id, chain_id, kind, wallet, token, roles_module, delay_module, opening_block, state, queued_block
FROM chain_wallets ORDER BY account_id
"""
WALLET = (
    "account_id",
    "chain_id",
    "kind",
    "wallet",
    "token",
    "roles_module",
    "delay_module",
    "opening_block",
    "state",
    "queued_block",
)
CARDS = "SELECT card_token, account_id FROM cards ORDER BY account_id"
SIGHTINGS = """
SELECT account_id, sighting_id, chain_id, kind, state, block_number, block_hash, block_time, tx_hash, visit, detail,
       sender, nonce
FROM chain_sightings ORDER BY account_id, sighting_id
"""
SIGHTING = (
    "account_id", "sighting_id", "chain_id", "kind", "state", "block_number", "block_hash", "block_time", "tx_hash", "visit",
    "detail", "sender", "nonce",
)  # fmt: skip
BLOCK = "SELECT state, visit, number, time FROM chain_blocks WHERE chain_id = %s AND hash = %s"
TAKEN_BACK = "taken_back"
FOLLOWED = ("withdrawal", "burn")
"""Debits that others send: who did, and at which nonce, is kept with them."""
STATES = {"seen": "seen", "final": "final", "orphaned": "unseen"}
"""A block's state -> that of what was sighted in it."""


class Wallets(Subject):
    """Holds the listener's tables against the accounts' streams."""

    def __init__(self, context: Context, balances: Balances) -> None:
        self._context, self._findings, self._balances = context, context.findings, balances
        self._wallets = _aligned(context, WALLETS, self._stray("chain_wallets"), 0)
        self._cards = _aligned(context, CARDS, self._stray("cards"), 1)
        self._sightings = _aligned(context, SIGHTINGS, self._stray("chain_sightings"), 0)
        self._blocks: dict[tuple[int, str], Row | None] = {}
        self._transfers: dict[UUID, dict[str, Any]] = {}
        self._unsighted: dict[
            UUID, dict[str, Any]
        ] = {}  # final at first sight: none needs a sighting, for no reorg takes it back
        self._readings: dict[UUID, str] = {}
        self._queued: int | None = None

    def event(self, event: Event) -> None:
        """Where the account's transfers stand, and since when something is queued."""
        if event.category != "account" or event.message is None:
            return
        said: Any = event.message
        match event.type:
            case "TransferFinalized" if said.at_first_sight:
                self._unsighted[said.transfer_id] = _sighting(said, leg_id=None) | {"state": "final"}
            case "TransferSeen":
                self._transfers[said.transfer_id] = _sighting(said, said.leg_id)
            case "TransferUnseen" | "TransferFinalized":
                state = "unseen" if event.type == "TransferUnseen" else "final"
                self._transfers.get(said.transfer_id, {})["state"] = state
            case "AllowanceObserved" if said.cause in ("consumed", "set"):
                self._readings[ids.derived("reading", said.block_hash, event.stream_id)] = said.block_hash
            case "AccountRegistered":
                self._queued = None if said.queue_empty else said.block_number
            case "WithdrawalQueued":
                self._queued = said.block_number
            case "DriftObserved" if said.what == "queue":
                self._queued = said.block_number
            case "DelayQueueEmptied":
                self._queued = None

    def end(self, stream_id: UUID, category: str) -> None:
        """The account's rows."""
        tally = self._balances.tallies.get(stream_id)
        if category == "account" and tally is not None:
            self._wallet(stream_id, tally.opened)
            self._card(stream_id, tally.opened.card_token)
            for row in self._sightings.take(stream_id):
                self._sighted(dict(zip(SIGHTING, row, strict=True)), tally.opened.chain_id)
            for transfer_id, expected in self._transfers.items():
                about = "the account's stream has this transfer"
                self._findings.absent("chain_sightings", f"{transfer_id} {stream_id}", expected, about)
            for reading, block_hash in self._readings.items():
                about = f"the account's stream has a reading of its allowance in block {block_hash}"
                self._findings.absent("chain_sightings", f"{reading} {stream_id}", "reading", about)
        self._reset()

    def finish(self) -> None:
        """Nothing is left over."""
        for each in (self._wallets, self._cards, self._sightings):
            each.rest()

    def _reset(self) -> None:
        self._transfers, self._unsighted, self._readings, self._queued = {}, {}, {}, None

    def _wallet(self, account_id: UUID, opened: Any) -> None:
        self._findings.checked["wallets"] += 1
        rows = self._wallets.take(account_id)
        if not rows:
            self._findings.absent("chain_wallets", account_id, opened.wallet, "nobody watches this account's wallet")
            return
        row = dict(zip(WALLET, rows[0], strict=True))
        names = ("chain_id", "kind", "wallet", "token", "roles_module", "delay_module")
        expected = {name: getattr(opened, name) for name in names}
        expected |= {"opening_block": opened.block_number, "queued_block": self._queued}
        self._findings.compare("chain_wallets", account_id, row, expected, "the account's stream says otherwise")
        if row["state"] == "new":
            self._findings.wait("chain_wallets", account_id, "the listener has not taken it up yet")

    def _card(self, account_id: UUID, card_token: str | None) -> None:
        rows = self._cards.take(account_id)
        for token, _ in rows:
            if token != card_token:
                self._findings.surplus("cards", token, account_id, f"the account's card is {card_token}")
        if card_token is not None and all(token != card_token for token, _ in rows):
            self._findings.absent("cards", card_token, account_id, "the account's stream says that this is its card")

    def _sighted(self, row: dict[str, Any], chain_id: int) -> None:
        key = f"{row['sighting_id']} {row['account_id']}"
        self._findings.checked["sightings"] += 1
        expected: dict[str, Any] | None
        if row["kind"] == "transfer":
            place = self._unsighted if row["sighting_id"] in self._unsighted else self._transfers
            expected = place.pop(row["sighting_id"], None)
            if expected is None:
                self._findings.surplus(
                    "chain_sightings", key, row["detail"], "the account's stream has no such transfer"
                )
                return
        elif row["kind"] == TAKEN_BACK:
            expected = _taken_back(row)
        else:
            self._readings.pop(row["sighting_id"], None)
            expected = {
                "kind": "reading",
                "sighting_id": ids.derived("reading", row["block_hash"], row["account_id"]),
                "tx_hash": "",
                "detail": {"log_index": "0"},
            }
        self._findings.compare(
            "chain_sightings", key, row, expected | {"chain_id": chain_id}, "the stream says otherwise"
        )
        self._in_block(row, key)
        self._sent(row, key)

    def _sent(self, row: dict[str, Any], key: str) -> None:
        """By whom and at which nonce: both or neither, and of debits that others sent alone. Whether it is so, the node says (blocks.py)."""
        others = row["kind"] == "transfer" and row["detail"].get("kind") in FOLLOWED
        for name, other in (("sender", "nonce"), ("nonce", "sender")):
            if row[name] is not None and (row[other] is None or not others):
                about = (
                    f"column {name}: nobody follows such a transfer by its nonce, or half of what that takes is missing"
                )
                self._findings.differ("chain_sightings", key, row[name], None, about)

    def _in_block(self, row: dict[str, Any], key: str) -> None:
        """A sighting is what its block is. A block before the listener's first has no row."""
        place = (row["chain_id"], row["block_hash"])
        if place not in self._blocks:
            self._blocks[place] = next(iter(self._context.write.rows(BLOCK, place)), None)
        block = self._blocks[place]
        if block is not None:
            found = {"block_number": row["block_number"], "block_time": row["block_time"]}
            expected = {"block_number": block[2], "block_time": block[3]}
            self._findings.compare("chain_sightings", key, found, expected, "its block says otherwise")
        if block is not None and row["state"] != STATES[block[0]]:
            about = f"column state: its block is {block[0]}"
            self._findings.differ("chain_sightings", key, row["state"], STATES[block[0]], about)
        if block is not None and row["visit"] > block[1]:
            self._findings.differ("chain_sightings", key, row["visit"], f"at most {block[1]}", "column visit")

    def _stray(self, table: str) -> Any:
        def tell(row: Row) -> None:
            self._findings.surplus(table, f"{row[0]} {row[1]}", row[2:] or row, "no account's stream knows of it")

        return tell


def _sighting(said: Any, leg_id: UUID | None) -> dict[str, Any]:
    """A transfer as the listener remembers it."""
    detail = {
        "direction": said.direction,
        "kind": said.kind,
        "counterparty": said.counterparty,
        "payment_id": str(said.payment_id) if said.payment_id else None,
        "leg_id": str(leg_id) if leg_id else None,
        "leg_kind": said.kind if leg_id else None,
        "log_index": str(said.log_index),
        "amount_raw": str(said.amount_raw),
    }
    return {
        "kind": "transfer",
        "state": "seen",
        "block_number": said.block_number,
        "block_hash": said.block_hash,
        "block_time": said.block_time,
        "tx_hash": said.tx_hash,
        "detail": detail,
    }


def _taken_back(row: dict[str, Any]) -> dict[str, Any]:
    """A log that took a spend of ours back: known by its transaction and leg."""
    leg_id = row["detail"].get("leg_id")
    return {"kind": TAKEN_BACK, "sighting_id": ids.derived(TAKEN_BACK, row["tx_hash"], leg_id)}


def _aligned(context: Context, query: str, stray: Any, place: int) -> Aligned:
    return Aligned(context.write.stream(query), lambda row: row[place], stray)
