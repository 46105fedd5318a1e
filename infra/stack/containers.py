"""The same servers from docker-compose.yml by testcontainers, behind the same doors: for tests where a Docker engine answers.

Never run by its authors, whose machines have no engine. docker-compose.yml takes its ports and passwords from the environment:
`PAYRIVER_PORT_WRITE` (loopback), `PAYRIVER_SECRET_WRITE_POSTGRES`, `PAYRIVER_SECRET_KAFKA_CONNECT` and so on, after `Home`'s names.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

from infra.errors import Unreachable
from infra.stack import access
from infra.stack.home import write_private
from infra.stack.process import wait_until
from infra.stack.roles import secret_names
from infra.stack.servers.kafka import administrator
from infra.stack.supervisor import PORTS, Provisioner, Stack

ROOT = Path(__file__).parents[2]
COMPOSE_FILE = "docker-compose.yml"
FIRST = ("write", "read", "kafka", "registry", "node")
READY_SECONDS = 180.0


class ContainerStack(Stack):
    """A Stack whose servers are containers. Its services bear the servers' names; none of our own processes is started."""

    def __init__(self, *, provisioner: Provisioner, partitions: int = 4) -> None:
        super().__init__(components=(), provisioner=provisioner, partitions=partitions)
        self._project = f"payriver-{self.home.folder.name.rsplit('-', 1)[-1]}".lower()

    def start(self) -> None:
        """Brings the services up, with the provisioning between them."""
        began = time.monotonic()
        self.home.open()
        self.home.make_passwords(secret_names())
        self.home.choose_ports(PORTS)
        write_private(self.home.path("compose.env"), self._environment())
        try:
            self._compose(FIRST).start()
            for name in ("write", "read"):
                self._wait(self.postgres(name).ready, name)
                self.postgres(name).create_roles()
            self._wait(lambda: len(administrator(self.home).list_topics(timeout=2).brokers) > 0, "kafka")
            for step in ("databases", "broker", "consumers", "vocabulary"):
                self._step(step)
            self._compose(("connect",)).start()
            self._step("river")
        except BaseException:
            self.stop()
            raise
        self.seconds["start"] = time.monotonic() - began

    def stop(self) -> None:
        """Takes all of it down, with its volumes."""
        if self.home.path("compose.env").exists():
            self._compose(None).stop(down=True)
        self.home.close(remove=True)

    def stop_process(self, name: str, worker: int = 1) -> None:
        """Ends a service in order; it stays down."""
        self._run("stop", name)

    def start_process(self, name: str, worker: int = 1, *, wait: bool = True) -> None:
        """Starts a service that is down."""
        self._run("up", "--detach", *(["--wait"] if wait else []), name)

    def kill(self, name: str, worker: int = 1, *, stay_down: bool = True) -> None:
        """SIGKILL."""
        self._run("kill", name)
        if not stay_down:
            self.start_process(name)

    def freeze(self, name: str, worker: int = 1) -> None:
        """Stops the service's processes where they are."""
        self._run("pause", name)

    def thaw(self, name: str, worker: int = 1) -> None:
        """Lets them go on."""
        self._run("unpause", name)

    def pid(self, name: str, worker: int = 1) -> int:
        """The process id on the engine's machine, which may not be this one."""
        container = self._run("ps", "--quiet", name).strip()
        found = subprocess.run(
            ["docker", "inspect", "--format", "{{.State.Pid}}", container], capture_output=True, text=True, check=True
        )
        return int(found.stdout)

    def _compose(self, services: tuple[str, ...] | None) -> Any:
        from testcontainers.compose import DockerCompose  # a test dependency, needed only here

        return DockerCompose(
            context=ROOT,
            compose_file_name=COMPOSE_FILE,
            env_file=str(self.home.path("compose.env")),
            services=list(services) if services else None,
        )

    def _run(self, *arguments: str) -> str:
        command = [*self._compose(None).compose_command_property, *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unreachable(f"docker compose {' '.join(arguments)} failed: {done.stderr.strip()[-600:]}")
        return done.stdout

    def _environment(self) -> str:
        """The compose file's variables; COMPOSE_PROJECT_NAME keeps two stacks on one engine apart."""
        ports = {f"PAYRIVER_PORT_{_upper(name)}": port for name, port in self.home.ports.items()}
        secrets = {f"PAYRIVER_SECRET_{_upper(name)}": self.home.password(name) for name in secret_names()}
        told = {"COMPOSE_PROJECT_NAME": self._project, "PAYRIVER_KAFKA_ADVERTISED": access.url(self.home, "kafka")}
        return "".join(f"{name}={value}\n" for name, value in {**told, **ports, **secrets}.items())

    def _wait(self, ready: Any, name: str) -> None:
        if not wait_until(ready, lambda: True, READY_SECONDS):
            raise Unreachable(
                f"the container {name} did not get ready; see docker compose --project-name {self._project} logs"
            )


def _upper(name: str) -> str:
    return name.upper().replace(".", "_").replace("-", "_")
