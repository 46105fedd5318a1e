"""Subject: the audit log. Every event's leaf is made again from its row and held against the log, its witness on R, and the anchored roots.

Whoever changes an event must change its leaf too, and the witness, which has other logins, and the root on chain, which nobody can change.
So the first that does not fit names the event; where all but the chain was rewritten, the anchors name the stretch between two of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from connectors.verify.record.anchors import Anchored, Anchors
from connectors.verify.record.closed_logs import ClosedLogs
from connectors.verify.report import NO_ROW, Covered
from connectors.verify.snapshot import Aligned, Row
from connectors.verify.walk import SHOW_EVERY, Context
from infra.audit.check import leaf_hash
from streams.audit_log import leaf
from streams.audit_log.log import TILE_LEVELS
from streams.audit_log.merkle import Frontier

EVENTS = f"SELECT {leaf.SELECT} FROM events ORDER BY position"
LEAVES = "SELECT leaf_index, position, hash FROM audit_leaves ORDER BY position"
WITNESS = "SELECT leaf_index, position, hash FROM audit_witness ORDER BY position"
ENDS = "SELECT coalesce(max(position), 0), count(*) FROM {}"
NODES = "SELECT level, node_index, hash FROM audit_nodes"


@dataclass
class Suspect:
    """A leaf on which the log and its witness do not agree: which of the two was rewritten, an anchored root must say.

    `stored`: whether the event is there, as the log has it.
    """

    index: int
    key: str
    by_log: bytes | None
    by_witness: bytes | None
    stored: bool


@dataclass
class Copy:
    """One telling of the log, leaf by leaf in order, and its roots at the anchored sizes."""

    sizes: frozenset[int]
    frontier: Frontier = field(default_factory=Frontier)
    roots: dict[int, bytes] = field(default_factory=dict)
    positions: dict[int, int] = field(default_factory=dict)
    nodes: dict[tuple[int, int], bytes] = field(default_factory=dict)

    def take(self, position: int, digest: bytes) -> None:
        """The next leaf."""
        for level, index, made in self.frontier.push(digest):
            if level and level % TILE_LEVELS == 0:
                self.nodes[level, index] = made
        if self.frontier.size in self.sizes:
            self.roots[self.frontier.size], self.positions[self.frontier.size] = self.frontier.root, position


class AuditLog:
    """Holds events, log, witness and anchors against each other, in one pass by position."""

    def __init__(self, context: Context) -> None:
        self._context, self._findings = context, context.findings
        self._anchors = Anchors(context)
        self._suspects: list[Suspect] = []
        self._strays: dict[int, Suspect] = {}
        self._named: list[int] = []

    def check(self) -> None:
        """All of it; and how far it is covered."""
        self._anchors.check()
        self._heads = sorted(self._anchors.heads, key=lambda each: each.head.size)
        sizes = frozenset(each.head.size for each in self._heads)
        self._events, self._log, self._witness = Copy(sizes), Copy(sizes), Copy(sizes)
        logged = self._through("audit_leaves", self._context.write.stream(LEAVES), self._log)
        witnessed = self._through("audit_witness", self._context.read.stream(WITNESS), self._witness)
        self._leaf_rows = Aligned(logged, lambda row: row[1], self._stray_leaf)
        self._witness_rows = Aligned(witnessed, lambda row: row[1], self._stray_witness)
        self._last, self._logged = self._context.write.one(ENDS.format("audit_leaves"))
        self._last_witnessed, _ = self._context.read.one(ENDS.format("audit_witness"))
        total = self._walk()
        self._leaf_rows.rest()
        self._witness_rows.rest()
        self._nodes()
        self._judge()
        self._cover(total)
        ClosedLogs(self._context, self._anchors).check()

    def _walk(self) -> int:
        (total,) = self._context.write.one("SELECT count(*) FROM events")
        for number, row in enumerate(self._context.write.stream(EVENTS), 1):
            self._event(row)
            if number % SHOW_EVERY == 0:
                self._context.progress("audit log", number, total)
        self._context.progress("audit log", total, total)
        return int(total)

    def _through(self, table: str, rows: Iterable[Row], copy: Copy) -> Iterator[Row]:
        """The rows of one telling, each held against its place as it goes by."""
        about = "column leaf_index: it counts up by one along the positions"
        for row in rows:
            self._findings.expect(table, f"position {row[1]}", row[0], copy.frontier.size, about)
            copy.take(row[1], bytes(row[2]))
            yield row

    def _event(self, row: Row) -> None:
        position, key = row[0], f"{row[1]} (position {row[0]}, {row[2]} version {row[3]}, {row[5]})"
        try:
            digest = leaf_hash(leaf.leaf(row))
        except leaf.NoLeaf as error:
            self._findings.differ("events", key, row[7], "a canonical form", str(error))
            digest = bytes(32)
        self._events.take(position, digest)
        by_log, by_witness = _hash(self._leaf_rows.take(position)), _hash(self._witness_rows.take(position))
        self._findings.checked["leaves"] += by_log is not None
        index = self._events.frontier.size - 1
        if by_log is None and by_witness is None:
            if position < max(self._last, self._last_witnessed):
                about = "the log has no event at this position, and later ones: it was added"
                self._named.append(index)
                self._findings.surplus("events", key, digest, about)
        elif digest not in (by_log, by_witness):
            about = f"the event is not the one that was logged as leaf {index}"
            self._named.append(index)
            self._findings.differ("events", key, digest, by_log or by_witness, about)
        elif by_witness == digest and by_log != digest:
            self._findings.differ(
                "audit_leaves", key, by_log or NO_ROW, digest, "the event and the witness say otherwise"
            )
        elif by_witness != digest and (by_witness is not None or position < self._last_witnessed):
            self._suspects.append(Suspect(index, key, by_log, by_witness, stored=True))

    def _stray_leaf(self, row: Row) -> None:
        """A leaf of the log without an event."""
        self._strays[row[1]] = Suspect(row[0], f"position {row[1]}", bytes(row[2]), None, stored=False)

    def _stray_witness(self, row: Row) -> None:
        """A leaf of the witness without an event, perhaps in the log too."""
        stray = self._strays.setdefault(row[1], Suspect(row[0], f"position {row[1]}", None, None, stored=False))
        stray.by_witness = bytes(row[2])

    def _nodes(self) -> None:
        """The stored subtrees are those of the stored leaves."""
        stored = {(level, index): bytes(digest) for level, index, digest in self._context.write.rows(NODES)}
        for place, digest in self._log.nodes.items():
            key = f"level {place[0]} index {place[1]}"
            if place not in stored:
                self._findings.absent("audit_nodes", key, digest, "the leaves below it are there")
            elif (found := stored.pop(place)) != digest:
                self._findings.differ(
                    "audit_nodes", key, found, digest, "column hash: the leaves below it say otherwise"
                )
        for (level, index), digest in stored.items():
            about = "the leaves below it are not there"
            self._findings.surplus("audit_nodes", f"level {level} index {index}", digest, about)

    # -- what the anchored roots say

    def _judge(self) -> None:
        for suspect in (*self._suspects, *self._strays.values()):
            self._name(suspect)
        agreed = 0
        for stated in self._heads:
            size, root = stated.head.size, stated.head.root
            self._findings.checked["anchored roots"] += 1
            if self._events.roots.get(size) == root:
                agreed = size
                continue
            if not any(agreed <= index < size for index in self._named):
                self._rewritten(agreed, stated)
            break  # whatever was changed below an anchor is in all later ones too
        for table, copy in (("audit_leaves", self._log), ("audit_witness", self._witness)):
            self._short(table, copy)

    def _name(self, suspect: Suspect) -> None:
        """The copy that leads to the anchored root is the true one; before any anchor, the two are only told apart."""
        head = next((each.head for each in self._heads if each.head.size > suspect.index), None)
        true_log = head is not None and self._log.roots.get(head.size) == head.root
        true_witness = head is not None and self._witness.roots.get(head.size) == head.root
        by_log, by_witness = suspect.by_log or NO_ROW, suspect.by_witness or NO_ROW
        if not suspect.stored and suspect.by_witness is None and not true_log:
            about = "there is no such event, and the witness knows of none"
            self._findings.surplus("audit_leaves", suspect.key, by_log, about)
        elif not suspect.stored and (by_log == by_witness or (true_log and suspect.by_log)):
            about = f"the log's leaf {suspect.index} says that there was an event, and it is gone"
            self._event_differs(suspect, NO_ROW, by_log, about)
        elif true_witness and not true_log:
            about = "it was changed, added or dropped together with its leaf in the log; the witness leads to the anchored root"
            self._event_differs(suspect, by_log if suspect.stored else NO_ROW, by_witness, about)
        else:
            fits = (
                f"the log leads to the root anchored at {head.size}"
                if head and true_log
                else "no anchored root says which is true"
            )
            about = f"the log and its witness do not agree: {fits}"
            self._findings.differ("audit_witness", suspect.key, by_witness, by_log, about)

    def _event_differs(self, suspect: Suspect, found: object, expected: object, about: str) -> None:
        self._named.append(suspect.index)
        self._findings.differ("events", suspect.key, found, expected, about)

    def _rewritten(self, agreed: int, stated: Anchored) -> None:
        """Events, log and witness agree, and the chain does not: all three were rewritten, somewhere since the last root that fits."""
        head = stated.head
        first = self._events.positions.get(agreed, 0)
        last = self._events.positions.get(head.size, self._last)
        key = f"positions {first + 1} to {last}" if last else f"the first {head.size} events"
        found: Any = self._events.roots.get(head.size, f"{self._events.frontier.size} events")
        about = (
            f"an event among them was changed, dropped or added together with the log and its witness: transaction {stated.tx_hash}"
            f" in block {stated.block_number} states another root of the first {head.size} events"
        )
        self._findings.differ("events", key, found, head.root, about)

    def _short(self, table: str, copy: Copy) -> None:
        """A copy that does not reach as far as an anchor lost its end."""
        largest = self._heads[-1].head.size if self._heads else 0
        if copy.frontier.size < largest:
            about = f"{largest} events were anchored: the end of the copy is gone"
            self._findings.absent(table, f"leaf {copy.frontier.size}", f"{largest} leaves", about)

    def _cover(self, total: int) -> None:
        """What is promised, and what not yet."""
        largest = self._heads[-1] if self._heads else None
        anchored = largest.head.size if largest else 0
        self._findings.covered = Covered(
            events=total,
            logged=int(self._logged),
            anchored=anchored,
            not_covered=max(0, total - anchored),
            last_position=self._events.positions.get(anchored),
            transaction=largest.tx_hash if largest else None,
            block_number=largest.block_number if largest else None,
            anchors_read=self._anchors.asked,
        )


def _hash(rows: list[Row]) -> bytes | None:
    return bytes(rows[0][2]) if rows else None
