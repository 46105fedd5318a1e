"""The one place that reads the environment: every setting of every process, with its unit and its default.

A process is given only what it needs: its own database role, its own Kafka user. Secrets are `SecretStr`, so that they print as stars.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, SettingsError

from infra.drawn import table
from infra.errors import Misconfigured

Held = Annotated[
    tuple[SecretStr, ...],
    BeforeValidator(lambda told: told if isinstance(told, list | tuple) else (told,)),
    Field(min_length=1),
]
"""A name's keys: one, or several while one takes another's place."""

MOST_SECONDS = 10 * 366 * 24 * 3600
"""Ten years: a time so long from now is one that every clock can show."""


class _Told(BaseSettings):
    """What the environment says. Raises Misconfigured, which names the variable; a secret is never repeated."""

    model_config = SettingsConfigDict(env_prefix="PAYRIVER_", extra="ignore")

    def __init__(self, **told: Any) -> None:
        try:
            super().__init__(**told)
        except ValidationError as error:
            raise Misconfigured("; ".join(self._wrong(each) for each in error.errors())) from None
        except SettingsError as error:
            name = str(error).split('"')[1]
            raise Misconfigured(
                f'{_variable(name)} is no JSON; write several values as ["one"], or {{"name": "one"}}'
            ) from None

    @classmethod
    def _wrong(cls, found: ErrorDetails) -> str:
        name, message = str(found["loc"][0]), str(found["msg"])
        secret = "Secret" in str(cls.model_fields[name].annotation)
        said = "" if secret else f" is {found['input']!r}"
        return f"{_variable(name)}{said}: {message[:1].lower()}{message[1:]}"


def _variable(name: str) -> str:
    return f"PAYRIVER_{name.upper()}"


class Settings(_Told):
    """What a process is told. Environment variables carry the prefix `PAYRIVER_`: `PAYRIVER_WRITE_URL` and so on."""

    component: str = Field("payriver", description="Which process this is: listener, commands, sagas, ...")
    worker: str = Field("1", description="Which instance of the component this is.")
    home: Path | None = Field(None, description="The embedded stack's folder.")
    log_format: Literal["json", "console"] = Field("json", description="How the log is written.")
    log_level: Annotated[Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(str.lower)] = Field(
        "info", description="The least that is logged."
    )

    write_url: SecretStr = Field(
        SecretStr(""),
        description="PostgreSQL W: events, outbox, sagas (postgresql://role:password@host:port/payriver).",
    )
    read_url: SecretStr = Field(SecretStr(""), description="PostgreSQL R: read models.")
    keys_url: SecretStr = Field(
        SecretStr(""), description="The database of persons' keys, on R and apart from the read models."
    )
    kafka_bootstrap: str = Field("", description="host:port of a broker.")
    kafka_user: str = Field("", description="SCRAM user; also the consumer group.")
    kafka_password: SecretStr = Field(SecretStr(""), description="Its password.")
    topic_partitions: int = Field(12, ge=1, description="Partitions of each business topic; fixed once provisioned.")
    registry_url: str = Field("", description="Confluent-compatible schema registry, with its path.")
    connect_url: str = Field("", description="Kafka Connect's REST address.")
    run_records: int = Field(
        500, ge=1, description="Records of one partition that a consumer takes in one transaction."
    )
    stall_seconds: int = Field(
        60,
        ge=1,
        le=MOST_SECONDS,
        description="A worker whose checkpoint stands still this long beside waiting records exits.",
    )

    chain_file: Path | None = Field(None, description="JSON that names node, tokens, settlement, spender, finality.")
    keystore: Path | None = Field(
        None,
        description="Folder of encrypted keys: settlement.json, delegate.json, relayer.json; anchor.json, exports.pem.",
    )
    keystore_password: SecretStr = Field(SecretStr(""), description="Opens this process's own keys.")
    anchor_password: SecretStr = Field(
        SecretStr(""), description="Opens anchor.json and exports.pem, for whoever writes them or starts a stack."
    )
    anchor_seconds: int = Field(
        3600,
        ge=1,
        le=MOST_SECONDS,
        description="No event waits longer for the audit log's next anchor; after twice as long the alarm comes.",
    )
    anchor_events: int = Field(100_000, ge=1, description="Nor do more events than these.")
    poll_seconds: float = Field(0.1, gt=0, le=3600, description="How often the listener asks the node for a new head.")

    authorization_deadline_ms: int = Field(
        1700, gt=0, le=60_000, description="The network's limit of 2,000 ms less our margin."
    )
    chain_stale_seconds: int = Field(
        60, gt=0, le=MOST_SECONDS, description="No approval on a chain view older than this."
    )
    read_late_seconds: int = Field(
        30,
        gt=0,
        le=MOST_SECONDS,
        description="A read side that is further behind is late: the page and the alarm say so.",
    )
    hold_expiry_seconds: int = Field(
        7 * 24 * 3600,
        gt=0,
        le=MOST_SECONDS,
        description="An authorized payment that nobody captures expires after this.",
    )
    saga_patience_seconds: int = Field(
        3600, gt=0, le=MOST_SECONDS, description="A saga that waits longer than this for an outside step is parked."
    )
    blocked_mccs: tuple[str, ...] = Field(
        ("7995",), description="Merchant category codes (ISO 18245) that screening refuses."
    )
    blocked_countries: tuple[str, ...] = Field(
        ("KP",), description="Merchant countries (ISO 3166-1 alpha-2) that screening refuses."
    )

    api_host: str = Field("127.0.0.1", description="Where the API listens.")
    api_port: int = Field(8080, ge=0, le=65_535, description="And at which port.")
    api_keys: dict[str, Held] = Field(
        default_factory=dict,
        description="Who may call: name to key, JSON. A name is a role (reader, network, operator, privacy, admin), or begins with one: "
        "`network/visa-eu`. While a key is changed, a list of both; the name stays, for its idempotency keys are its own.",
    )
    webhook_allowed_hosts: tuple[str, ...] = Field(
        (), description="Private hosts that webhooks may be sent to, by http too."
    )
    webhook_timeout_seconds: int = Field(15, gt=0, le=3600, description="For the whole exchange with an endpoint.")

    failpoint: str = Field(
        "", description="Tests only: NAME or NAME:n, the process dies at the n-th pass of that point."
    )


RULES = frozenset({
    "log_format", "log_level", "run_records", "stall_seconds", "anchor_seconds", "anchor_events", "poll_seconds",
    "authorization_deadline_ms", "chain_stale_seconds", "read_late_seconds", "hold_expiry_seconds", "saga_patience_seconds",
    "blocked_mccs", "blocked_countries", "webhook_allowed_hosts", "webhook_timeout_seconds",
})  # fmt: skip
"""What says how the river runs, and not who or where a process is: the same for all, and no secret."""


def rules(settings: Settings) -> dict[str, str]:
    """The rules that were told, and not left as they come, as the variables of another process."""
    told = settings.model_dump(mode="json", include=set(RULES & settings.model_fields_set))
    return {_variable(name): value if isinstance(value, str) else json.dumps(value) for name, value in told.items()}


def settings_from(told: Mapping[str, str]) -> Settings:
    """The settings of another identity, from the variables that its process would be given."""

    source = EnvSettingsSource(Settings)
    source.env_vars = {name.lower(): value for name, value in told.items()}
    return Settings.model_validate(source())


class MachineSettings(_Told):
    """What the embedded stack is told about this machine: `PAYRIVER_HOME`, `PAYRIVER_CACHE` and so on."""

    home: Path | None = Field(None, description="Where `payriver up` keeps its data.")
    cache: Path | None = Field(None, description="Where downloaded servers rest between runs.")
    maven_mirror: str = Field(
        "", description="A Maven repository to fetch the servers from, in place of the public one."
    )
    offline: bool = Field(False, description="Fetch nothing: what is not in the cache is an error.")


class ProvisionSettings(Settings):
    """What `payriver provision` is told beside its own logins (owner of both databases, Kafka's administrator)."""

    cdc_url: SecretStr = Field(SecretStr(""), description="PostgreSQL W as role cdc, which makes and reads the slot.")
    cdc_host: str = Field("", description="W's host as Kafka Connect sees it, where that is another than in cdc_url.")
    cdc_port: int = Field(5432, description="W's port as Kafka Connect sees it; used with cdc_host.")
    kafka_users: dict[str, SecretStr] = Field(
        default_factory=dict, description="Users that get a SCRAM login if they have none: name to password, JSON."
    )


def drawn() -> str:
    """The table of infra/README.md: every variable of every process."""
    found: dict[str, FieldInfo] = {}
    for each in (Settings, MachineSettings, ProvisionSettings):
        found |= {name: field for name, field in each.model_fields.items() if name not in found}
    rows = [
        (f"`{_variable(name)}`", field.description or "", _shown(field), "rule" if name in RULES else "")
        for name, field in found.items()
    ]
    return table(("variable", "what it says", "as it comes", ""), rows)


def _shown(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is None or isinstance(value, SecretStr) or value in ("", (), {}):
        return ""
    return f"`{json.dumps(value)}`" if isinstance(value, tuple) else f"`{value}`"
