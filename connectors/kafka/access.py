"""Who may do what in Kafka, as one table. What stands here is allowed; everything else is refused.

Only the connector may write business topics: whoever else wants to say something to the system appends it in PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterator

from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, ResourcePatternType, ResourceType

from schemas.topics import ACCOUNT_EVENTS, PAYMENT_EVENTS, PERSON_EVENTS, SUBSCRIPTIONS, TOPICS

CONNECT_GROUP = "payriver-connect"
CONNECTOR = "outbox"
TOPIC_PREFIX = "payriver"
HEARTBEAT_TOPIC = f"__debezium-heartbeat.{TOPIC_PREFIX}"
CONNECT_TOPICS = ("_connect-configs", "_connect-offsets", "_connect-status")
BUSINESS_TOPICS = tuple(topic.name for topic in TOPICS)
SERVICES = tuple(subscription.component for subscription in SUBSCRIPTIONS)

LITERAL, PREFIXED = ResourcePatternType.LITERAL, ResourcePatternType.PREFIXED
TOPIC, GROUP, TRANSACTION, CLUSTER = (
    ResourceType.TOPIC,
    ResourceType.GROUP,
    ResourceType.TRANSACTIONAL_ID,
    ResourceType.BROKER,  # librdkafka's name for the cluster
)
READ, WRITE, DESCRIBE, SETTINGS = (
    AclOperation.READ,
    AclOperation.WRITE,
    AclOperation.DESCRIBE,
    AclOperation.DESCRIBE_CONFIGS,
)


def acls() -> list[AclBinding]:
    """Every permission there is, beyond the administrator's."""
    return [*_connector(), *_services(), *_downstream(), *_ui()]


def _connector() -> Iterator[AclBinding]:
    """Writes business topics and its heartbeat, in transactions of its own; keeps its state in its three topics."""
    for topic in (*BUSINESS_TOPICS, HEARTBEAT_TOPIC):
        yield allow("connect", TOPIC, topic, WRITE)
    for topic in CONNECT_TOPICS:
        yield allow("connect", TOPIC, topic, READ)
        yield allow("connect", TOPIC, topic, WRITE)
    yield allow("connect", GROUP, CONNECT_GROUP, READ)
    yield allow("connect", TRANSACTION, f"connect-cluster-{CONNECT_GROUP}", WRITE)
    yield allow("connect", TRANSACTION, f"{CONNECT_GROUP}-{CONNECTOR}-", WRITE, PREFIXED)


def _services() -> Iterator[AclBinding]:
    """Each reads its topics in the one group that bears its name: none can commit or join for another."""
    for subscription in SUBSCRIPTIONS:
        for topic in subscription.topics:
            yield allow(subscription.component, TOPIC, topic, READ)
        yield allow(subscription.component, GROUP, subscription.component, READ)


def _downstream() -> Iterator[AclBinding]:
    """Other teams read what happened, and whom to forget; what is ordered is our own affair."""
    for topic in (PAYMENT_EVENTS, ACCOUNT_EVENTS, PERSON_EVENTS):
        yield allow("downstream", TOPIC, topic, READ)
    yield allow("downstream", GROUP, "downstream-", READ, PREFIXED)


def _ui() -> Iterator[AclBinding]:
    """People look at topics and groups, and change nothing."""
    for topic in BUSINESS_TOPICS:
        yield allow("ui", TOPIC, topic, READ)
        yield allow("ui", TOPIC, topic, SETTINGS)
    for group in SERVICES:
        yield allow("ui", GROUP, group, DESCRIBE)
    yield allow("ui", GROUP, "downstream-", DESCRIBE, PREFIXED)
    yield allow("ui", GROUP, "kaskade", READ, PREFIXED)
    yield allow("ui", CLUSTER, "kafka-cluster", DESCRIBE)


def allow(
    user: str, kind: ResourceType, name: str, what: AclOperation, pattern: ResourcePatternType = LITERAL
) -> AclBinding:
    """One permission, from any host."""
    return AclBinding(kind, name, pattern, f"User:{user}", "*", what, AclPermissionType.ALLOW)
