"""The read models are made anew while payments flow: nobody is shown less meanwhile, nobody is told twice, whoever dies in between."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import psycopg2
import pytest
from confluent_kafka import TopicPartition

from api.roots.provisioning import River
from infra.database import engine, transaction
from infra.stack import access
from infra.stack.choice import stack_for_tests
from infra.stack.supervisor import Stack
from schemas.registry import load_codec
from streams.command_handler import CommandHandler
from streams.domain.circumstances import Policy
from streams.notifications import endpoints
from streams.persons.keys import KeyStore
from streams.persons.register import PersonRegister
from streams.persons.sealing import Details
from streams.projections import rebuilds
from streams.runtime import replay
from tests.integration.read_side import (
    WAIT_SECONDS,
    a_world,
    append,
    as_role,
    assert_is_the_fold_of,
    known,
    read_models,
    rows,
)
from tests.integration.rebuilding import (
    WHY,
    command,
    of_w,
    produce,
    proofs,
    rebuild,
    shape,
    spoil,
    trail,
    working,
    wrong,
)
from tests.integration.webhooks import Receiver, receiver
from tests.waiting import until
from tests.worlds import World

__all__ = ["receiver"]

ON_W = ("events", "outbox", "streams", "command_answers", "webhook_messages", "checkpoints", "sagas", "saga_inbox")
DEATHS = (
    "rebuild.after_tables",
    "projections.before_commit:2",
    "projections.after_commit",
    "rebuild.after_run:3",
    "rebuild.before_swap",
    "rebuild.after_swap",
)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack of its own: its topics get what no outbox announced."""
    with stack_for_tests(River()) as running:
        yield running


