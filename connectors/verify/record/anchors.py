"""Subject: the audit log's anchors. What the chain says counts; our rows must say the same, and none may be missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.anchoring.onchain import OnChain, Stated, read
from connectors.verify.signed import signed
from connectors.verify.walk import Context
from infra.audit.check import Head, Refused

LOG_ID = "SELECT log_id FROM audit_log"
CLOSED = "SELECT log_id FROM audit_closings"
ANCHORS = "SELECT chain_id, sender, nonce, tree_size, root, data FROM audit_anchors ORDER BY chain_id, sender, nonce"
ANCHOR = ("chain_id", "sender", "nonce", "tree_size", "root", "data")
TRANSACTIONS = """
SELECT tx_hash, chain_id, sender, nonce, signed, max_fee_wei, state, block_number, block_hash
FROM audit_transactions ORDER BY chain_id, sender, nonce, tx_hash
"""
TRANSACTION = (
    "tx_hash", "chain_id", "sender", "nonce", "signed", "max_fee_wei", "state", "block_number", "block_hash",
)  # fmt: skip
UNSENT = ("lost", "replaced", "signed")


@dataclass(frozen=True)
class Anchored:
    """A head of a log that a final block states."""

    head: Head
    tx_hash: str
    block_number: int


class Anchors:
    """Holds the anchors' rows against the chain and against themselves; `heads` is what the chain states of the open log."""

    def __init__(self, context: Context) -> None:
        self._context, self._findings = context, context.findings
        self._anchors = {(row["chain_id"], row["sender"], row["nonce"]): row for row in context.write.named(ANCHORS)}
        self._sent = context.write.named(TRANSACTIONS)
        ids = context.write.rows(LOG_ID)
        self.log_id = ids[0][0].hex if ids else ""
        self._closed = {row[0].hex for row in context.write.rows(CLOSED)}
        self.heads: list[Anchored] = []
        self.closed_heads: list[Anchored] = []
        self._found = self._read()

    @property
    def asked(self) -> bool:
        """Whether the chain could be asked."""
        return self._found is not None

    def _read(self) -> OnChain | None:
        """What the chain states, asked right after the snapshot: an anchor's row is there long before the anchor is final."""
        node, chain = self._context.node, self._context.chain
        if node is None or chain is None or chain.anchors is None:
            return None
        named: dict[int, list[str]] = {}
        for row in self._sent:
            if row["chain_id"] == chain.chain_id and row["sender"] == chain.anchors.sender:
                named.setdefault(row["nonce"], []).append(row["tx_hash"])
        return read(node, chain, named)

    def check(self) -> None:
        """The rows by themselves, then against the chain."""
        if not self.log_id:
            self._findings.absent("audit_log", "log_id", "the log's id", "the one row is gone")
        carried = {(row["chain_id"], row["sender"], row["nonce"]) for row in self._sent}
        for place, anchor in self._anchors.items():
            self._findings.checked["anchors"] += 1
            self._anchor(anchor)
            if place not in carried:
                about = "an anchor without a transaction is never signed"
                self._findings.absent("audit_transactions", _told(place), "a transaction", about)
        for sent in self._sent:
            self._transaction(sent)
        if self._found is not None:
            self._hold_against_the_chain(self._found)

    def _anchor(self, row: Mapping[str, Any]) -> None:
        key = _told((row["chain_id"], row["sender"], row["nonce"]))
        try:
            head = Head.parse(bytes(row["data"]))
        except Refused as error:
            self._findings.differ("audit_anchors", key, bytes(row["data"]), "a head of a log", f"column data: {error}")
            return
        self._findings.expect(
            "audit_anchors", key, row["tree_size"], head.size, "column tree_size: data says otherwise"
        )
        self._findings.expect("audit_anchors", key, row["root"], head.root, "column root: data says otherwise")
        if self.log_id and head.log_id not in self._closed:
            self._findings.expect(
                "audit_log", self.log_id, self.log_id, head.log_id, "column log_id: the anchors are of another log"
            )

    def _transaction(self, row: Mapping[str, Any]) -> None:
        """The bytes are the transaction, and carry the anchor's data."""
        if (read := signed(self._findings, "audit_transactions", row)) is None:
            return
        key, (told, sender) = row["tx_hash"], read
        anchor = self._anchors.get((told["chainId"], sender, told["nonce"]))
        place = _told((told["chainId"], sender, told["nonce"]))
        if anchor is None:
            self._findings.absent("audit_anchors", place, bytes(told["data"]), f"transaction {key} states it")
        else:
            about = f"column data: transaction {key} states another"
            self._findings.expect("audit_anchors", place, anchor["data"], bytes(told["data"]), about)

    # -- the chain

    def _hold_against_the_chain(self, found: OnChain) -> None:
        chain = self._context.chain
        assert chain is not None and chain.anchors is not None
        for stated in found.stated:
            self._stated(stated, (chain.chain_id, chain.anchors.sender, stated.nonce))
        for nonce in found.unreadable:
            about = "the sender has sent a transaction of this nonce, and neither our rows nor the node tell which"
            place = (chain.chain_id, chain.anchors.sender, nonce)
            self._findings.absent("audit_anchors", _told(place), "an anchor", about)
        self._states(found)

    def _stated(self, stated: Stated, place: tuple[int, str, int]) -> None:
        """A final anchor has its row, and is of the open log, or of one that was closed."""
        anchor, head = self._anchors.get(place), stated.head
        if head is None:
            about = f"transaction {stated.tx_hash} of the sender of anchors states no head: another use of its key"
            self._findings.surplus("audit_transactions", _told(place), stated.tx_hash, about)
            return
        if anchor is None or not stated.known:
            about = f"transaction {stated.tx_hash} in block {stated.block_number} states it"
            table = "audit_anchors" if anchor is None else "audit_transactions"
            self._findings.absent(table, _told(place), f"size {head.size}, root 0x{head.root.hex()}", about)
        elif bytes(anchor["data"]) != head.encode():
            about = f"column data: transaction {stated.tx_hash} on the chain states another"
            self._findings.differ("audit_anchors", _told(place), anchor["data"], head.encode(), about)
        if head.log_id in self._closed:
            self.closed_heads.append(Anchored(head, stated.tx_hash, stated.block_number))
            return
        if head.log_id != self.log_id:
            about = f"column log_id: transaction {stated.tx_hash} on the chain is of another log"
            self._findings.differ("audit_log", self.log_id, self.log_id, head.log_id, about)
        self.heads.append(Anchored(head, stated.tx_hash, stated.block_number))

    def _states(self, found: OnChain) -> None:
        """What our rows say of their transactions is what the chain says, as far as it is final."""
        final = {stated.tx_hash: stated for stated in found.stated}
        node = self._context.node
        assert node is not None
        for row in self._sent:
            stated = final.get(row["tx_hash"])
            if stated is None:
                if row["state"] == "final" or (row["state"] in UNSENT and row["block_number"] is not None):
                    about = "column state: no final block carries it"
                    self._findings.differ("audit_transactions", row["tx_hash"], row["state"], "not final", about)
                continue
            if row["state"] != "final":
                about = f"column state: it is in final block {stated.block_number}"
                self._findings.differ("audit_transactions", row["tx_hash"], row["state"], "final", about)
            block = node.block(stated.block_number)
            expected = {"block_number": stated.block_number, "block_hash": block.hash if block else None}
            self._findings.compare("audit_transactions", row["tx_hash"], row, expected, "the chain says otherwise")


def _told(place: tuple[Any, ...]) -> str:
    return f"{place[0]} {place[1]} nonce {place[2]}"
