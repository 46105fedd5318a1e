"""The schema registry: Apicurio, spoken to in Confluent's protocol, with its tables in a database of its own on R."""

from __future__ import annotations

from infra.stack.access import url
from infra.stack.process import Command
from infra.stack.servers.base import Site, answers, listens
from infra.stack.servers.java import ClassArchive, java_command


class Registry:
    """Apicurio. Its password comes by environment: other users of the machine can read an argument list."""

    name = "registry"

    def __init__(self, site: Site) -> None:
        self._site = site
        self.version = site.programs.versions["registry"]
        self._program = next(site.programs.registry.glob("**/quarkus-run.jar"))
        self._archive = ClassArchive(site.programs, site.home, self.name, self._program)

    def prepare(self) -> None:
        """Nothing: its tables make themselves."""

    def command(self) -> Command:
        """All its settings are properties of the JVM."""
        home = self._site.home
        start = java_command(self._site.programs, home, heap=(96, 320), archive=self._archive)
        return Command(
            argv=(
                *start,
                *(f"-D{name}={value}" for name, value in self._properties().items()),
                "-jar",
                str(self._program),
            ),
            log=home.path("logs", "registry.log"),
            cwd=self._program.parent,
            environment={"APICURIO_DATASOURCE_PASSWORD": home.password("read.registry")},
        )

    def ready(self) -> bool:
        """Whether it lists its subjects."""
        if not listens(self._site.home.port("registry")):
            return False
        response = answers(f"{url(self._site.home, 'registry')}/subjects")
        return response is not None and response.status_code == 200

    def stopped(self) -> None:
        """Keeps the class archive."""
        self._archive.keep()

    def _properties(self) -> dict[str, object]:
        home = self._site.home
        return {
            "quarkus.http.host": "127.0.0.1",
            "quarkus.http.port": home.port("registry"),
            "quarkus.management.host": "127.0.0.1",
            "quarkus.management.port": home.port("registry-management"),
            "apicurio.storage.kind": "sql",
            "apicurio.storage.sql.kind": "postgresql",
            "apicurio.datasource.url": f"jdbc:postgresql://127.0.0.1:{home.port('read')}/registry",
            "apicurio.datasource.username": "registry",
            "apicurio.datasource.jdbc.initial-size": 1,
            "apicurio.datasource.jdbc.min-size": 1,
            "apicurio.datasource.jdbc.max-size": 8,
            "quarkus.log.level": "WARN",
            'quarkus.log.category."io.apicurio".level': "WARN",
            "quarkus.http.access-log.enabled": "false",
            "quarkus.otel.sdk.disabled": "true",
        }
