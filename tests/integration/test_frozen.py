"""A process that is frozen in the midst of a transaction: it holds its rows up for a bounded time, and thawed it commits nothing."""

from __future__ import annotations

import time
from uuid import uuid4

import psycopg2.errors
import pytest

from infra.database import FROZEN_SECONDS, engine, transaction
from infra.stack import access
from infra.transient import is_transient
from tests.integration.conftest import Databases

BEGIN = (
    "INSERT INTO chain_cursors (chain_id, seen_number, seen_hash, seen_time, final_number) VALUES (%s, 1, '0x', 0, 0)"
)
MOVE = "UPDATE chain_cursors SET seen_number = seen_number + %s WHERE chain_id = %s RETURNING seen_number"


def test_who_is_frozen_in_a_transaction_holds_nobody_up_for_long_and_commits_nothing(databases: Databases) -> None:
    url = access.database_url(databases.stack.home, "write", "listener")
    chain_id = uuid4().int % 10**9
    rival = engine(url)
    with transaction(rival) as cursor:
        cursor.execute(BEGIN, (chain_id,))
    began = time.monotonic()
    with pytest.raises(psycopg2.Error) as ended, transaction(engine(url, frozen_seconds=1)) as frozen:
        frozen.execute(MOVE, (100, chain_id))
        with transaction(rival) as cursor:  # waits for the row until W ends the frozen session
            cursor.execute(MOVE, (1, chain_id))
            assert cursor.fetchall() == [(2,)]
        frozen.execute(MOVE, (100, chain_id))
    assert is_transient(ended.value), "thawed, it tries again"
    assert 0.9 < time.monotonic() - began < 10


def test_every_process_of_ours_is_bounded_and_an_auditor_may_think(databases: Databases) -> None:
    with transaction(databases.as_role("write", "listener")) as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchall() == [(f"{FROZEN_SECONDS}s",)]
    auditor = engine(access.database_url(databases.stack.home, "write", "auditor"), frozen_seconds=0)
    with transaction(auditor) as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchall() == [("0",)]
