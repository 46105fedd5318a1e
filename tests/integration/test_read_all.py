"""A reader of all events never steps over one whose transaction committed late."""

from __future__ import annotations

from uuid import UUID, uuid4

from infra.database import Cursor, transaction
from streams.event_store import store
from tests.integration.conftest import Databases

INSERT = """
INSERT INTO events (event_id, stream_id, version, category, type, schema_version, payload, metadata, hash)
VALUES (%s, %s, 1, 'payment', 'PaymentExpired', 1, '{}', '{}', '')
"""


def test_an_event_with_a_lower_position_that_commits_late_is_still_read(databases: Databases) -> None:
    """A takes the older transaction, B the lower position: by position alone, A's reader would pass B's event by."""
    owner = databases.as_role("write", "owner")
    first, second = uuid4(), uuid4()
    with transaction(owner) as reader:
        mark = _read(reader, store.START)[0]
    a, b = owner.raw_connection(), owner.raw_connection()
    with a.cursor() as in_a, b.cursor() as in_b:
        in_a.execute("SELECT pg_current_xact_id()")
        in_b.execute(INSERT, (first, uuid4()))
        in_a.execute(INSERT, (second, uuid4()))
        a.commit()
        with transaction(owner) as reader:
            mark, found = _read(reader, mark)
        b.commit()
    with transaction(owner) as reader:
        _, later = _read(reader, mark)
    a.close()
    b.close()
    assert {*found, *later} >= {first, second}
    assert not {*found} & {*later}


def _read(cursor: Cursor, mark: store.Mark) -> tuple[store.Mark, list[UUID]]:
    found = store.read_all(cursor, after=mark, limit=100_000)
    return (found[-1][0] if found else mark), [event.event_id for _, event in found]
