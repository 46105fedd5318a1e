"""Where Kafka and PostgreSQL meet: which topic a name means today, and where the consumer's checkpoints in it stand."""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient
from sqlalchemy import Engine

from infra.database import transaction
from infra.errors import Misconfigured, Unreachable
from infra.settings import Settings
from streams.runtime import checkpoint, extents
from streams.runtime.records import Place

ASK_SECONDS = 10.0


def client_config(settings: Settings) -> dict[str, str | int | bool]:
    """How a confluent-kafka client of this process logs in: SCRAM when a user is set, else plain (experiments only)."""
    config: dict[str, str | int | bool] = {"bootstrap.servers": settings.kafka_bootstrap, "log_level": 2}
    if settings.kafka_user:
        config |= {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "SCRAM-SHA-256",
            "sasl.username": settings.kafka_user,
            "sasl.password": settings.kafka_password.get_secret_value(),
        }
    return config


class Positions:
    """A consumer's checkpoints by topic and partition, looked up under the topic's id of this moment."""

    def __init__(self, engine: Engine, consumer: str, kafka: dict[str, str | int | bool]) -> None:
        self.consumer = consumer
        self._engine = engine
        self._admin = AdminClient(kafka)

    def places(self, topics: Iterable[str]) -> list[Place]:
        """Every partition of the topics. Raises Unreachable for a silent broker, Misconfigured for an absent topic."""
        names = sorted(set(topics))
        try:
            cluster = self._admin.list_topics(names[0], timeout=ASK_SECONDS).cluster_id
            asked = self._admin.describe_topics(TopicCollection(names), request_timeout=ASK_SECONDS)
            found = [asked[name].result() for name in names]
        except KafkaException as error:
            raise _named(error, names) from error
        return [
            Place(str(cluster), str(topic.topic_id), topic.name, partition.id)
            for topic in found
            for partition in topic.partitions
        ]

    def load(self, partitions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], tuple[Place, int]]:
        """Place and next offset of each (topic, partition). Raises MissingCheckpoint, LostRecords, or what is transient."""
        wanted = set(partitions)
        if not wanted:
            return {}
        places = [p for p in self.places(topic for topic, _ in wanted) if (p.topic, p.partition) in wanted]
        found = self.read(places)
        extents.check(self.consumer, found, extents.extents(self._admin, found))
        return {(place.topic, place.partition): (place, offset) for place, offset in found.items()}

    def read(self, places: Iterable[Place]) -> dict[Place, int]:
        """The checkpoints of places that are known already."""
        with transaction(self._engine) as cursor:
            return checkpoint.load(cursor, self.consumer, places)


def _named(error: KafkaException, topics: list[str]) -> Exception:
    what = error.args[0]
    if what.name() == "UNKNOWN_TOPIC_OR_PART":
        return Misconfigured(
            f"one of the topics {', '.join(topics)} does not exist: {what.str()}; run `payriver provision`"
        )
    return Unreachable(f"the broker did not tell about the topics {', '.join(topics)}: {what.str()}")
