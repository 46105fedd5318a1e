"""Each process may do its own work and nothing else, in PostgreSQL and in Kafka: every refusal here is tried on the real servers."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import psutil
import psycopg2
import psycopg2.errors
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from infra.stack import access
from infra.stack.roles import COMPONENTS, IDENTITIES, KAFKA_USERS, READ_ROLES, WRITE_ROLES
from infra.stack.supervisor import Stack
from schemas.topics import SUBSCRIPTIONS, TOPICS

Refused = psycopg2.errors.InsufficientPrivilege
NAMES = [topic.name for topic in TOPICS]
MORTALS = [user for user in KAFKA_USERS if user not in ("admin", "broker", "controller")]

FORBIDDEN_ON_W = [
    "CREATE TABLE mine (x int)",
    "DROP TABLE events",
    "TRUNCATE events",
    "TRUNCATE events_0_hot",
    "UPDATE events SET version = version",
    "DELETE FROM events",
    "INSERT INTO events_0_hot DEFAULT VALUES",
    "UPDATE events_0_hot SET version = version",
    "UPDATE events SET archived = NOT archived",
    "DELETE FROM events_0_hot",
    "UPDATE streams SET version = version",
    "DELETE FROM streams",
    "INSERT INTO streams DEFAULT VALUES",
    "UPDATE command_answers SET answer = answer",
    "DELETE FROM command_answers",
    "INSERT INTO command_answers DEFAULT VALUES",
    "SELECT nextval('event_positions')",
    "SELECT setval('event_positions', 1)",
    "SELECT open_slices()",
    "ALTER TABLE events DETACH PARTITION events_0",
    "DROP TABLE events_0_hot",
    "DROP TABLE outbox_0",
    "ALTER TABLE outbox DETACH PARTITION outbox_0",
    "INSERT INTO outbox_drops DEFAULT VALUES",
    "UPDATE outbox_drops SET dropped_by = dropped_by",
    "DELETE FROM outbox_drops",
    "DELETE FROM dropped_orders",
    "DELETE FROM outbox",
    "UPDATE outbox SET topic = topic",
    "INSERT INTO events DEFAULT VALUES",
    "INSERT INTO outbox DEFAULT VALUES",
    "ALTER PUBLICATION outbox_publication DROP TABLE outbox",
    "DROP PUBLICATION outbox_publication",
    "ALTER TABLE events OWNER TO CURRENT_USER",
    "CREATE ROLE mine",
]
FORBIDDEN_ON_R = [
    "CREATE TABLE mine (x int)",
    "DROP TABLE payments",
    "TRUNCATE payments",
    "DELETE FROM payments",
    "CREATE ROLE mine",
]


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [role for role in WRITE_ROLES if role != "owner"])
def test_no_role_of_w_may_change_what_happened_or_the_shape_of_the_tables(stack: Stack, role: str) -> None:
    for statement in FORBIDDEN_ON_W:
        assert_refused(stack, "write", role, statement)


@pytest.mark.parametrize("role", [role for role in READ_ROLES if role not in ("owner", "registry", "keeper")])
def test_no_role_of_r_may_take_rows_away_or_change_the_shape_of_the_tables(stack: Stack, role: str) -> None:
    for statement in FORBIDDEN_ON_R:
        assert_refused(stack, "read", role, statement)


@pytest.mark.parametrize("role", [role for role in WRITE_ROLES if role != "cdc"])
def test_only_the_connector_may_make_or_take_a_slot(stack: Stack, role: str) -> None:
    assert_refused(stack, "write", role, "SELECT pg_create_logical_replication_slot('mine', 'pgoutput')")
    assert_refused(stack, "write", role, "SELECT pg_drop_replication_slot('outbox_slot')")


def test_the_connectors_role_reads_the_log_and_no_table(stack: Stack) -> None:
    for table in ("events", "outbox", "streams", "command_answers", "webhook_endpoints"):
        assert_refused(stack, "write", "cdc", f"SELECT * FROM {table}")


@pytest.mark.parametrize(("server", "role"), [("write", "auditor"), ("read", "auditor"), ("read", "queries")])
def test_who_only_looks_may_write_nothing(stack: Stack, server: str, role: str) -> None:
    with stack.postgres(server).superuser() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        tables = [name for (name,) in cursor.fetchall()]
    assert tables
    for table in tables:
        assert_refused(stack, server, role, f"INSERT INTO {table} DEFAULT VALUES")
        assert_refused(stack, server, role, f"DELETE FROM {table}")


def test_nobody_enters_with_another_servers_login_a_wrong_password_or_none(stack: Stack) -> None:
    write, read = (access.database_url(stack.home, server, "owner") for server in ("write", "read"))
    password = stack.home.password("write.owner")
    attempts = [
        write.replace(password, "wrong"),
        write.replace(f":{password}", ""),
        read.replace(stack.home.password("read.owner"), password),
        read.replace("owner:" + stack.home.password("read.owner"), "cdc:" + stack.home.password("write.cdc")),
        access.database_url(stack.home, "read", "registry"),
        access.database_url(stack.home, "read", "queries", database="registry"),
    ]
    for url in attempts:
        with pytest.raises(psycopg2.OperationalError, match=r"password|permission|no password supplied"):
            psycopg2.connect(url, connect_timeout=3)


def assert_refused(stack: Stack, server: str, role: str, statement: str) -> None:
    """The statement is refused for want of a right, and for no other reason."""
    with closing(psycopg2.connect(access.database_url(stack.home, server, role))) as connected:
        cursor = connected.cursor()
        with pytest.raises(Refused):
            cursor.execute(statement)
            pytest.fail(f"{role} may {statement}")


# --- Kafka -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("user", "topic"), list(itertools.product([u for u in MORTALS if u != "connect"], NAMES)))
def test_only_the_connector_may_write_a_business_topic(stack: Stack, user: str, topic: str) -> None:
    """So a forged command is refused: whoever wants something must say it in PostgreSQL."""
    assert produce(stack, user, topic) == KafkaError.TOPIC_AUTHORIZATION_FAILED


@pytest.mark.parametrize("user", [u for u in MORTALS if u != "connect"])
def test_nobody_takes_the_connectors_transactions_or_its_state(stack: Stack, user: str) -> None:
    producer = Producer({**quiet(stack, user), "transactional.id": "payriver-connect-outbox-0"})
    with pytest.raises(KafkaException) as refused:
        producer.init_transactions(10)
    assert refused.value.args[0].code() == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    assert produce(stack, user, "_connect-configs") == KafkaError.TOPIC_AUTHORIZATION_FAILED


@pytest.mark.parametrize("service", [s.component for s in SUBSCRIPTIONS])
def test_a_service_reads_its_own_topics_in_its_own_group_alone(stack: Stack, service: str) -> None:
    [mine] = [s for s in SUBSCRIPTIONS if s.component == service]
    assert read_error(stack, service, group=service, topic=mine.topics[0]) is None
    for other in (*(s.component for s in SUBSCRIPTIONS if s.component != service), "downstream-x"):
        assert read_error(stack, service, group=other, topic=mine.topics[0]) == KafkaError.GROUP_AUTHORIZATION_FAILED
    for topic in (name for name in NAMES if name not in mine.topics):
        assert read_error(stack, service, group=service, topic=topic) == KafkaError.TOPIC_AUTHORIZATION_FAILED


@pytest.mark.parametrize("topic", ["payments.commands", "accounts.commands", "chain.commands"])
def test_other_teams_read_what_happened_and_not_what_is_ordered(stack: Stack, topic: str) -> None:
    for open_to_all in ("payments.events", "persons.events"):
        assert read_error(stack, "downstream", group="downstream-risk", topic=open_to_all) is None
    assert (
        read_error(stack, "downstream", group="downstream-risk", topic=topic) == KafkaError.TOPIC_AUTHORIZATION_FAILED
    )
    assert (
        read_error(stack, "downstream", group="sagas", topic="payments.events") == KafkaError.GROUP_AUTHORIZATION_FAILED
    )


@pytest.mark.parametrize("user", MORTALS)
def test_only_the_administrator_makes_or_removes_topics(stack: Stack, user: str) -> None:
    admin = AdminClient(quiet(stack, user))
    [made] = admin.create_topics([NewTopic(f"mine-{uuid.uuid4()}", 1, 1)]).values()
    [removed] = admin.delete_topics([NAMES[0]]).values()
    for asked in (made, removed):
        with pytest.raises(KafkaException) as refused:
            asked.result(20)
        assert refused.value.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


@pytest.mark.parametrize("attempt", ["wrong password", "no login", "controller's door"])
def test_nobody_enters_kafka_without_a_login(stack: Stack, attempt: str) -> None:
    config = quiet(stack, "commands")
    if attempt == "wrong password":
        config["sasl.password"] = "wrong"
    elif attempt == "no login":
        config = {name: value for name, value in config.items() if not name.startswith(("sasl", "security"))}
    else:
        config["bootstrap.servers"] = f"127.0.0.1:{stack.home.port('controller')}"
    with pytest.raises(KafkaException):
        AdminClient(config).list_topics(timeout=2)


def test_connects_address_asks_for_a_login_and_tells_no_secret(stack: Stack) -> None:
    assert httpx.get(f"{stack.url('connect')}/connectors", trust_env=False).status_code == 401
    with httpx.Client(base_url=access.connect_url(stack.home), trust_env=False) as http:
        told = http.get("/connectors/outbox").text + http.get("/connectors/outbox/tasks").text
    assert "${env:PAYRIVER_CDC_PASSWORD}" in told
    assert stack.home.password("write.cdc") not in told


# --- secrets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("component", sorted(IDENTITIES))
def test_a_process_is_told_its_own_secrets_and_nobody_elses(stack: Stack, component: str) -> None:
    identity = IDENTITIES[component]
    if any(c.name == component and c.serves for c in COMPONENTS):
        stack.home.choose_ports([f"{component}-1"])
    told = json.dumps(stack.settings_for(component))
    own = {f"write.{identity.write}", f"read.{identity.read}", f"kafka.{identity.kafka}"}
    own |= {identity.signs, f"read.{identity.keys}"}  # the database of the persons' keys stands on R
    own |= {"api"} if identity.serves else set()
    own |= {"connect.rest", "anchor"} if component == "owner" else set()
    assert {name for name, secret in stack.home.passwords.items() if secret in told} == own & set(stack.home.passwords)


def test_no_password_stands_in_an_argument_list_or_in_a_file_that_others_may_read(stack: Stack) -> None:
    ours = [stack.pid(name) for name in stack.servers]
    arguments = [" ".join(psutil.Process(pid).cmdline()) for pid in ours]
    assert not [secret for secret in stack.home.passwords.values() for line in arguments if secret in line]
    readable = [path for path in _files(stack) if path.stat().st_mode & 0o044]
    assert not [
        path for path in readable for s in stack.home.passwords.values() if s in path.read_text(errors="replace")
    ]


def _files(stack: Stack) -> Iterator[Path]:
    for folder in (stack.home.folder, stack.home.path("conf"), stack.home.path("logs")):
        yield from (path for path in folder.iterdir() if path.is_file())


# --- clients ---------------------------------------------------------------------------------------------------------


def quiet(stack: Stack, user: str) -> dict[str, object]:
    """A client's configuration; refusals are what we look for, so librdkafka need not complain about them."""
    return {**access.kafka_client(stack.home, user), "log_level": 0, "socket.timeout.ms": 5000}


def produce(stack: Stack, user: str, topic: str) -> int | None:
    """The error code of one record's delivery, None for a success."""
    codes: list[int | None] = []
    producer = Producer({**quiet(stack, user), "message.timeout.ms": 8000})
    producer.produce(topic, b"forged", on_delivery=lambda error, _: codes.append(error.code() if error else None))
    producer.flush(10)
    [code] = codes
    return code


def read_error(stack: Stack, user: str, *, group: str, topic: str) -> int | None:
    """The error code of asking for the topic and joining the group, None where both are allowed."""
    joined: list[object] = []
    consumer = Consumer({**quiet(stack, user), "group.id": group})
    try:
        metadata = consumer.list_topics(topic, timeout=10).topics[topic]
        if metadata.error is not None:
            return int(metadata.error.code())
        consumer.subscribe([topic], on_assign=lambda _, partitions: joined.extend(partitions))
        for _ in range(100):
            message = consumer.poll(0.1)
            if message is not None and message.error() is not None:
                return int(message.error().code())
            if joined:
                return None
        raise AssertionError(f"{user} neither joined {group} nor was refused")
    finally:
        consumer.close()
