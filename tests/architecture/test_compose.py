"""docker-compose.yml, as far as it can be known without an engine: the specification, pins, loopback, and our own words in it."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from infra.docker import secrets_file
from infra.settings import MachineSettings, ProvisionSettings
from infra.stack.containers import FIRST
from infra.stack.roles import COMPONENTS, KAFKA_USERS, READ_ROLES, WRITE_ROLES, secret_names
from infra.stack.start_order import SERVERS
from tests.architecture.tree import ROOT

TEXT = (ROOT / "docker-compose.yml").read_text()
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::?([-?])([^}]*))?\}")
SECRETS = dict(
    line.split("=") for line in secrets_file.text(lambda: "x").splitlines() if "=" in line and line[0] != "#"
)
PORTS_OF_OURS = re.compile(r"127\.0\.0\.1:\d+:\d+")
COMPONENT_OF = {component.name: component for component in COMPONENTS}


def filled(text: str) -> str:
    """With its variables, as `docker compose --env-file` fills them; one that has neither value nor default is an error."""

    def value(found: re.Match[str]) -> str:
        name, operator, default = found.groups()
        if name in SECRETS:
            return SECRETS[name]
        assert operator == "-", f"{name} has no value and no default"
        return default or ""

    return VARIABLE.sub(value, text).replace("$$", "$")


@cache
def services() -> dict[str, dict[str, Any]]:
    """The services, anchors and merges resolved."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(filled(TEXT))["services"]
    return found


def environment(name: str) -> dict[str, str]:
    told: dict[str, str] = services()[name].get("environment", {})
    return told


def test_it_follows_the_compose_specification() -> None:
    resolved = {k: v for k, v in yaml.safe_load(filled(TEXT)).items() if not k.startswith("x-")}
    assert len(PyCompose.from_yaml(yaml.safe_dump(resolved))) == len(services())


def test_what_stands_back_has_a_small_share_of_the_processors() -> None:
    """As nice 10 does on one machine: weight 110 of 1024."""
    yielding = {component.name for component in COMPONENTS if component.yields} | {
        "read",
        "kafka",
        "registry",
        "connect",
    }
    assert {name for name, service in services().items() if service.get("cpu_shares") == 110} == yielding
    assert all(service.get("cpu_shares") in (None, 110, 1024) for service in services().values())


def test_the_specification_would_refuse_a_wrong_word() -> None:
    with pytest.raises(ValueError, match="imagee"):
        PyCompose.from_yaml("services: {a: {imagee: x}}")


def test_every_image_is_pinned_by_version() -> None:
    images = {name: service["image"] for name, service in services().items()}
    assert [name for name, image in images.items() if not re.search(r":v?\d+\.\d+[\w.-]*$", image)] == []


def test_every_port_is_bound_to_loopback() -> None:
    ports = [port for service in services().values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not PORTS_OF_OURS.fullmatch(port)] == []


def test_whoever_depends_on_a_service_names_one_that_can_tell_how_it_is() -> None:
    for name, service in services().items():
        for other, told in service.get("depends_on", {}).items():
            healthy = told["condition"] == "service_healthy"
            assert not healthy or "healthcheck" in services()[other], f"{name} waits for the health of {other}"


def test_every_component_and_every_server_of_the_stack_is_a_service() -> None:
    assert {*COMPONENT_OF, *SERVERS, *FIRST} <= services().keys()


@pytest.mark.parametrize("name", COMPONENT_OF)
def test_a_component_logs_in_as_itself_and_nobody_else(name: str) -> None:
    component, told = COMPONENT_OF[name], environment(name)
    assert services()[name]["command"] == list(component.command)
    urls = [told.get(f"PAYRIVER_{server}_URL", "postgresql://:") for server in ("WRITE", "READ", "KEYS")]
    assert [url.removeprefix("postgresql://").split(":")[0] for url in urls] == [
        component.write,
        component.read,
        component.keys,
    ]
    assert told.get("PAYRIVER_KAFKA_USER", "") == component.kafka
    assert ("PAYRIVER_KEYSTORE_PASSWORD" in told) == bool(component.signs)


def test_the_settings_of_our_processes_are_settings_that_exist() -> None:
    known = {f"PAYRIVER_{name.upper()}" for kind in (ProvisionSettings, MachineSettings) for name in kind.model_fields}
    ours = [name for name, service in services().items() if service["image"].startswith("payriver:")]
    assert [(name, each) for name in ours for each in environment(name) if each not in known] == []


def test_the_servers_know_every_role_and_user_and_the_passwords_of_each() -> None:
    wanted = {
        "write": ("PAYRIVER_ROLES", WRITE_ROLES, "PAYRIVER_SECRET_WRITE_"),
        "read": ("PAYRIVER_ROLES", READ_ROLES, "PAYRIVER_SECRET_READ_"),
        "kafka": (
            "PAYRIVER_USERS",
            tuple(user for user in KAFKA_USERS if user != "controller"),
            "PAYRIVER_SECRET_KAFKA_",
        ),
    }
    for name, (variable, who, prefix) in wanted.items():
        told = environment(name)
        assert set(told[variable].split()) == set(who)
        assert {f"{prefix}{each.upper()}" for each in who} <= told.keys()


def test_the_example_of_secrets_names_every_password_and_no_other() -> None:
    assert (ROOT / "infra/docker/.env.example").read_text() == secrets_file.text(lambda: secrets_file.EXAMPLE)
    used = {name for name, _, _ in VARIABLE.findall(TEXT) if "_SECRET_" in name}
    assert used == {secrets_file.variable(name) for name in secret_names()}


def test_what_is_mounted_from_here_is_here() -> None:
    mounted = [
        volume.split(":")[0]
        for service in services().values()
        for volume in service.get("volumes", [])
        if volume[0] == "."
    ]
    assert mounted
    assert [path for path in mounted if not (ROOT / path).exists()] == []
