"""Brings Kafka to the shape that the river needs: topics, users, permissions, checkpoints. Doing it again changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from connectors.kafka.access import CONNECT_TOPICS, HEARTBEAT_TOPIC, acls
from infra.database import Cursor
from infra.errors import Misconfigured, Unreachable
from schemas.topics import SUBSCRIPTIONS, TOPICS
from streams.runtime import checkpoint, extents
from streams.runtime.records import Place

SECONDS = 20.0
DAY_MS = 24 * 3600 * 1000
ITERATIONS = 8192


def topics(admin: AdminClient, partitions: int) -> list[str]:
    """Makes the topics that are missing, gives their names. A business topic of another width is refused: keys would move."""
    there = _ask(admin).topics
    wanted = [*_business(partitions), *_connects()]
    missing = [topic for topic in wanted if topic.topic not in there]
    for name, future in admin.create_topics(missing, operation_timeout=SECONDS).items() if missing else ():
        _settle(future, f"topic {name} was not made", tolerate=KafkaError.TOPIC_ALREADY_EXISTS)
    for topic in TOPICS:
        known = there.get(topic.name)
        if known is not None and len(known.partitions) != partitions:
            raise Misconfigured(
                f"topic {topic.name} has {len(known.partitions)} partitions, the settings say {partitions}; a key would change its "
                "partition and lose its order: set PAYRIVER_TOPIC_PARTITIONS to what there is"
            )
    return [topic.topic for topic in missing]


def users(admin: AdminClient, passwords: dict[str, str]) -> list[str]:
    """Gives each user that has no SCRAM login yet its password, and says whom. Who has one keeps it."""
    known = admin.describe_user_scram_credentials(None, request_timeout=SECONDS).result()
    missing = sorted(set(passwords) - set(known))
    mechanism = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, ITERATIONS)
    changes = [UserScramCredentialUpsertion(user, mechanism, passwords[user].encode()) for user in missing]
    for user, future in admin.alter_user_scram_credentials(changes).items() if changes else ():
        _settle(future, f"user {user} got no login")
    return missing


def permissions(admin: AdminClient) -> tuple[int, int]:
    """Makes the ACLs exactly those of the table: adds what is missing, takes away what is not in it. Gives both counts."""
    wanted, there = set(acls()), set(_every_acl(admin))
    for binding, future in admin.create_acls(list(wanted - there)).items() if wanted - there else ():
        _settle(future, f"permission {binding} was not given")
    surplus = there - wanted
    filters = [_exactly(binding) for binding in surplus]
    for found, future in admin.delete_acls(filters).items() if filters else ():
        _settle(future, f"permission {found} was not taken away")
    return len(wanted - there), len(surplus)


def checkpoints(admin: AdminClient, write: Cursor, read: Cursor) -> int:
    """Each consumer begins at offset 0 of each partition it subscribes to, in its own database; a row that is there stays.

    The rows bear the cluster's and the topic's id: a topic made anew under its old name begins anew. Raises LostRecords where a topic lacks
    what a consumer was told of.
    """
    cluster = str(_ask(admin).cluster_id)
    found = _places(admin, cluster, {name for s in SUBSCRIPTIONS for name in s.topics})
    made, there = 0, extents.extents(admin, found)
    for subscription in SUBSCRIPTIONS:
        cursor = write if subscription.server == "write" else read
        places = [place for place in found if place.topic in subscription.topics]
        checkpoint.provision(cursor, subscription.component, places)
        extents.check(subscription.component, checkpoint.load(cursor, subscription.component, places), there)
        made += len(places)
    return made


def places(admin: AdminClient) -> list[Place]:
    """Every partition of the business topics, under the cluster's and the topics' ids of now."""
    return _places(admin, str(_ask(admin).cluster_id), {topic.name for topic in TOPICS})


def _business(partitions: int) -> Iterable[NewTopic]:
    for topic in TOPICS:
        options = {"cleanup.policy": "delete", "retention.ms": str(topic.retention_ms), "compression.type": "producer"}
        yield NewTopic(topic.name, partitions, 1, config={**options, "retention.bytes": "-1"})


def _connects() -> Iterable[NewTopic]:
    for name in CONNECT_TOPICS:
        yield NewTopic(name, 1, 1, config={"cleanup.policy": "compact"})
    yield NewTopic(HEARTBEAT_TOPIC, 1, 1, config={"retention.ms": str(DAY_MS)})


def _places(admin: AdminClient, cluster: str, names: set[str]) -> list[Place]:
    asked = admin.describe_topics(TopicCollection(sorted(names)), request_timeout=SECONDS)
    found = [_settle(future, f"topic {name} is not there; make the topics first") for name, future in asked.items()]
    return [Place(cluster, str(topic.topic_id), topic.name, part.id) for topic in found for part in topic.partitions]


def _every_acl(admin: AdminClient) -> Iterable[Any]:
    everything = AclBindingFilter(
        ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
    )
    return _settle(admin.describe_acls(everything, request_timeout=SECONDS), "the permissions could not be read")  # type: ignore[no-any-return]


def _exactly(binding: Any) -> AclBindingFilter:
    return AclBindingFilter(
        binding.restype,
        binding.name,
        binding.resource_pattern_type,
        binding.principal,
        binding.host,
        binding.operation,
        binding.permission_type,
    )


def _ask(admin: AdminClient) -> Any:
    try:
        return admin.list_topics(timeout=SECONDS)
    except KafkaException as error:
        raise Unreachable(f"Kafka does not answer its administrator: {error.args[0].str()}") from error


def _settle(future: Future[Any], what: str, *, tolerate: int | None = None) -> Any:
    try:
        return future.result(timeout=SECONDS)
    except KafkaException as error:
        if error.args[0].code() == tolerate:
            return None
        raise Unreachable(f"{what}: {error.args[0].str()}") from error
