"""Slices of the outbox that were delivered are dropped, and nothing else is; what went is stated, and whatever asks for it finds where it went."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from api.roots.provisioning import Doors, River, let_it_flow
from connectors.debezium import register
from connectors.verify.report import Verification
from connectors.verify.verification import verify
from infra.errors import Misconfigured, Retry
from infra.stack import access
from infra.stack.choice import stack_for_tests
from infra.stack.supervisor import Stack
from tests.integration.conftest import Databases
from tests.integration.delivered_slices import (
    ROWS,
    delivered_on_r,
    discard,
    drop,
    filled,
    is_there,
    lacking,
    look,
    next_slice,
    order,
    parked,
    placed,
    poison,
    somebody,
    somebody_who_reads_later,
    stays,
    told_once,
)
from tests.integration.programme import Programme
from tests.integration.read_side import a_worker, a_world, append, as_role, known
from tests.integration.recovery_side import mend, recovery, rows
from tests.waiting import until

TRAIL = "SELECT slice, first_number, beyond_number, events, orders, positions::text, dropped_by FROM outbox_drops ORDER BY first_number"
ORDERS = "SELECT id FROM dropped_orders ORDER BY id"
TABLES = {
    "outbox",
    "outbox_drops",
    "dropped_orders",
    "parked_messages",
    "deliveries",
    "command_answers",
    "events",
    "streams",
}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack of its own: its outbox loses slices."""
    with stack_for_tests(River()) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def paused(
    stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """A projector and a command handler run; gives what ends them for a while."""
    logs = tmp_path_factory.mktemp("workers")
    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        running[:] = [a_worker(stack, role, 1, logs) for role in ("projections", "commands")]

    def end() -> None:
        for each in running:
            each.terminate()
        for each in running:
            each.wait(20)

    @contextmanager
    def pause() -> Iterator[None]:
        end()
        yield
        start()

    start()
    yield pause
    end()


def audit(stack: Stack) -> Verification:
    write, read = as_role(stack, "write", "auditor"), as_role(stack, "read", "auditor")
    return verify(write, read, None, patience=0)


def of_the_outbox(result: Verification) -> set[tuple[str, str, str]]:
    """Differences of what the outbox is held against; sagas and wallets of a made-up world have their own."""
    return {(each.table, each.key, each.about) for each in result.differences if each.table in TABLES}


def test_a_delivered_slice_goes_and_everything_that_asks_for_its_rows_finds_where_they_went(stack: Stack) -> None:
    world, programme = a_world(), Programme(Databases(stack))
    ordered, broken = order(stack, programme.account_id), poison(stack)
    append(stack, world)
    until(lambda: known(as_role(stack, "read", "projections"), [world]), "the world on R")
    until(lambda: rows(stack, f"SELECT 1 FROM command_answers WHERE command_id = '{ordered}'") != [], "the order")
    until(lambda: parked(stack, broken) is not None, "the poison parked")
    discard(stack, broken)
    next_slice(stack)
    next_slice(stack)
    append(stack, a_world())
    until(lambda: len(rows(stack, "SELECT 1 FROM events")) == delivered_on_r(stack), "all on R")
    before, told = of_the_outbox(audit(stack)), set(told_once(stack))
    outbox = {row[0]: row[1] for row in rows(stack, "SELECT id, position FROM outbox WHERE number < 20000000")}

    assert [each.name for each in look(stack) if not each.stays] == ["outbox_0"]
    assert rows(stack, "SELECT to_regclass('outbox_0')") == [("outbox_0",)], "looking changes nothing"
    [gone] = drop(stack)

    assert rows(stack, "SELECT to_regclass('outbox_0')") == [(None,)]
    events = sum(position is not None for position in outbox.values())
    [(name, first, beyond, counted, orders, positions, by)] = rows(stack, TRAIL)
    assert (name, first, beyond, counted, orders, by) == ("outbox_0", 0, ROWS, events, len(outbox) - events, "ana")
    assert gone.events == events and positions == f"{{[1,{events + 1})}}", "one run without a gap"
    assert {row[0] for row in rows(stack, ORDERS)} == {ordered, broken}
    result = audit(stack)
    assert of_the_outbox(result) == before
    assert result.checked["events whose outbox row was dropped"] == events
    assert f"outbox rows 0 to 19,999,999 ({events:,} events, 2 orders): dropped" in next(
        s for s in result.skipped if "outbox" in s
    )
    assert told <= set(told_once(stack)), "nothing is told again"
    survey = recovery(stack).look(lambda *_: None)
    assert survey.agrees and survey.survey.orders == []


@pytest.mark.long
def test_the_connector_goes_on_after_a_drop_and_so_does_one_that_starts_anew(stack: Stack) -> None:
    _, name = filled(stack)
    assert name in {each.name for each in drop(stack)}
    next_world = a_world()
    append(stack, next_world)
    until(lambda: known(as_role(stack, "read", "projections"), [next_world]), "what came after the drop")
    stack.kill("connect")
    last_world = a_world()
    append(stack, last_world)
    stack.start_process("connect")
    until(lambda: known(as_role(stack, "read", "projections"), [last_world]), "what came after the restart", 90)
    told_once(stack)


def test_what_the_trail_says_is_held_against_what_is_stored(stack: Stack) -> None:
    before = of_the_outbox(audit(stack))
    changes = (
        "UPDATE outbox_drops SET {}events = events + 1",
        "UPDATE outbox_drops SET {}orders = orders + 1",
        "UPDATE outbox_drops SET {}first_number = first_number + 1",
        "UPDATE outbox_drops SET {}beyond_number = beyond_number + 1",
        "UPDATE outbox_drops SET {}newest_at = newest_at - interval '1 hour'",
        "UPDATE outbox_drops SET {}delivered_to = 'FFFF/0'",
        "UPDATE outbox_drops SET {}positions = positions - int8multirange(int8range(2, 3))",
        "DELETE FROM outbox_drops",
        "DELETE FROM dropped_orders",
        "UPDATE dropped_orders SET id = gen_random_uuid()",
    )
    for change in changes:
        statement = change.format("") + " WHERE slice = 'outbox_0'"
        with stack.postgres("write").superuser() as cursor:
            cursor.execute("SET session_replication_role = replica")
            cursor.execute("CREATE TEMP TABLE d AS TABLE outbox_drops; CREATE TEMP TABLE o AS TABLE dropped_orders")
            cursor.execute(statement)
            found = of_the_outbox(audit(stack)) - before
            cursor.execute("DELETE FROM outbox_drops; DELETE FROM dropped_orders")
            cursor.execute("INSERT INTO outbox_drops TABLE d; INSERT INTO dropped_orders TABLE o; DROP TABLE d, o")
        assert found, statement
    assert of_the_outbox(audit(stack)) == before


def test_a_slice_that_is_young_or_in_use_stays(stack: Stack) -> None:
    _, name = filled(stack)
    assert stays(stack, name, datetime.now(UTC) - timedelta(days=1)).startswith("its newest row is of 20")
    [(newest,)] = rows(stack, "SELECT last_value / 20000000 FROM outbox_numbers")
    in_use = {f"outbox_{number}" for number in (newest - 1, newest, newest + 1)}
    assert {each.name for each in look(stack) if each.stays == "in use"} == in_use
    assert in_use.isdisjoint(each.name for each in drop(stack))
    assert all(is_there(stack, each) for each in in_use)


@pytest.mark.long
def test_while_the_slot_is_behind_nothing_goes(stack: Stack) -> None:
    _, name = filled(stack)
    stack.kill("connect")
    try:
        append(stack, a_world())
        with pytest.raises(Retry, match=r"the slot outbox_slot is [\d,]+ bytes behind.*Nothing was dropped"):
            drop(stack, patience_seconds=1)
        assert is_there(stack, name)
    finally:
        stack.start_process("connect")
    assert name in {each.name for each in drop(stack, 90)}


@pytest.mark.long
def test_while_a_transaction_is_open_that_began_before_nothing_goes(stack: Stack) -> None:
    drop(stack)
    _, name = filled(stack)
    with (
        somebody(stack, "auditor", "SELECT 1"),
        pytest.raises(Retry, match=r"\(auditor, a forgotten psql\) has a transaction open since .*Nothing was dropped"),
    ):
        drop(stack, patience_seconds=8)
    with (
        somebody(stack, "owner", "LOCK TABLE outbox IN ROW EXCLUSIVE MODE"),
        pytest.raises(Retry, match=r"somebody writes outbox_\d+ just now"),
    ):
        drop(stack)
    with somebody_who_reads_later(stack) as tell, pytest.raises(Retry, match="somebody reads the outbox just now"):
        drop(stack, tell=tell)
    assert is_there(stack, name)
    assert name in {each.name for each in drop(stack)}


def test_an_order_that_nobody_carried_out_keeps_its_slice(stack: Stack) -> None:
    broken = poison(stack)
    _, name = filled(stack)
    until(lambda: parked(stack, broken) is not None, "the poison parked")
    assert stays(stack, name) == f"1 orders were not carried out, the first Broken {broken}"
    assert name not in {each.name for each in drop(stack)}
    discard(stack, broken)
    assert [each.orders for each in drop(stack) if each.name == name] == [1]


def test_an_event_that_r_was_not_told_keeps_its_slice(stack: Stack) -> None:
    world, name = filled(stack)
    with stack.postgres("read").superuser() as cursor:
        which = (world.events[0].event_id,)
        cursor.execute("CREATE TEMP TABLE kept AS SELECT * FROM deliveries WHERE event_id = %s", which)
        cursor.execute("DELETE FROM deliveries WHERE event_id = %s", which)
        assert stays(stack, name) == "1 events of it were not delivered to R"
        assert name not in {each.name for each in drop(stack)}
        cursor.execute("INSERT INTO deliveries SELECT * FROM kept")
    assert name in {each.name for each in drop(stack)}


@pytest.mark.long
def test_without_a_slot_nothing_goes_since_nobody_can_tell(
    stack: Stack, paused: Callable[[], AbstractContextManager[None]]
) -> None:
    _, name = filled(stack)
    doors = Doors.of(stack)
    register.stop(doors.connect_url)
    register.drop_slot(doors.cdc_url)
    assert stays(stack, name).startswith("no slot outbox_slot that the connector reads")
    with pytest.raises(Misconfigured, match=r"no slot outbox_slot .* `payriver recover` first. Nothing was dropped"):
        drop(stack)
    assert is_there(stack, name)
    with paused():
        assert mend(stack).announced == 0
    let_it_flow(doors)
    assert name in {each.name for each in drop(stack)}


@pytest.mark.long
def test_events_that_the_topics_lose_after_a_drop_are_announced_again_from_the_store(
    stack: Stack, paused: Callable[[], AbstractContextManager[None]]
) -> None:
    world, name = filled(stack)
    assert name in {each.name for each in drop(stack)}
    admin, partition = AdminClient(dict(access.kafka_client(stack.home, "admin"))), placed(stack, world)
    admin.delete_records([TopicPartition(*partition, -1)])[TopicPartition(*partition)].result(30)
    lost = lacking(stack)
    assert lost, "nothing was lost on purpose"
    with paused():
        plan = recovery(stack).look(lambda *_: None)
        assert plan.lacking == len(lost) and not plan.agrees
        assert mend(stack).announced == len(lost)
    let_it_flow(Doors.of(stack))
    until(lambda: not lacking(stack), "all events on the topics again")
    told_once(stack)
