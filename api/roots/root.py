"""What every process's composition root begins with: settings, logging, failpoints, its databases, the codec, the policy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Self

from sqlalchemy import Engine

from connectors.gateway.gateway import Gateway
from infra.database import FROZEN_SECONDS, engine, transaction
from infra.errors import Misconfigured
from infra.failpoints import arm
from infra.settings import MachineSettings, Settings, rules, settings_from
from infra.stack.access import settings_for
from infra.stack.cache import data_folder
from infra.stack.home import Home, read_state
from infra.stack.report import is_running
from infra.stack.roles import PEOPLE
from infra.telemetry import configure_logging
from schemas.codec import Codec
from schemas.registry import load_codec
from streams.command_handler import CommandHandler
from streams.domain.circumstances import Policy
from streams.event_store.snapshotter import Snapshotter
from streams.persons.keys import KeyStore
from streams.persons.register import PersonRegister

BY_HAND = frozenset(each.name for each in PEOPLE)
GATEWAY_CONNECTIONS = 10
"""And as many more while they are needed: for who leads, for the few who wait for a rival's row, and for who goes alone, of each kind of work."""


@dataclass(frozen=True)
class Root:
    """One process: everything is built here once and passed in; nothing else reads the environment."""

    settings: Settings

    @classmethod
    def begin(cls, component: str, home: Path | None = None) -> Self:
        """Read the settings, set up logging, arm the failpoint that a test may have named.

        Who is told no databases takes those of the embedded stack that runs in its home. Raises Misconfigured where none does.
        """
        settings = Settings().model_copy(update={"component": component})
        if not settings.write_url.get_secret_value():
            settings = of_embedded_stack(component, home)
        configure_logging(settings)
        arm(settings.failpoint)
        return cls(settings)

    @cached_property
    def write(self) -> Engine:
        """W, as this component's role."""
        return self._engine("write")

    @cached_property
    def read(self) -> Engine:
        """R, as this component's role."""
        return self._engine("read")

    @cached_property
    def keys(self) -> Engine:
        """The database of persons' keys, as this component's role there."""
        return self._engine("keys")

    @cached_property
    def persons(self) -> PersonRegister:
        """The register of persons."""
        return PersonRegister(self.write, KeyStore(self.keys), self.handler)

    @cached_property
    def codec(self) -> Codec:
        """The vocabulary with the registry's ids, from W's copy."""
        with transaction(self.write) as cursor:
            return load_codec(cursor)

    @cached_property
    def policy(self) -> Policy:
        """The programme's rules."""
        settings = self.settings
        return Policy(
            chain_stale_seconds=settings.chain_stale_seconds,
            hold_expiry=timedelta(seconds=settings.hold_expiry_seconds),
            patience=timedelta(seconds=settings.saga_patience_seconds),
            blocked_mccs=frozenset(settings.blocked_mccs),
            blocked_countries=frozenset(settings.blocked_countries),
        )

    @cached_property
    def handler(self) -> CommandHandler:
        """The command handler, with its cache; what it folds of long streams is kept in its own time."""
        return CommandHandler(self.codec, self.policy, snapshotter=Snapshotter(self.write))

    @cached_property
    def gateway(self) -> Gateway:
        """The card network's door. Its connections are its own: whoever asks W a question takes none of them."""
        return Gateway(
            self._engine("write", GATEWAY_CONNECTIONS), self.codec, self.policy, self.settings.authorization_deadline_ms
        )

    def _engine(self, server: str, pool_size: int = 5) -> Engine:
        url = getattr(self.settings, f"{server}_url")
        if not url.get_secret_value():
            raise Misconfigured(
                f"PAYRIVER_{server.upper()}_URL is empty; {self.settings.component} needs it: postgresql://role:password@host:port/payriver"
            )
        name = f"payriver {self.settings.component} {self.settings.worker}"
        reads_long = self.settings.component == "auditor"  # and locks nothing
        frozen_seconds = 0 if reads_long else FROZEN_SECONDS
        seldom = server == "keys" or self.settings.component in BY_HAND
        return engine(url, pool_size=pool_size, application_name=name, frozen_seconds=frozen_seconds, seldom=seldom)


def of_embedded_stack(component: str, home: Path | None) -> Settings:
    """What this component is told by the stack that runs in the home. Raises Misconfigured where none runs."""
    folder = home or MachineSettings().home or data_folder()
    if not is_running(folder):
        raise Misconfigured(
            f"no river runs in {folder}: start one with `payriver up`, name another's folder with --home or PAYRIVER_HOME,"
            " or say where your servers are (PAYRIVER_WRITE_URL and the others of infra/README.md)"
        )
    found = Home(folder)
    found.load()
    told = settings_for(found, component, chain=str(read_state(folder).get("chain_file", "")))
    return settings_from(told | rules(Settings()))
