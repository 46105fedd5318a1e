"""Kafka: one node that is broker and controller, SCRAM users from its first breath, and nothing allowed that no ACL names."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import subprocess
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from infra.errors import Misconfigured, PayriverError, Unreachable
from infra.stack.access import kafka_client
from infra.stack.home import Home
from infra.stack.process import Command
from infra.stack.roles import KAFKA_USERS
from infra.stack.servers.base import Site, fill, listens
from infra.stack.servers.java import ClassArchive, java_command

ITERATIONS = 8192
NEVER = 2**63 - 1
NEWER = re.compile(
    r"Tried to apply FeatureLevelRecord .*|(?<=UnsupportedVersionException: )Can't read version \d+ of \w+"
)
"""How a broker says that its data are of a newer one: of data that were formatted alone, and of a newer broker's own records."""


class DataOfNewerKafka(Misconfigured):
    """The home's topics were written by a newer broker than ours."""

    reason = "newer_kafka"


class Kafka:
    """The broker. Its users are written at format time: the broker itself logs in by SCRAM."""

    name = "kafka"

    def __init__(self, site: Site) -> None:
        self._site = site
        self.version = site.programs.versions["kafka"]
        self._classes = ["-cp", f"{site.programs.kafka}/*"]
        self._archive = ClassArchive(site.programs, site.home, self.name, site.programs.kafka)
        self._configuration = site.home.path("conf", "server.properties")

    def prepare(self) -> None:
        """The configuration of this start; a new cluster id and the users where there is no data yet."""
        home = self._site.home
        data = home.path("kafka")
        fill(
            "server.properties",
            self._configuration,
            {
                "port": home.port("kafka"),
                "controller_port": home.port("controller"),
                "broker_password": home.password("kafka.broker"),
                "controller_password": home.password("kafka.controller"),
                "data": data,
                "flush_messages": NEVER if self._site.throwaway else 1,
            },
        )
        if not (data / "meta.properties").exists():
            self._format()

    def command(self) -> Command:
        """Started from a class path of plain jars; no shell script stands between."""
        home = self._site.home
        start = java_command(self._site.programs, home, heap=(128, 384), archive=self._archive)
        return Command(
            argv=(*start, *self._classes, "kafka.Kafka", str(self._configuration)),
            log=home.path("logs", "kafka.log"),
            cwd=home.path("work"),
        )

    def ready(self) -> bool:
        """Whether the administrator sees the broker."""
        if not listens(self._site.home.port("kafka")):
            return False
        try:
            return len(administrator(self._site.home).list_topics(timeout=2).brokers) == 1
        except KafkaException:
            return False

    def stopped(self) -> None:
        """Keeps the class archive."""
        self._archive.keep()

    def named(self, log: str) -> PayriverError | None:
        """Why the broker did not start, where its log says that it cannot read what it found."""
        said = NEWER.search(log)
        if said is None:
            return None
        return DataOfNewerKafka(
            f"the topics in {self._site.home.path('kafka')} were written by a newer Kafka than {self.version}, which says: {said[0]}; "
            "go on with the payriver that wrote them, or begin in another home: `payriver up --home FOLDER`"
        )

    def _format(self) -> None:
        """`secrets` makes the cluster id: 16 bytes in base64, as Kafka's own tool does."""
        cluster = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=").replace("-", "A")
        users = [part for user in KAFKA_USERS if user != "controller" for part in ("--add-scram", self._scram(user))]
        command = [
            *java_command(self._site.programs, self._site.home, heap=(32, 128)),
            *self._classes,
            *("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._configuration)),
            *users,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path("/"))
        if done.returncode:
            raise Unreachable(f"Kafka's format failed: {(done.stderr or done.stdout).strip()[-600:]}")

    def _scram(self, user: str) -> str:
        """The salted form: the plain password never stands in an argument list."""
        salt = secrets.token_bytes(16)
        password = self._site.home.password(f"kafka.{user}").encode()
        salted = hashlib.pbkdf2_hmac("sha256", password, salt, ITERATIONS)
        encoded = [base64.b64encode(part).decode() for part in (salt, salted)]
        return f'SCRAM-SHA-256=[name={user},iterations={ITERATIONS},salt="{encoded[0]}",saltedpassword="{encoded[1]}"]'


def administrator(home: Home) -> AdminClient:
    """A client that may do everything."""
    return AdminClient({**kafka_client(home, "admin"), "log_level": 2, "socket.timeout.ms": 5000})
