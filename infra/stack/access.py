"""What each process is told: addresses for all, and of the secrets only its own. The only place that puts the two together."""

from __future__ import annotations

import json

from infra.errors import Misconfigured
from infra.stack.home import Home
from infra.stack.roles import IDENTITIES

DATABASE = "payriver"
KEYS = "keys"
"""The database of persons' keys, on R."""
REGISTRY_PATH = "/apis/ccompat/v7"


def database_url(home: Home, server: str, role: str, database: str = DATABASE) -> str:
    """`postgresql://role:password@127.0.0.1:port/database` of server `write` or `read`."""
    return f"postgresql://{role}:{home.password(f'{server}.{role}')}@127.0.0.1:{home.port(server)}/{database}"


def url(home: Home, name: str, worker: int = 1) -> str:
    """The address of a server or of the API, without any secret: what `payriver status` shows."""
    match name:
        case "write" | "read":
            return f"postgresql://127.0.0.1:{home.port(name)}/{DATABASE}"
        case "kafka":
            return f"127.0.0.1:{home.port('kafka')}"
        case "registry":
            return f"http://127.0.0.1:{home.port('registry')}{REGISTRY_PATH}"
        case "api":
            return f"http://127.0.0.1:{home.port(f'api-{worker}')}"
        case _:
            return f"http://127.0.0.1:{home.port(name)}"


def connect_url(home: Home) -> str:
    """Kafka Connect's REST address with its login: whoever may configure connectors may read what they read."""
    return f"http://payriver:{home.password('connect.rest')}@127.0.0.1:{home.port('connect')}"


def kafka_client(home: Home, user: str) -> dict[str, str]:
    """A librdkafka configuration that logs in as `user`."""
    return {
        "bootstrap.servers": url(home, "kafka"),
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": user,
        "sasl.password": home.password(f"kafka.{user}"),
    }


def settings_for(
    home: Home, component: str, worker: int = 1, *, partitions: int = 12, chain: str = ""
) -> dict[str, str]:
    """The environment of one process, as infra.settings reads it."""
    identity = IDENTITIES.get(component)
    if identity is None:
        raise Misconfigured(f"no component is called {component!r}; there are {', '.join(sorted(IDENTITIES))}")
    told = {
        "COMPONENT": component,
        "WORKER": str(worker),
        "HOME": str(home.folder),
        "TOPIC_PARTITIONS": str(partitions),
        "REGISTRY_URL": url(home, "registry"),
    }
    if chain:
        told["CHAIN_FILE"] = chain
    if identity.write:
        told["WRITE_URL"] = database_url(home, "write", identity.write)
    if identity.read:
        told["READ_URL"] = database_url(home, "read", identity.read)
    if identity.keys:
        told["KEYS_URL"] = database_url(home, "read", identity.keys, KEYS)
    if identity.kafka:
        told |= {
            "KAFKA_BOOTSTRAP": url(home, "kafka"),
            "KAFKA_USER": identity.kafka,
            "KAFKA_PASSWORD": home.password(f"kafka.{identity.kafka}"),
        }
    if identity.signs:
        told |= {"KEYSTORE": str(home.path("keystore")), "KEYSTORE_PASSWORD": home.password(identity.signs)}
    if component == "owner":
        told |= {"CONNECT_URL": connect_url(home), "ANCHOR_PASSWORD": home.password("anchor")}
    if identity.serves:
        told |= {"API_PORT": str(home.port(f"api-{worker}")), "API_KEYS": json.dumps({"demo": home.password("api")})}
    return {f"PAYRIVER_{name}": value for name, value in told.items()}
