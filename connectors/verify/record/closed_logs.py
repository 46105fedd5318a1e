"""Subject: audit logs that were closed. Their evidence must lead to what was anchored of them; what they say otherwise than W is told, each time.

A break that was written down is no difference: it is `known`, with its reason, and stays so. That the evidence of it was changed is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from connectors.verify.record.anchors import Anchors
from connectors.verify.snapshot import Aligned, Row, Snapshot
from connectors.verify.walk import Context
from infra.audit.check import Refused
from streams.audit_log.closing import Closing
from streams.audit_log.merkle import Frontier

CLOSINGS = "SELECT log_id, next_id, record FROM audit_closings ORDER BY log_id"
ON_R = "SELECT log_id, record FROM audit_closings ORDER BY log_id"
LEAVES = "SELECT leaf_index, position, hash FROM {} WHERE log_id = %s::uuid ORDER BY leaf_index"
STRANGERS = "SELECT DISTINCT log_id FROM {} WHERE log_id <> ALL(%s::uuid[])"
OPEN = "SELECT leaf_index, position, hash FROM audit_leaves ORDER BY position"
OPEN_ENDS = "SELECT coalesce(max(position), 0), (SELECT coalesce(max(position), 0) FROM events) FROM audit_leaves"
STRETCHES_TOLD = 50


class Stretch(NamedTuple):
    """Neighbouring leaves of a closed log, by position and by leaf."""

    first: int
    last: int
    leaf: int
    events: int

    def and_one(self, position: int) -> Stretch:
        """With the next leaf."""
        return self._replace(last=position, events=self.events + 1)


class ClosedLogs:
    """Holds what was kept of closed logs against the records of their closing, the chain, and W as it is."""

    def __init__(self, context: Context, anchors: Anchors) -> None:
        self._context, self._findings, self._anchors = context, context.findings, anchors

    def check(self) -> None:
        """All of them."""
        closed: dict[str, Closing] = {}
        for log_id, next_id, record in self._context.write.rows(CLOSINGS):
            self._findings.checked["closed audit logs"] += 1
            try:
                made = Closing.parse(bytes(record))
            except Refused as error:
                self._findings.differ("audit_closings", log_id, bytes(record), "a record", f"column record: {error}")
                continue
            self._findings.expect(
                "audit_closings", log_id, log_id.hex, made.log_id, "column log_id: the record says otherwise"
            )
            about = "column next_id: it is made of the record, and was anchored"
            self._findings.expect("audit_closings", log_id, next_id.hex, made.next_id, about)
            closed[made.log_id] = made
        self._follow(closed)
        self._held_on_r(closed)
        for made in sorted(closed.values(), key=lambda each: str(each.told["closed_at"])):
            self._closed(made)

    def _follow(self, closed: dict[str, Closing]) -> None:
        """One began when another was closed, up to the one that is open."""
        for log_id, made in closed.items():
            if made.next_id not in closed and made.next_id != self._anchors.log_id:
                about = "column next_id: the log that began then is neither open nor closed"
                self._findings.differ("audit_closings", log_id, made.next_id, self._anchors.log_id, about)

    def _held_on_r(self, closed: dict[str, Closing]) -> None:
        on_r = {log_id.hex: bytes(record) for log_id, record in self._context.read.rows(ON_R)}
        for log_id in closed.keys() | on_r.keys():
            ours, theirs = closed[log_id].record if log_id in closed else None, on_r.get(log_id)
            about = "W and R do not say the same of the closing; `payriver audit begin-again` goes on with one that was not finished"
            self._findings.expect("audit_closings", log_id, theirs, ours, about)
        for source, table in (
            (self._context.write, "audit_closed_leaves"),
            (self._context.read, "audit_closed_witness"),
        ):
            for (log_id,) in source.rows(STRANGERS.format(table), (list(closed),)):
                self._findings.surplus(table, log_id, log_id, "no log of this id was closed")

    def _closed(self, made: Closing) -> None:
        told, heads = made.told, [each for each in self._anchors.closed_heads if each.head.log_id == made.log_id]
        sizes = frozenset(each.head.size for each in heads)
        by_log = self._roots(self._context.write, "audit_closed_leaves", made, sizes, told["size"], told["root"])
        by_witness = self._roots(
            self._context.read, "audit_closed_witness", made, sizes, told["witness_size"], told["witness_root"]
        )
        for each in heads:
            self._findings.checked["anchored roots of closed logs"] += 1
            if each.head.root not in (by_log.get(each.head.size), by_witness.get(each.head.size)):
                found = (
                    by_witness.get(each.head.size)
                    or by_log.get(each.head.size)
                    or f"fewer than {each.head.size} leaves"
                )
                about = f"neither copy leads to the root that transaction {each.tx_hash} in block {each.block_number} states"
                self._findings.differ("audit_closed_witness", made.log_id, found, each.head.root, about)
        self._tell(made, bool(by_log) or not told["size"])

    def _roots(
        self, source: Snapshot, table: str, made: Closing, sizes: frozenset[int], size: int, root: str
    ) -> dict[int, bytes]:
        """The copy's roots at the anchored sizes, and at its own; it is as it was when the log was closed."""
        frontier, roots = Frontier(), dict[int, bytes]()
        for index, position, digest in source.stream(LEAVES.format(table), (made.log_id,)):
            about = "column leaf_index: it counts up by one"
            self._findings.expect(table, f"{made.log_id} position {position}", index, frontier.size, about)
            frontier.take([bytes(digest)])
            if frontier.size in sizes:
                roots[frontier.size] = frontier.root
        if table == "audit_closed_leaves" and frontier.size == 0:
            return {}  # W was put back to a point before the log was closed: its copy went with what came after
        self._findings.expect(
            table, made.log_id, (frontier.size, frontier.root.hex()), (size, root), "as the record has it"
        )
        return {**roots, frontier.size: frontier.root}

    # -- what the closed log says otherwise

    def _tell(self, made: Closing, has_leaves: bool) -> None:
        told = made.told
        say = self._findings.known.append
        say(
            f"audit log {made.log_id} was closed at {told['closed_at']} by {told['closed_by']}: {told['because']}; {told['broken']}"
        )
        if not has_leaves:
            say(
                f"audit log {made.log_id}: W's own copy of its leaves was lost with a restore; the witness on R is there"
            )
        self._added: list[Row] = []
        stretches = list(self._stretches(made))
        for first, last, index, count in stretches[:STRETCHES_TOLD]:
            say(
                f"audit log {made.log_id}: {count} events at positions {first} to {last} were logged as leaves {index} to "
                f"{index + count - 1} of it, and W holds others there, or none"
            )
        if left := stretches[STRETCHES_TOLD:]:
            say(f"audit log {made.log_id}: and {len(left)} stretches more, from position {left[0].first} on")
        if self._added:
            places = f"positions {self._added[0][1]} to {self._added[-1][1]}"
            say(f"audit log {made.log_id}: W holds {len(self._added)} events at {places} that it never had")

    def _stretches(self, made: Closing) -> Iterator[Stretch]:
        """What the witness has and the open log has not, neighbours together; as far as the open log is filled."""
        end, newest = self._context.write.one(OPEN_ENDS)
        present = Aligned(self._context.write.stream(OPEN), lambda row: row[1], self._added.append)
        found: Stretch | None = None
        for index, position, digest in self._context.read.stream(LEAVES.format("audit_closed_witness"), (made.log_id,)):
            if position > end < newest:
                break
            if _same(present.take(position), bytes(digest)):
                if found is not None:
                    yield found
                found = None
            else:
                found = Stretch(position, position, index, 1) if found is None else found.and_one(position)
        if found is not None:
            yield found


def _same(rows: list[Row], digest: bytes) -> bool:
    return bool(rows) and bytes(rows[0][2]) == digest
