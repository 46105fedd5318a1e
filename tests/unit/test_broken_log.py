"""What somebody changed of the audit log's own rows is told by name where it is read, and not only by `verify`."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connectors.anchoring.rows import _anchor
from infra.audit.check import Head
from streams.audit_log.closing import Closing, in_turn
from streams.audit_log.log import LogBroken

HEAD = Head("1" * 32, 5, bytes(32), bytes(32))
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def closing(log_id: str, closed_at: str) -> Closing:
    told = {"because": "noon", "broken": "leaf 7", "closed_at": closed_at, "closed_by": "ana", "log_id": log_id}
    return Closing.made(**told, root="0" * 64, size=5, witness_root="0" * 64, witness_size=5)


@pytest.mark.parametrize("data", [b"", b"x" * 97, HEAD.encode()[:-1], b"payriver\x02" + HEAD.encode()[9:]])
def test_an_anchor_whose_row_states_no_head_breaks_the_log_by_name(data: bytes) -> None:
    assert _anchor((100, "0xsender", 3, HEAD.encode(), NOON, None, "final", None, None)).head == HEAD
    with pytest.raises(LogBroken, match="the anchor at nonce 3 of 0xsender was changed"):
        _anchor((100, "0xsender", 3, data, NOON, None, "final", None, None))


def test_closings_stand_in_the_order_in_which_their_logs_began_whatever_their_times_say() -> None:
    first = closing("1" * 32, "2026-03-01T12:00:00.000000Z")
    second = closing(first.next_id, "2020-03-01T12:00:00.000000Z")
    third = closing(second.next_id, "2026-03-01T11:00:00.000000Z")
    told = [third.record, first.record, second.record]
    assert [each.record for each in in_turn(told)] == [first.record, second.record, third.record]
    assert [each.record for each in in_turn([third.record, first.record])] == [third.record, first.record]


def test_a_closing_whose_record_was_changed_breaks_the_log_by_name() -> None:
    record = closing("1" * 32, "2026-03-01T12:00:00.000000Z").record
    for changed in (b"", record[:-1], record.replace(b"noon", b"no\xff")):
        with pytest.raises(LogBroken, match="the record of a log that was closed was changed"):
            in_turn([changed])
