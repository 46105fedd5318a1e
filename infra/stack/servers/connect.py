"""Kafka Connect with Debezium: the one producer of business messages, exactly once from W's log into the topics."""

from __future__ import annotations

from contextlib import suppress

import httpx
import structlog

from infra.stack.access import kafka_client, url
from infra.stack.home import write_private
from infra.stack.process import Command
from infra.stack.servers.base import Site, answers, fill, listens
from infra.stack.servers.java import ClassArchive, java_command

log = structlog.get_logger(__name__)

REST_USER = "payriver"
JAAS = """KafkaConnect {
  org.apache.kafka.connect.rest.basic.auth.extension.PropertyFileLoginModule required file="%s";
};
"""


class Connect:
    """The worker. The database password of its connector is in its environment, and its REST address asks for a login."""

    name = "connect"

    def __init__(self, site: Site) -> None:
        self._site = site
        self.version = site.programs.versions["connect"]
        self._archive = ClassArchive(site.programs, site.home, self.name, site.programs.debezium)
        self._configuration = site.home.path("conf", "connect-distributed.properties")
        self._jaas = site.home.path("conf", "connect-rest.jaas")

    def prepare(self) -> None:
        """The worker's configuration, and who may use its REST address."""
        home = self._site.home
        users = home.path("conf", "connect-rest.users")
        write_private(users, f"{REST_USER}: {home.password('connect.rest')}\n")
        write_private(self._jaas, JAAS % users)
        values = {
            "bootstrap": url(home, "kafka"),
            "port": home.port("connect"),
            "plugins": self._site.programs.debezium,
        }
        fill("connect-distributed.properties", self._configuration, values)
        with self._configuration.open("a") as file:
            file.writelines(self._login(prefix) for prefix in ("", "producer.", "consumer.", "admin."))

    def command(self) -> Command:
        """One worker; more of them would share the work under the same group."""
        home = self._site.home
        start = java_command(self._site.programs, home, heap=(96, 320), archive=self._archive)
        return Command(
            argv=(
                *(*start, f"-Djava.security.auth.login.config={self._jaas}", "-cp", f"{self._site.programs.kafka}/*"),
                *("org.apache.kafka.connect.cli.ConnectDistributed", str(self._configuration)),
            ),
            log=home.path("logs", "connect.log"),
            cwd=home.path("work"),
            environment={"PAYRIVER_CDC_PASSWORD": home.password("write.cdc")},
        )

    def ready(self) -> bool:
        """Whether the worker has joined its group; its root address answers earlier than that."""
        home = self._site.home
        if not listens(home.port("connect")):
            return False
        response = answers(f"{url(home, 'connect')}/health", login=(REST_USER, home.password("connect.rest")))
        return response is not None and response.status_code == 200 and response.json().get("status") == "healthy"

    def tend(self) -> None:
        """Starts failed tasks again: a task that was frozen past its transaction's end is fenced off, and Connect lets it lie."""
        address = url(self._site.home, "connect")
        login = (REST_USER, self._site.home.password("connect.rest"))
        response = answers(f"{address}/connectors?expand=status", login=login)
        for name, found in (response.json() if response is not None and response.status_code == 200 else {}).items():
            if any(part["state"] == "FAILED" for part in (found["status"]["connector"], *found["status"]["tasks"])):
                log.warning("restarting failed tasks", connector=name)
                again = f"{address}/connectors/{name}/restart?includeTasks=true&onlyFailed=true"
                with suppress(httpx.HTTPError):
                    httpx.post(again, auth=login, timeout=10, trust_env=False)

    def stopped(self) -> None:
        """Keeps the class archive."""
        self._archive.keep()

    def _login(self, prefix: str) -> str:
        client = kafka_client(self._site.home, "connect")
        module = "org.apache.kafka.common.security.scram.ScramLoginModule required"
        secret = f'{module} username="{client["sasl.username"]}" password="{client["sasl.password"]}";'
        return (
            f"{prefix}security.protocol={client['security.protocol']}\n"
            f"{prefix}sasl.mechanism={client['sasl.mechanism']}\n"
            f"{prefix}sasl.jaas.config={secret}\n"
        )
