"""A topic of its own, a consumer of its own, and workers one may kill: what the tests of the runtime stand on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from sqlalchemy import Engine

from infra.database import engine, transaction
from infra.stack import access
from infra.stack.supervisor import Stack
from streams.runtime import checkpoint
from streams.runtime.positions import Positions
from streams.runtime.records import Place
from tests.integration import effects
from tests.waiting import until

PROGRAM = Path(effects.__file__)
DOUBLED = """
SELECT id, array_agg(partition || '/' || "offset" || ' in ' || xmin ORDER BY at) FROM effects GROUP BY id HAVING count(*) > 1 ORDER BY id
"""
ROLE = "commands"  # a role of the product, with the grants of every consumer


@dataclass
class Riverbed:
    """One topic of four partitions, its consumer's checkpoints, a table of effects, and a transactional producer."""

    stack: Stack
    engine: Engine
    logs: Path
    topic: str = field(default_factory=lambda: f"runtime-{uuid.uuid4().hex[:8]}")
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.consumer = self.topic
        self.kafka = access.kafka_client(self.stack.home, "admin") | {"log_level": "0"}
        self.admin = AdminClient(self.kafka)
        self.positions = Positions(self.engine, self.consumer, dict(self.kafka))
        self._producer: Producer | None = None

    @cached_property
    def _places(self) -> list[Place]:
        return self.positions.places([self.topic])

    def dig(self, partitions: int = 4) -> None:
        """Make the topic and its checkpoints."""
        self.admin.create_topics([NewTopic(self.topic, partitions, 1)])[self.topic].result()
        until(lambda: self.topic in self.admin.list_topics(timeout=5).topics, "the topic")
        with self.stack.postgres("write").superuser() as cursor:
            checkpoint.provision(cursor, self.consumer, self.positions.places([self.topic]))

    def send(self, *messages: tuple[str | None, str], abort: bool = False) -> None:
        """One Kafka transaction of (key, text) messages."""
        if self._producer is None:
            self._producer = Producer({**self.kafka, "transactional.id": self.topic, "linger.ms": 2})
            self._producer.init_transactions(30)
        self._producer.begin_transaction()
        for key, text in messages:
            self._producer.produce(self.topic, key=key, value=text, headers={"ce_id": text, "traceparent": None})
        self._producer.flush()
        if abort:
            self._producer.abort_transaction()
        else:
            self._producer.commit_transaction()
            self.sent += [text for _, text in messages]

    def start(self, *, stall_seconds: int = 30, run_records: int = 100, **options: float) -> subprocess.Popen[bytes]:
        """A worker of this topic in a process of its own."""
        told = {
            "PAYRIVER_COMPONENT": self.consumer,
            "PAYRIVER_WORKER": str(len(self.workers) + 1),
            "PAYRIVER_WRITE_URL": access.database_url(self.stack.home, "write", ROLE),
            "PAYRIVER_KAFKA_BOOTSTRAP": self.kafka["bootstrap.servers"],
            "PAYRIVER_KAFKA_USER": "admin",
            "PAYRIVER_KAFKA_PASSWORD": self.kafka["sasl.password"],
            "PAYRIVER_STALL_SECONDS": str(stall_seconds),
            "PAYRIVER_RUN_RECORDS": str(run_records),
            "EFFECTS": json.dumps(options),
        }
        with self.log(len(self.workers) + 1).open("wb") as log:
            worker = subprocess.Popen(
                [sys.executable, str(PROGRAM), self.topic], env={**os.environ, **told}, stderr=log, stdout=log
            )
        self.workers.append(worker)
        return worker

    def log(self, worker: int) -> Path:
        """What the n-th worker wrote."""
        return self.logs / f"{self.topic}-{worker}.log"

    def effects(self, where: str = "true") -> list[str]:
        """The ids of the messages that were taken, in order."""
        with transaction(self.engine) as cursor:
            cursor.execute(f"SELECT id FROM effects WHERE {where} ORDER BY at")
            return [row[0] for row in cursor.fetchall()]

    def doubled(self) -> list[tuple[str, list[str]]]:
        """Messages taken more than once, with places (partition/offset) and transactions: one place is our fault, two are the topic's."""
        with transaction(self.engine) as cursor:
            cursor.execute(DOUBLED)
            return list(cursor.fetchall())

    def checkpoints(self) -> dict[int, int]:
        """The offset that the consumer wants next, by partition."""
        return {place.partition: offset for place, offset in self.positions.read(self._places).items()}

    def shares(self) -> list[int]:
        """How many partitions each worker holds, as the broker knows it; of workers that it still waits for, too."""
        group = self.admin.describe_consumer_groups([self.consumer])[self.consumer].result()
        held = ([each.topic for each in member.assignment.topic_partitions] for member in group.members)
        return sorted(topics.count(self.topic) for topics in held)

    def heal(self, text: str) -> None:
        """From now on this poison can be taken."""
        with transaction(self.engine) as cursor:
            cursor.execute("INSERT INTO healed VALUES (%s)", (text,))

    def fill_in(self) -> None:
        """End the workers and the topic."""
        for worker in self.workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGCONT)
                worker.kill()
            worker.wait(10)
        self.admin.delete_topics([self.topic])[self.topic].result()


@contextmanager
def riverbed(stack: Stack, logs: Path) -> Iterator[Riverbed]:
    """A riverbed with empty tables; nothing of it is left afterwards."""
    database = engine(access.database_url(stack.home, "write", ROLE))
    with stack.postgres("write").superuser() as cursor:
        cursor.execute(f"{effects.DROP}; {effects.TABLES}")
        cursor.execute(f"GRANT SELECT, INSERT ON effects, healed TO {ROLE}; GRANT USAGE ON effects_at_seq TO {ROLE}")
    bed = Riverbed(stack, database, logs)
    bed.dig()
    try:
        yield bed
    finally:
        bed.fill_in()
        database.dispose()
        with stack.postgres("write").superuser() as cursor:
            cursor.execute(effects.DROP)
            cursor.execute("DELETE FROM checkpoints WHERE consumer = %s", (bed.consumer,))
            cursor.execute("DELETE FROM parked_messages WHERE consumer = %s", (bed.consumer,))
