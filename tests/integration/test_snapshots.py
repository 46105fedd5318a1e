"""A long stream loads like a short one, from a snapshot that nobody trusts: whatever becomes of it, the state is that of the events."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg2.errors
import pytest
from typer.testing import CliRunner

from api.cli import snapshots as cli
from api.roots.root import Root
from infra.database import transaction
from schemas.messages.account_commands import FreezeCard, UnfreezeCard
from streams.aggregates import AGGREGATES
from streams.command_handler import CommandHandler
from streams.event_store import fingerprint as code
from streams.event_store import look, snapshots, states, store
from streams.event_store.frozen import to_plain
from streams.event_store.snapshotter import Snapshotter
from streams.event_store.states import state_at
from streams.orders import Order
from tests.integration.conftest import Databases
from tests.integration.long_streams import folded, keep, kept, live, truth
from tests.integration.write_side import WriteSide, cause
from tests.waiting import until

EVERY = AGGREGATES["account"].snapshot_every
LONG = 3 * EVERY + 7


@pytest.fixture
def side(databases: Databases) -> Iterator[WriteSide]:
    made = WriteSide(databases)
    yield made
    with transaction(made.door("operator")) as cursor:
        snapshots.drop(cursor)


@pytest.fixture
def account(side: WriteSide) -> UUID:
    """An account with a long life, and a snapshot of the most of it."""
    account_id, _ = side.account()
    live(side, account_id, LONG - 1)
    keep(side, account_id, LONG - 5)
    return account_id


def test_a_long_stream_is_loaded_from_its_snapshot_and_the_events_behind_it(side: WriteSide, account: UUID) -> None:
    state, read = folded(side, account)
    assert read == 5, "those behind the event that the snapshot stands on"
    assert state == truth(side, account)
    assert len(state.debits) > EVERY // 2


def test_all_snapshots_may_be_dropped_at_any_moment(side: WriteSide, account: UUID) -> None:
    before, _ = folded(side, account)
    with transaction(side.door("operator")) as cursor:
        assert snapshots.drop(cursor) == 1
    assert folded(side, account) == (before, LONG)


CHANGES = {
    "a state in which an amount was changed": "state = jsonb_set(state, '{final_raw}', '\"99\"')",
    "a state that is none": "state = '{}'",
    "a digest of something else": "digest = '\\x00'",
    "another event's hash": "head_hash = '\\x00'",
    "a version before its own": "version = version - 1",
    "a version ahead of the stream": "version = version + 100000",
    "other code": "fingerprint = '\\x00'",
    "another category": "category = 'payment'",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_snapshot_that_was_changed_is_as_if_it_were_not_there(side: WriteSide, account: UUID, change: str) -> None:
    side.rows(f"UPDATE snapshots SET {CHANGES[change]} RETURNING 1")
    assert folded(side, account) == (truth(side, account), LONG)


def test_a_snapshot_of_a_fork_is_not_used_even_where_all_its_parts_agree(side: WriteSide, account: UUID) -> None:
    """A write server was restored: other events stand where those did of which the snapshot is the fold."""
    with transaction(side.door("commands")) as cursor:
        at = state_at(cursor, account, LONG - 5)
    assert at is not None
    forged = snapshots.digest_of(
        account, code.fingerprint("account"), "account", store.Head(LONG - 5, b"\x07"), to_plain(at.state)
    )
    side.rows("UPDATE snapshots SET head_hash = %s, digest = %s RETURNING 1", b"\x07", forged)
    assert folded(side, account) == (truth(side, account), LONG)
    with transaction(side.door("commands")) as cursor:
        found = state_at(cursor, account)
    assert found is not None and (found.state, found.folded) == (truth(side, account), LONG)


def test_what_cannot_be_used_is_kept_anew_at_the_next_load(side: WriteSide, account: UUID) -> None:
    for change in ("version = version + 100000", "state = '{}'"):
        side.rows(f"UPDATE snapshots SET {change} RETURNING 1")
        snapshotter = Snapshotter(side.door("commands"))
        handler = CommandHandler(side.codec, side.policy, snapshotter=snapshotter)
        with transaction(side.door("commands")) as cursor:
            handler.state(cursor, account)
        snapshotter.close()
        assert kept(side) == [(account, LONG)]
        assert folded(side, account) == (truth(side, account), 0), "the stream's newest event is the snapshot's own"


def test_other_code_keeps_its_own_beside_ours(side: WriteSide, account: UUID) -> None:
    side.rows("UPDATE snapshots SET fingerprint = '\\x01' RETURNING 1")
    keep(side, account, LONG)
    assert [version for _, version in kept(side)] == [LONG - 5, LONG]
    with transaction(side.door("operator")) as cursor:
        assert snapshots.drop(cursor, stale=True) == 1
    assert kept(side) == [(account, LONG)]


def test_an_older_state_never_takes_the_place_of_a_newer_one(side: WriteSide, account: UUID) -> None:
    keep(side, account, 10)
    assert kept(side) == [(account, LONG - 5)]


def test_orders_make_a_snapshot_by_policy_and_nobody_waits_for_it(side: WriteSide) -> None:
    account_id, _ = side.account()
    snapshotter = Snapshotter(side.door("commands"))
    handler = CommandHandler(side.codec, side.policy, snapshotter=snapshotter)
    for number in range(EVERY + 2):
        order = (FreezeCard if number % 2 == 0 else UnfreezeCard)(account_id=account_id, reason="seen")
        side.do(order, handler=handler)
    until(lambda: kept(side) != [], "a kept state")
    snapshotter.close()
    assert kept(side) == [(account_id, EVERY)]
    assert folded(side, account_id) == (truth(side, account_id), 3)


def test_what_was_rolled_back_is_never_kept(side: WriteSide, account: UUID) -> None:
    live(side, account, EVERY - LONG % EVERY - 1, first=LONG + 1)
    snapshotter = Snapshotter(side.door("commands"))
    handler = CommandHandler(side.codec, side.policy, snapshotter=snapshotter)
    before = kept(side)
    with pytest.raises(RuntimeError), transaction(side.door("commands")) as cursor:
        handler.handle(cursor, [Order(uuid4(), FreezeCard(account_id=account, reason="lost"), cause(uuid4()))])
        raise RuntimeError("the process ends here")
    assert not snapshotter._waiting
    assert snapshotter.flush() == 0
    snapshotter.close()
    assert kept(side) == before


def test_a_database_that_is_away_costs_a_snapshot_and_nothing_else(side: WriteSide, account: UUID) -> None:
    snapshotter = Snapshotter(side.door("auditor"))
    handler = CommandHandler(side.codec, side.policy, snapshotter=snapshotter)
    side.rows("DELETE FROM snapshots RETURNING 1")
    with transaction(side.door("commands")) as cursor:
        assert handler.state(cursor, account) == truth(side, account)
    assert snapshotter.flush() == 0, "who only looks may keep nothing"
    snapshotter.close()
    assert kept(side) == []


@pytest.mark.parametrize("role", ["listener", "commands", "sagas", "submitter", "gateway", "operator", "auditor"])
def test_a_snapshot_is_written_by_its_function_alone(side: WriteSide, account: UUID, role: str) -> None:
    for statement in (
        "DELETE FROM snapshots",
        "UPDATE snapshots SET version = 1",
        "INSERT INTO snapshots DEFAULT VALUES",
    ):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege), transaction(side.door(role)) as cursor:
            cursor.execute(statement)
    if role != "operator":
        with pytest.raises(psycopg2.errors.InsufficientPrivilege), transaction(side.door(role)) as cursor:
            snapshots.drop(cursor)
    with transaction(side.door(role)) as cursor:
        assert snapshots.load(cursor, {account: LONG}).keys() == {account}


@pytest.mark.parametrize("version", [1, 2, EVERY, LONG - 5, LONG - 4, LONG, LONG + 9])
def test_the_state_of_any_version_is_the_fold_of_its_events(side: WriteSide, account: UUID, version: int) -> None:
    with transaction(side.door("commands")) as cursor:
        with_snapshot = state_at(cursor, account, version)
        without = state_at(cursor, account, version, use_snapshots=False)
    assert with_snapshot is not None and without is not None
    assert (with_snapshot.state, with_snapshot.event) == (without.state, without.event)
    assert without.event.version == min(version, LONG)
    assert with_snapshot.folded == (max(0, min(version, LONG) - (LONG - 5)) if version >= LONG - 5 else version)


def test_a_stream_of_many_pages_folds_like_one_of_few(
    side: WriteSide, account: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = truth(side, account)
    monkeypatch.setattr(states, "PAGE", 7)
    assert truth(side, account) == whole
    with transaction(side.door("commands")) as cursor:
        at = state_at(cursor, account)
        assert state_at(cursor, uuid4()) is None
    assert at is not None and at.state == whole


def test_a_handler_reads_a_long_stream_without_a_snapshot_a_page_at_a_time(
    side: WriteSide, account: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    side.rows("DELETE FROM snapshots RETURNING 1")
    pages, before = [], store.read_stream

    def counted(*given: Any, **more: Any) -> Any:
        pages.append(len(found := before(*given, **more)))
        return found

    monkeypatch.setattr(look, "MOST", 40)
    monkeypatch.setattr(states, "PAGE", 40)
    monkeypatch.setattr(store, "read_stream", counted)
    snapshotter = Snapshotter(side.door("commands"))
    handler = CommandHandler(side.codec, side.policy, snapshotter=snapshotter)
    with transaction(side.door("commands")) as cursor:
        loaded = handler.state(cursor, account)
    assert (max(pages), sum(pages)) == (40, LONG)
    assert snapshotter.flush() == 1
    snapshotter.close()
    assert loaded == truth(side, account)
    assert kept(side) == [(account, LONG)]


@pytest.mark.long
def test_an_account_of_100_000_events_loads_in_the_time_of_one_of_100(side: WriteSide) -> None:
    short, _ = side.account()
    live(side, short, 99, open_every=10**6)
    long, _ = side.account()
    live(side, long, 99_999, open_every=10**4)
    keep(side, long, 100_000 - EVERY + 1)  # as far behind as the policy lets it be
    times = {short: float("inf"), long: float("inf")}
    for _ in range(30):
        for account_id in times:
            handler = side.handler()
            with transaction(side.door("commands")) as cursor:
                began = time.perf_counter()
                handler.state(cursor, account_id)
                times[account_id] = min(times[account_id], time.perf_counter() - began)
    print(f"100 events: {times[short] * 1000:.2f} ms, 100,000 with a snapshot: {times[long] * 1000:.2f} ms")
    assert times[long] <= 1.2 * times[short]


def test_an_operator_sees_makes_anew_and_throws_away(
    side: WriteSide, account: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Desk:
        """The command line's root, with the doors of this test."""

        def __init__(self, component: str) -> None:
            self.write = side.door(component)

    monkeypatch.setattr(Root, "begin", lambda component, home=None: Desk(component))

    def say(*words: str) -> str:
        result = CliRunner().invoke(cli.snapshots, list(words))
        assert result.exit_code == 0, result.output
        return result.stdout

    def counted() -> dict[str, int]:
        found: dict[str, int] = next(
            each for each in json.loads(say("status", "--json")) if each["category"] == "account"
        )
        return found

    live(side, account, EVERY, first=LONG + 1)
    assert counted()["due"] >= 1
    assert "due" in say("status")
    say("rebuild")
    assert (counted()["due"], counted()["of_other_code"]) == (0, 0)
    assert (account, LONG + EVERY) in kept(side)
    assert folded(side, account) == (truth(side, account), 0)
    side.rows("UPDATE snapshots SET fingerprint = '\\x01' WHERE stream_id = %s RETURNING 1", account)
    assert counted()["of_other_code"] == 1
    assert say("drop", "--stale").startswith("1 snapshots")
    assert "thrown away before" in say("rebuild", "--all")
    say("drop", str(account))
    assert account not in {stream for stream, _ in kept(side)}
    say("drop")
    assert kept(side) == []
