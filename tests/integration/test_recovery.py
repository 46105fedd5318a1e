"""W restored to an earlier point, or a slot that was lost: refused at the start, and brought in step again with nothing lost or told twice."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from api.roots.provisioning import Doors, River, let_it_flow, place_consumers
from connectors.anchoring.begin_again import begin_again
from connectors.recovery.agreement import check_read_side, check_topics
from infra.database import engine, transaction
from infra.errors import BehindTopics, Conflict, Misconfigured
from infra.stack import access
from infra.stack.choice import stack_for_tests
from infra.stack.supervisor import Stack
from streams.audit_log.log import LogBroken
from tests.integration.programme import Programme
from tests.integration.read_side import a_world, append
from tests.integration.recovery_side import (
    EVENTS,
    Copied,
    ask,
    copied,
    delivered,
    live,
    logged,
    mend,
    recovery,
    rows,
)

__all__ = ["copied"]


OUTBOX = """
SELECT id, topic, key, type, payload, ce_specversion, ce_id, ce_type, ce_source, ce_subject, ce_time, traceparent, causation_id,
       correlation_id, stream_version, position, actor, command, transaction_id FROM outbox WHERE position IS NOT NULL ORDER BY position::bigint
"""
STREAMS = "SELECT stream_id, category, version, head_hash, first_position FROM streams ORDER BY stream_id"
ANSWERS = "SELECT command_id, type, answer FROM command_answers ORDER BY command_id"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack of its own: its W is put back and its slot dropped."""
    with stack_for_tests(River()) as running:
        yield running


