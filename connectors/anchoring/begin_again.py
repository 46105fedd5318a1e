"""A broken audit log is closed with its reason, and a new one begins over all events: by the owner, and only while the log is broken.

W first, then R: died in between, the new log stands before a witness that is not its own, and the same command moves that one too. What the
closed log held stays as evidence: its leaves on W, its witness on R, its anchors on the chain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from sqlalchemy import Engine

from connectors.anchoring import rows
from connectors.anchoring.anchorer import goes_on
from infra.audit.check import Head
from infra.database import Cursor, transaction
from infra.errors import BadInput, Conflict
from infra.failpoints import failpoint
from streams.audit_log import closing, leaf, log, merkle
from streams.audit_log.closing import Closing
from streams.audit_log.filler import Filler
from streams.audit_log.merkle import Frontier

LOCK_LOG = "LOCK TABLE audit_log, audit_leaves, audit_nodes IN ACCESS EXCLUSIVE MODE"
LOCK_WITNESS = "LOCK TABLE audit_witness IN ACCESS EXCLUSIVE MODE"
LEAVES = "SELECT position, hash FROM {} WHERE leaf_index >= %s AND leaf_index < %s ORDER BY leaf_index"
CLOSE = "INSERT INTO audit_closings (log_id, next_id, record) VALUES (%s::uuid, %s::uuid, %s)"
KEEP = "INSERT INTO audit_closed_leaves (log_id, leaf_index, position, hash) SELECT %s::uuid, leaf_index, position, hash FROM audit_leaves"
BEGIN = "TRUNCATE audit_leaves, audit_nodes; UPDATE audit_log SET log_id = %s::uuid"
CLOSE_ON_R = "INSERT INTO audit_closings (log_id, record) VALUES (%s::uuid, %s) ON CONFLICT DO NOTHING"
KEEP_WITNESS = (
    "INSERT INTO audit_closed_witness (log_id, leaf_index, position, hash)"
    " SELECT %s::uuid, leaf_index, position, hash FROM audit_witness"
)
ON_R = "SELECT record FROM audit_closings WHERE log_id = %s::uuid"
KEPT = "SELECT EXISTS (SELECT FROM audit_closings WHERE log_id = %s::uuid)"
BATCH = 5_000


def begin_again(write: Engine, read: Engine, because: str, by: str) -> Closing:
    """Close the log and begin another. `write`, `read`: W and R as role owner. `because`: for whoever reads of it, in years.

    Raises BadInput without a reason, Conflict where the log is in order or was closed by somebody else just now; then nothing was changed.
    """
    if not because.strip():
        raise BadInput("an audit log is closed for a reason that an auditor can read: --reason")
    with transaction(write) as cursor:
        wanted, known = log.log_id(cursor), closing.closings(cursor)
    if (begun := _begun(read, wanted, known)) is not None:
        return _move_witness(read, begun)
    broken = why_broken(write, read)
    if broken is None:
        raise Conflict(
            "the audit log is in order: it goes on from its witness and from every anchor. Nothing was closed. What `payriver verify`"
            " names beside it is changed events, which no new log makes right"
        )
    with transaction(write) as cursor:
        cursor.execute(LOCK_LOG)
        if (found := log.log_id(cursor)) != wanted:
            raise Conflict(
                f"log {wanted} was closed by somebody else just now, and log {found} began; `payriver audit closings` tells why. Nothing was"
                " closed"
            )
        made = _closed_before(read, wanted) or _closing(cursor, read, because.strip(), by, broken)
        cursor.execute(CLOSE, (made.log_id, made.next_id, made.record))
        if (log.end(cursor).size, _root(cursor, "audit_leaves")) == (made.told["size"], made.told["root"]):
            cursor.execute(KEEP, (made.log_id,))
        cursor.execute(BEGIN, (made.next_id,))
    failpoint("audit.after_log_closed")
    return _move_witness(read, made)


def why_broken(write: Engine, read: Engine) -> str | None:
    """What the log contradicts: its witness, or an anchor; None where it is in order. Takes what it can take first."""
    try:
        Filler(write, read).fill()
        with transaction(write) as cursor, transaction(read) as witness:
            _hold_against_the_witness(cursor, witness)
            size = log.end(cursor).size
            head = Head(log.log_id(cursor), size, merkle.root(size, log.Hashes(cursor)), bytes(32))
            for each in rows.of_log(cursor, head.log_id):
                if each.state != "lost" and 0 < each.head.size <= size:
                    goes_on(cursor, each.head, head)
    except log.LogBroken as error:
        return str(error)
    return None


def _hold_against_the_witness(cursor: Cursor, witness: Cursor) -> None:
    """Leaf by leaf, as far as both reach."""
    pairs = zip(_leaves(cursor, "audit_leaves"), _leaves(witness, "audit_witness"), strict=False)
    for index, (has, had) in enumerate(pairs):
        if has != had:
            raise log.LogBroken(
                f"leaf {index} was the event at position {had[0]}, and the log has another, at {has[0]}"
            )


def _begun(read: Engine, log_id: str, known: Sequence[Closing]) -> Closing | None:
    """The closing with which W's log began, where R has not heard of it."""
    last = next((each for each in known if each.next_id == log_id), None)
    if last is None:
        return None
    with transaction(read) as cursor:
        cursor.execute(KEPT, (last.log_id,))
        return None if cursor.fetchall()[0][0] else last


def _closed_before(read: Engine, log_id: str) -> Closing | None:
    """R's record of it, where W was put back to a point before it was closed: a log is closed once, and the same one begins."""
    with transaction(read) as cursor:
        cursor.execute(ON_R, (log_id,))
        row = cursor.fetchone()
    return Closing.parse(bytes(row[0])) if row else None


def _closing(cursor: Cursor, read: Engine, because: str, by: str, broken: str) -> Closing:
    with transaction(read) as witness:
        witnessed = Frontier()
        witnessed.take(digest for _, digest in _leaves(witness, "audit_witness"))
    return Closing.made(
        because=because,
        broken=broken,
        closed_at=leaf.moment(datetime.now(UTC)),
        closed_by=by,
        log_id=log.log_id(cursor),
        root=_root(cursor, "audit_leaves"),
        size=log.end(cursor).size,
        witness_root=witnessed.root.hex(),
        witness_size=witnessed.size,
    )


def _move_witness(read: Engine, made: Closing) -> Closing:
    """Unless it was moved before: then what stands there is the new log's own."""
    with transaction(read) as cursor:
        cursor.execute(LOCK_WITNESS)
        cursor.execute(CLOSE_ON_R, (made.log_id, made.record))
        if cursor.rowcount:
            cursor.execute(KEEP_WITNESS, (made.log_id,))
            cursor.execute("TRUNCATE audit_witness")
    return made


def _root(cursor: Cursor, table: str) -> str:
    """Of the leaves as they are stored; the stored subtrees may be what is broken."""
    frontier = Frontier()
    frontier.take(digest for _, digest in _leaves(cursor, table))
    return frontier.root.hex()


def _leaves(cursor: Cursor, table: str) -> Iterator[tuple[int, bytes]]:
    """(position, hash), a batch at a time."""
    first = 0
    while True:
        cursor.execute(LEAVES.format(table), (first, first + BATCH))
        found = cursor.fetchall()
        if not found:
            return
        yield from ((position, bytes(digest)) for position, digest in found)
        first += BATCH