@pytest.fixture(scope="module")
def lived(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> list[World]:
    """Worlds that stand on R, told by a projector that has ended."""
    worlds = [a_world() for _ in range(6)]
    with working(stack, tmp_path_factory.mktemp("lived"), "projections"):
        for world in worlds:
            append(stack, world)
        until(lambda: known(as_role(stack, "read", "projections"), worlds), "the worlds on R", WAIT_SECONDS)
    return worlds


@pytest.mark.long  # three times, with all that could be seen meanwhile; tests/acceptance/test_rebuild.py does it once, on the whole river
@pytest.mark.timeout(600)
def test_made_anew_under_load_nobody_is_shown_less_and_nobody_is_told_twice(
    stack: Stack, lived: list[World], receiver: Receiver, tmp_path: Path
) -> None:
    read, operator = as_role(stack, "read", "projections"), as_role(stack, "write", "operator")
    with transaction(operator) as cursor:
        endpoints.register(cursor, receiver.url, ["card.transaction.created"], allowed_hosts={"127.0.0.1"}, by="test")
    before, schema = proofs(stack), shape(stack)
    more: list[World] = []
    shown: list[int] = []
    over = threading.Event()

    def pay() -> None:
        while not over.is_set():
            more.append(a_world())
            append(stack, more[-1])

    def look() -> None:
        asking = as_role(stack, "read", "queries")
        while not over.is_set():
            shown.append(
                rows(asking, "SELECT count(*) FROM payments INNER JOIN deliveries ON stream_id = payment_id")[0][0]
            )

    spoil(stack, lived[0].payments[0])
    assert wrong(stack)
    with working(stack, tmp_path, "projections", "notifications", "sender", each=2):
        threads = [threading.Thread(target=each) for each in (pay, look)]
        for thread in threads:
            thread.start()
        until(lambda: known(read, more[:3]) and len(more) > 3, "payments that flow", WAIT_SECONDS)
        told = [rebuild(stack) for _ in range(3)]
        flowed = len(more)
        until(lambda: len(more) > flowed + 2, "payments that flow on", WAIT_SECONDS)
        over.set()
        for thread in threads:
            thread.join()
        until(lambda: known(read, [*lived, *more]), "all worlds on R", WAIT_SECONDS)
        delivered = "SELECT count(*)::int FROM webhook_messages WHERE state = 'delivered'"
        payments = sum(len(world.payments) for world in more)
        until(lambda: rows(operator, delivered) == [(payments,)], "each payment told", WAIT_SECONDS)

    assert shown == sorted(shown) and shown[0] > 0, "who asked was shown less than before"
    for world in [*lived, *more]:
        assert_is_the_fold_of(read, world)
    assert wrong(stack) == []
    assert len(receiver.ids()) == len(set(receiver.ids())) == payments
    kept = set(map(repr, proofs(stack)))
    assert {repr(row) for row in before} <= kept, "when and where an event came is proof, and stays"
    assert shape(stack) == schema
    assert all((each["begun_by"], each["reason"], each["ended_by"]) == ("ana", WHY, "ana") for each in told)
    assert len(before) < told[0]["events"] < told[1]["events"] < told[2]["events"]


@pytest.mark.parametrize("place", DEATHS)
def test_killed_anywhere_what_is_shown_stays_and_said_again_it_ends(
    stack: Stack, lived: list[World], place: str
) -> None:
    read, world = as_role(stack, "read", "auditor"), lived[1]
    right, on_w, schema = read_models(read, world), of_w(stack, ON_W), shape(stack)
    spoil(stack, world.payments[0])
    spoilt = read_models(read, world)
    done = command(stack, "rebuild", "--reason", WHY, "--yes", failpoint=place)
    assert done.returncode == -9, done.stderr
    swapped = place == "rebuild.after_swap"
    assert read_models(read, world) == (right if swapped else spoilt)
    rebuild(stack)
    assert read_models(read, world) == right and shape(stack) == schema
    assert [row for row in trail(stack) if row[0] == "running"] == []
    assert of_w(stack, ON_W) == on_w, "nothing of W was touched"


def test_what_was_begun_goes_on_from_where_it_was_and_can_be_thrown_away(stack: Stack, lived: list[World]) -> None:
    rebuild(stack)
    assert command(stack, "rebuild", "--reason", WHY, "--yes", failpoint="rebuild.before_swap").returncode == -9
    plan = json.loads(command(stack, "rebuild", "--dry-run", "--json").stdout)
    assert plan["offsets"] == plan["done"] > 0 and plan["running"]["reason"] == WHY
    before = trail(stack)
    assert command(stack, "abandon", "--reason", "not now", "--by", "bo").returncode == 0
    assert trail(stack) == [*before[:-1], ("abandoned", before[-1][1], WHY, "not now")]
    [newest, *_] = json.loads(command(stack, "status", "--json").stdout)
    assert (newest["state"], newest["ended_by"], newest["reason"]) == ("abandoned", "bo", WHY)
    shown = command(stack, "status").stdout
    assert "(ended by bo: not now)" in shown and "events, in place at" in shown
    refused = command(stack, "abandon", "--reason", "not now")
    assert refused.returncode == 1 and "conflict: no rebuild was begun" in refused.stderr
    with stack.postgres("read").superuser() as cursor:
        cursor.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'anew'")
        assert cursor.fetchall() == [(0,)]


def test_it_is_refused_by_name_where_it_cannot_be(stack: Stack, lived: list[World]) -> None:
    before = trail(stack)
    nobody = command(stack, "rebuild", "--reason", WHY)
    assert nobody.returncode == 1 and "nobody is there to be asked" in nobody.stderr
    mute = command(stack, "rebuild", "--yes")
    assert mute.returncode == 1 and "say --reason" in mute.stderr
    with stack.postgres("read").superuser() as cursor:
        cursor.execute(rebuilds.ALONE)
        twice = command(stack, "rebuild", "--reason", WHY, "--yes")
        assert twice.returncode == 1 and "somebody makes the read models anew just now" in twice.stderr
    with stack.postgres("read").superuser() as cursor:
        cursor.execute("UPDATE checkpoints SET next_offset = next_offset + 1000 WHERE consumer = 'projections'")
        ahead = command(stack, "rebuild", "--reason", WHY, "--yes")
        cursor.execute("UPDATE checkpoints SET next_offset = next_offset - 1000 WHERE consumer = 'projections'")
    assert ahead.returncode == 1 and "lost_records: projections has come to offset" in ahead.stderr
    assert trail(stack) == before


def test_who_reads_for_long_is_let_finish_and_holds_nobody_up(stack: Stack, lived: list[World]) -> None:
    long = psycopg2.connect(access.database_url(stack.home, "read", "auditor"))
    long.cursor().execute("SELECT count(*) FROM ledger_postings")
    ended: list[dict[str, object]] = []
    running = threading.Thread(target=lambda: ended.append(rebuild(stack)))
    running.start()
    asking, slowest, until_then = as_role(stack, "read", "queries"), 0.0, time.monotonic() + 8
    while time.monotonic() < until_then:
        began = time.monotonic()
        rows(asking, "SELECT count(*) FROM ledger_postings")
        slowest = max(slowest, time.monotonic() - began)
    assert ended == [] and slowest < 2
    long.close()
    running.join(60)
    assert len(ended) == 1


def test_what_is_parked_is_taken_anew_or_parked_again_and_what_was_discarded_stays_so(
    stack: Stack, lived: list[World], tmp_path: Path
) -> None:
    operator = as_role(stack, "read", "operator")
    keys = {"poison": str(uuid4()), "discarded": str(uuid4())}
    for key in keys.values():
        produce(stack, "payments.events", key, b"broken", {"ce_id": str(uuid4())})
    query = "SELECT parked_id, state, end_reason FROM parked_messages WHERE key = %s"
    with working(stack, tmp_path, "projections"):
        until(lambda: all(rows(operator, query, key) for key in keys.values()), "the poison parked", WAIT_SECONDS)
    [(parked_id, *_)] = rows(operator, query, keys["discarded"])
    replay.discard(operator, parked_id, by="test", reason="broken on purpose")
    event = lived[2].of_stream(lived[2].payments[0])[-1]
    with stack.postgres("read").superuser() as cursor:  # parked once, for a reason that is gone
        cursor.execute(
            'INSERT INTO parked_messages (parked_id, consumer, topic, topic_id, partition, "offset", key, headers, timestamp_ms, state)'
            " SELECT gen_random_uuid(), 'projections', d.topic, c.topic_id, d.partition, d.\"offset\", d.stream_id::text, '{}', 0, 'parked'"
            " FROM deliveries AS d INNER JOIN checkpoints AS c USING (topic, partition) WHERE d.event_id = %s",
            (event.event_id,),
        )
    before = rows(operator, query, keys["poison"])
    rebuild(stack)
    assert rows(operator, query, keys["poison"]) == before
    assert rows(operator, query, keys["discarded"]) == [(parked_id, "discarded", "broken on purpose")]
    [(_, state, why)] = rows(operator, query, str(event.stream_id))
    assert (state, why) == ("replayed", f"taken when the read models were made anew: {WHY}")


def test_the_forgotten_stay_forgotten(stack: Stack, lived: list[World], tmp_path: Path) -> None:
    write = as_role(stack, "write", "operator")
    with transaction(write) as cursor:
        handler = CommandHandler(load_codec(cursor), Policy())
    keys = engine(access.database_url(stack.home, "read", "keeper", access.KEYS))
    register = PersonRegister(write, KeyStore(keys), handler)
    gone, here = (register.register(uuid4(), Details(name), "test") for name in ("Ana Weg", "Bo Da"))
    register.forget(gone, "asked for", "test")
    query = "SELECT person_id, state, sealed IS NULL FROM persons WHERE person_id = ANY(%s) ORDER BY state"
    wanted: list[tuple[UUID, str, bool]] = [(gone, "forgotten", True), (here, "known", False)]
    read = as_role(stack, "read", "auditor")
    with working(stack, tmp_path, "projections"):
        until(lambda: rows(read, query, [gone, here]) == wanted, "both on R", WAIT_SECONDS)
    rebuild(stack)
    assert rows(read, query, [gone, here]) == wanted
    assert register.show(gone).details is None and register.show(here).details == Details("Bo Da")


def test_what_the_topics_have_forgotten_comes_from_the_event_store_with_its_proof(
    stack: Stack, lived: list[World]
) -> None:
    """Our topics keep events for ever; where a broker's settings say otherwise, what is shown and proved is not lost."""
    read, before = as_role(stack, "read", "auditor"), proofs(stack)
    right = [read_models(read, world) for world in lived]
    reached = rows(read, "SELECT topic, partition, next_offset FROM checkpoints WHERE topic = 'payments.events'")
    upto = [TopicPartition(topic, partition, offset - 1) for topic, partition, offset in reached if offset > 1]
    for future in stack.admin.delete_records(upto).values():
        future.result()
    rebuild(stack)
    assert [read_models(read, world) for world in lived] == right
    assert proofs(stack) == before
    assert wrong(stack) == []
