"""`payriver provision`: brings servers that answer to the shape the river needs, in the one order in which nothing is lost.

migrate -> topics, users, permissions -> checkpoints -> schemas -> slot -> connector. Each step may be done again at any time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from confluent_kafka.admin import AdminClient
from pydantic import SecretStr
from sqlalchemy import Engine
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from connectors.debezium import register
from connectors.kafka import provision
from connectors.recovery.agreement import check_topics
from infra.database import engine, transaction
from infra.errors import Misconfigured, Unreachable
from infra.migrations.runner import migrate
from infra.settings import ProvisionSettings
from infra.stack import access
from infra.stack.home import Home
from infra.stack.supervisor import Stack
from schemas.registry import register as register_schemas
from schemas.restore import restore as restore_registry
from streams import set_aside
from streams.event_store.slices import open_slices
from streams.runtime.positions import client_config


@dataclass(frozen=True)
class Doors:
    """How provisioning logs in everywhere: as the tables' owner, Kafka's administrator, and the role that owns the slot.

    `database` is where Connect finds W, if that is another address than ours. `restore`: a registry that is empty while W knows ids
    was lost, and gets them again.
    """

    write_url: str = field(repr=False)
    read_url: str = field(repr=False)
    cdc_url: str = field(repr=False)
    keys_url: str = field(repr=False)
    kafka: dict[str, str] = field(repr=False)
    registry_url: str
    connect_url: str = field(repr=False)
    partitions: int
    users: dict[str, str] = field(default_factory=dict, repr=False)
    database: tuple[str, int] | None = None
    restore: bool = False

    @classmethod
    def of(cls, stack: Stack) -> Doors:
        """Those of an embedded stack."""
        return cls.of_home(stack.home, stack.partitions)

    @classmethod
    def of_home(cls, home: Home, partitions: int) -> Doors:
        """Those of the stack that runs in this home. Its users stand since Kafka was formatted."""
        return cls(
            write_url=access.database_url(home, "write", "owner"),
            read_url=access.database_url(home, "read", "owner"),
            cdc_url=access.database_url(home, "write", "cdc"),
            keys_url=access.database_url(home, "read", "owner", access.KEYS),
            kafka=access.kafka_client(home, "admin"),
            registry_url=access.url(home, "registry"),
            connect_url=access.connect_url(home),
            partitions=partitions,
        )

    @classmethod
    def of_settings(cls, told: ProvisionSettings, folder: Path) -> Doors:
        """Those that the environment names: servers of containers, or of one's own. Raises Misconfigured for what is missing.

        `folder`: where no river runs.
        """
        needed = ("write_url", "read_url", "keys_url", "cdc_url", "kafka_bootstrap", "registry_url", "connect_url")
        missing = [f"PAYRIVER_{name.upper()}" for name in needed if not _plain(getattr(told, name))]
        if missing:
            raise Misconfigured(
                f"no river runs in {folder}, and {', '.join(missing)} are not set: start one with `payriver up`, name another's folder"
                " with --home or PAYRIVER_HOME, or set them"
            )
        return cls(
            write_url=_plain(told.write_url),
            read_url=_plain(told.read_url),
            cdc_url=_plain(told.cdc_url),
            keys_url=_plain(told.keys_url),
            kafka={name: str(value) for name, value in client_config(told).items()},
            registry_url=told.registry_url,
            connect_url=told.connect_url,
            partitions=told.topic_partitions,
            users={name: _plain(password) for name, password in told.kafka_users.items()},
            database=(told.cdc_host, told.cdc_port) if told.cdc_host else None,
        )


def migrate_both(doors: Doors) -> list[str]:
    """The tables of both servers, and of the database of keys; gives the steps that were new."""
    applied: list[str] = []
    for server, url in (("write", doors.write_url), ("read", doors.read_url), ("keys", doors.keys_url)):
        owner = _engine(url)
        applied += [f"{server}/{name}" for name in migrate(owner, server)]  # type: ignore[arg-type]
        if server == "write" and (opened := open_slices(owner)):
            applied.append(f"{opened} slices opened")
        owner.dispose()
    return applied


def shape_broker(doors: Doors) -> dict[str, object]:
    """Topics, users and permissions."""
    admin = AdminClient({**doors.kafka, "log_level": 2})
    made = provision.topics(admin, doors.partitions)
    users = provision.users(admin, doors.users) if doors.users else []
    given, taken = provision.permissions(admin)
    return {"topics made": made, "users made": users, "permissions given": given, "permissions taken away": taken}


def teach_vocabulary(doors: Doors) -> int:
    """The schemas of all messages; gives how many there are."""
    write = _engine(doors.write_url)
    try:
        with transaction(write) as cursor:
            if doors.restore:
                restore_registry(cursor, doors.registry_url)
            return register_schemas(cursor, doors.registry_url)
    finally:
        write.dispose()


@retry(retry=retry_if_exception_type(Unreachable), stop=stop_after_delay(20), wait=wait_fixed(0.2), reraise=True)
def place_consumers(doors: Doors) -> dict[str, object]:
    """Checkpoints, where W, the topics and those of before agree; and what R is to leave out. Topics that were made just now want a moment.

    Raises BehindTopics, LostRecords.
    """
    write, read = _engine(doors.write_url), _engine(doors.read_url)
    admin = AdminClient({**doors.kafka, "log_level": 2})
    try:
        check_topics(write, doors.kafka, "payriver-provision")
        with transaction(write) as on_write, transaction(read) as on_read:
            set_aside.tell(on_write, on_read)
            return {"checkpoints": provision.checkpoints(admin, on_write, on_read)}
    finally:
        write.dispose()
        read.dispose()


def let_it_flow(doors: Doors) -> dict[str, object]:
    """Slot, connector."""
    write = _engine(doors.write_url)
    try:
        slot = register.create_slot(doors.cdc_url, events_stored=_events_stored(write))
        register.register(doors.connect_url, doors.cdc_url, database=doors.database)
    finally:
        write.dispose()
    return {"slot made": slot, "connector": "running"}


def prepare_servers(doors: Doors) -> dict[str, object]:
    """All that stands before Kafka Connect starts: what it needs, and what must be known before it writes to a topic."""
    shaped = {"migrations": migrate_both(doors), **shape_broker(doors)}
    return {**shaped, **place_consumers(doors), "schemas": teach_vocabulary(doors)}


PARTS: dict[str, Callable[[Doors], dict[str, object]]] = {"before-connect": prepare_servers, "connect": let_it_flow}
"""The parts of provisioning, in order: servers that are started one after the other need the first before Connect."""


def provision_all(doors: Doors) -> dict[str, object]:
    """Everything, against servers that run already."""
    return {what: result for part in PARTS.values() for what, result in part(doors).items()}


@dataclass(frozen=True)
class River:
    """The steps as the embedded stack asks for them while its servers come up. `last`: what the demo adds, such as its contracts."""

    last: Callable[[Stack], None] = lambda _stack: None
    restore: bool = False

    def databases(self, stack: Stack) -> None:
        """Tables."""
        migrate_both(Doors.of(stack))

    def broker(self, stack: Stack) -> None:
        """Topics and permissions."""
        shape_broker(Doors.of(stack))

    def consumers(self, stack: Stack) -> None:
        """Checkpoints."""
        place_consumers(Doors.of(stack))

    def vocabulary(self, stack: Stack) -> None:
        """Schemas."""
        teach_vocabulary(replace(Doors.of(stack), restore=self.restore))

    def river(self, stack: Stack) -> None:
        """All the rest."""
        let_it_flow(Doors.of(stack))
        self.last(stack)


def _plain(value: SecretStr | str) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _engine(url: str) -> Engine:
    return engine(url, pool_size=1, application_name="payriver provision")


def _events_stored(write: Engine) -> bool:
    with transaction(write) as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM events)")
        row = cursor.fetchone()
    return bool(row and row[0])
