"""Who is who: the database roles of both servers, Kafka's users, and our own processes with exactly the identities each may use."""

from __future__ import annotations

from dataclasses import dataclass

WRITE_ROLES = (
    "owner",
    "listener",
    "commands",
    "sagas",
    "projections",
    "notifications",
    "sender",
    "submitter",
    "gateway",
    "audit",
    "operator",
    "auditor",
    "cdc",
)
READ_ROLES = ("owner", "projections", "queries", "audit", "operator", "auditor", "registry", "keeper")
KAFKA_USERS = (
    "admin",
    "broker",
    "controller",
    "connect",
    "commands",
    "sagas",
    "projections",
    "notifications",
    "submitter",
    "downstream",
    "ui",
)


@dataclass(frozen=True)
class Component:
    """One of our programs: its command behind `payriver`, how many of it run, and what it may log in as (empty: nowhere).

    `signs`: the secret that opens its keys, and nobody else's; empty: it has none. `serves`: at an address of its own.
    `yields`: stands back where the processor is short; the listener does not, for it holds accounts' streams, a block's at once.
    """

    name: str
    command: tuple[str, ...] = ()
    write: str = ""
    read: str = ""
    keys: str = ""
    kafka: str = ""
    instances: int = 2
    signs: str = ""
    serves: bool = False
    yields: bool = True


COMPONENTS = (
    Component("listener", ("listen",), write="listener", yields=False),
    Component("commands", ("work", "commands"), write="commands", kafka="commands"),
    Component("sagas", ("work", "sagas"), write="sagas", kafka="sagas"),
    Component("projections", ("work", "projections"), write="projections", read="projections", kafka="projections"),
    Component("notifications", ("work", "notifications"), write="notifications", kafka="notifications"),
    Component("sender", ("work", "sender"), write="sender"),
    Component("submitter", ("submit",), write="submitter", kafka="submitter", signs="keystore"),
    Component("audit", ("audit", "run"), write="audit", read="audit", instances=1, signs="anchor"),
    Component("api", ("serve",), write="gateway", read="queries", keys="keeper", serves=True, yields=False),
)

# Commands that a person runs: they have an identity, and no process of their own.
PEOPLE = (
    Component("operator", write="operator", read="operator", keys="keeper", instances=0),
    Component("auditor", write="auditor", read="auditor", keys="auditor", kafka="ui", instances=0),
    Component("owner", write="owner", read="owner", keys="owner", kafka="admin", signs="keystore", instances=0),
    Component("cdc", write="cdc", kafka="connect", instances=0),
    Component("downstream", kafka="downstream", instances=0),
    Component("ui", kafka="ui", instances=0),
)

IDENTITIES = {identity.name: identity for identity in (*COMPONENTS, *PEOPLE)}


def secret_names() -> list[str]:
    """Every password of a stack."""
    return [
        *("write.postgres", "read.postgres", "connect.rest", "keystore", "anchor", "api"),
        *(f"write.{role}" for role in WRITE_ROLES),
        *(f"read.{role}" for role in READ_ROLES),
        *(f"kafka.{user}" for user in KAFKA_USERS),
    ]