def refused(stack: Stack) -> None:
    """Provisioning, and each process of ours that appends."""
    with pytest.raises(BehindTopics, match=r"which stands at \w+.events/\d+/\d+: W was restored .* `payriver recover`"):
        place_consumers(Doors.of(stack))

    def works(role: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "api.cli.main", "work", role],
            env={**os.environ, **stack.settings_for(role)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    with ThreadPoolExecutor(3) as pool:
        for done in pool.map(works, ("sagas", "projections", "notifications")):
            assert done.returncode == 1 and done.stderr.startswith("behind_topics: "), done.stderr


def test_a_w_that_was_restored_to_an_earlier_point_is_refused_and_comes_back_as_it_was(
    stack: Stack, copied: Copied
) -> None:
    live(stack)
    append(stack, a_world())
    delivered(stack, len(rows(stack, EVENTS)))
    copied.take()
    live(stack)
    append(stack, a_world())
    events, outbox, streams = (rows(stack, query) for query in (EVENTS, OUTBOX, STREAMS))
    answers = rows(stack, ANSWERS)
    assert set(delivered(stack, len(events)).values()) == {1}
    leaves = logged(stack)
    assert leaves[0] == len(events)

    copied.put_back()
    assert len(rows(stack, EVENTS)) < len(events)
    refused(stack)
    plan = recovery(stack).look(lambda *_: None)
    assert len(plan.survey.lost) == len(events) - len(rows(stack, EVENTS)) and not plan.survey.conflicts
    done = mend(stack)

    assert done.back.events == len(plan.survey.lost)
    assert [rows(stack, query) for query in (EVENTS, OUTBOX, STREAMS)] == [events, outbox, streams]
    known = {row[0]: row for row in rows(stack, ANSWERS)}
    assert logged(stack) == leaves
    assert [known[row[0]] for row in answers if row[2]["events"]] == [row for row in answers if row[2]["events"]]
    let_it_flow(Doors.of(stack))
    assert set(delivered(stack, len(events)).values()) == {1}, "what came back was told a second time"

    append(stack, a_world())
    now = len(rows(stack, EVENTS))
    assert now > len(events)
    told = delivered(stack, now)
    assert len(told) == now and set(told.values()) == {1}
    assert recovery(stack).look(lambda *_: None).agrees


@pytest.mark.long
def test_the_command_that_came_back_gives_its_first_answer(stack: Stack, copied: Copied) -> None:
    copied.take()
    programme = live(stack)
    version = _version(stack, programme)
    delivered(stack, len(rows(stack, EVENTS)))
    copied.put_back()
    mend(stack)
    again = Programme.__dict__["gateway"].func(programme)  # a process that remembers nothing
    answer = again.authorize(ask(programme, 0))
    assert answer.response_code == "00" and _version(stack, programme) == version


def _version(stack: Stack, programme: Programme) -> int:
    with stack.postgres("write").superuser() as cursor:
        cursor.execute("SELECT version FROM streams WHERE stream_id = %s", (programme.account_id,))
        [[version]] = cursor.fetchall()
        return int(version)


@pytest.mark.long
def test_a_w_that_went_on_by_itself_is_mended_only_with_a_persons_word(stack: Stack, copied: Copied) -> None:
    world = a_world()
    copied.take()
    append(stack, world)
    delivered(stack, len(rows(stack, EVENTS)))
    logged(stack)
    copied.put_back()
    append(stack, a_world())  # somebody did not look, and took the same positions

    with pytest.raises(Conflict, match=r"contradict W, the first at .* position \d+ was given to"):
        mend(stack)
    before = rows(stack, EVENTS)
    done = mend(stack, park=True)

    assert done.parked > 0 and rows(stack, EVENTS)[: len(before)] == before
    assert len(rows(stack, "SELECT 1 FROM lost_events")) == done.parked
    with pytest.raises(LogBroken, match="W was put back to an earlier point and lacks events"):
        logged(stack)
    let_it_flow(Doors.of(stack))
    roles = [engine(access.database_url(stack.home, server, "owner")) for server in ("write", "read")]
    made = begin_again(roles[0], roles[1], "W went on by itself, on purpose", "test")
    assert "W was put back to an earlier point" in made.told["broken"]
    for each in roles:
        each.dispose()
    assert logged(stack)[0] == len(rows(stack, EVENTS))
    assert (
        check_topics(
            engine(access.database_url(stack.home, "write", "sagas")), access.kafka_client(stack.home, "admin"), "x"
        )
        > 0
    )


def test_while_one_of_our_processes_runs_nothing_is_mended(stack: Stack) -> None:
    running = engine(access.database_url(stack.home, "write", "sagas"), application_name="payriver sagas 1")
    with transaction(running), pytest.raises(Conflict, match="payriver sagas 1 run on this W"):
        mend(stack)
    running.dispose()


def test_what_a_lost_slot_had_not_announced_is_announced_once(stack: Stack) -> None:
    from connectors.debezium import register

    doors = Doors.of(stack)
    register.stop(doors.connect_url)
    append(stack, a_world())
    register.drop_slot(doors.cdc_url)
    append(stack, a_world())
    with pytest.raises(Misconfigured, match="payriver recover"):
        let_it_flow(doors)
    events = rows(stack, EVENTS)
    plan = recovery(stack).look(lambda *_: None)
    assert plan.lacking > 0 and not plan.survey.lost
    done = mend(stack)
    assert done.announced == plan.lacking
    stored = {str(row[1]) for row in events}
    told = delivered(stack, len(stored))
    assert {event_id for event_id in told if event_id in stored} == stored
    assert {told[event_id] for event_id in stored} == {1}


def test_a_process_without_topics_is_refused_by_what_r_was_told(stack: Stack) -> None:
    write, read = (engine(access.database_url(stack.home, server, "auditor")) for server in ("write", "read"))
    check_read_side(write, read)
    with stack.postgres("read").superuser() as cursor:
        cursor.execute(
            "INSERT INTO deliveries (event_id, stream_id, version, type, position, payload, headers, recorded_at)"
            " VALUES (gen_random_uuid(), gen_random_uuid(), 1, 'AccountRegistered', 999999, '{}', '{}', now())"
        )
        with pytest.raises(BehindTopics, match="was delivered to R"):
            check_read_side(write, read)
        cursor.execute("DELETE FROM deliveries WHERE position = 999999")
