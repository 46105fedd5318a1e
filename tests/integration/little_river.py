"""The river without Kafka, in one process: real databases, a real chain, the product's own parts, and a pump in Debezium's place.

For tests that need true data and not the transport: the pump hands outbox rows to each consumer as the fenced runs that a
worker would take. What goes over the real broker is tested elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Engine as Database

from connectors.anchoring.anchorer import Anchorer
from connectors.chain.accounts.discovery import Discovery
from connectors.chain.accounts.reading import AccountReader
from connectors.chain.accounts.registration import Registrar
from connectors.chain.accounts.request import Request
from connectors.chain.listening.booking import Booking
from connectors.chain.listening.listener import Listener
from connectors.chain.listening.reconcile import Reconciler
from connectors.chain.node.rpc import Rpc
from connectors.chain.sending.intents import IntentAgent
from connectors.chain.sending.keystore import Keyring
from connectors.chain.sending.signing import Signer
from connectors.chain.sending.submitter import Submitter
from connectors.chain.settings import ChainSettings
from connectors.gateway.gateway import Gateway
from connectors.gateway.requests import AuthorizationAnswer, AuthorizationRequest
from infra.database import engine, transaction
from infra.devchain.chain import DevChain
from infra.devchain.values import AccountInfo
from infra.migrations.runner import migrate
from infra.stack import access
from infra.stack.supervisor import Stack
from schemas.codec import Codec
from schemas.registry import load_codec, remember_all
from schemas.topics import SUBSCRIPTIONS
from streams.audit_log.filler import Filler
from streams.command_agent import CommandAgent
from streams.command_handler import CommandHandler
from streams.domain.circumstances import Policy
from streams.event_store import snapshots, store
from streams.event_store.states import state_at
from streams.notifications.agent import Notifier
from streams.persons.keys import KeyStore
from streams.persons.register import PersonRegister
from streams.projections.projector import Projector
from streams.runtime import checkpoint
from streams.runtime.consumer import Handler, process
from streams.runtime.records import Place, Record, Run
from streams.sagas.agent import SagaAgent
from streams.sagas.engine import Engine

PARTITIONS = 4
EUR = 10**18
HEADERS = (
    "id", "ce_specversion", "ce_id", "ce_type", "ce_source", "ce_subject", "ce_time", "traceparent", "causation_id",
    "correlation_id", "stream_version", "position", "actor", "command", "transaction_id",
)  # fmt: skip
COMMITTED = f"""
SELECT topic, key, payload, {", ".join(f"{name}::text" for name in HEADERS)} FROM outbox
ORDER BY xmin::text::bigint, position::bigint NULLS LAST, id
"""


class LittleRiver:
    """W, R, a chain with a settlement wallet and customers, and every component but the transport. `pump` until all is taken."""

    def __init__(
        self,
        stack: Stack,
        *,
        discovery: bool = False,
        twin: bool = False,
        finality: Mapping[str, object] = MappingProxyType({"tag": "finalized"}),
    ) -> None:
        self.stack = stack
        self._engines: dict[tuple[str, str], Database] = {}
        self._databases()
        node = stack.node()
        assert node is not None
        self.chain = DevChain(stack.url("node"), node.node_modules)
        self.deployment = self.chain.deploy(twin=twin)
        told = self.deployment.chain_file([stack.url("node")], finality=dict(finality), discovery=discovery)
        self.settings = ChainSettings.model_validate(told)
        self.rpc = Rpc(self.settings.rpc_urls)
        self.policy = Policy(blocked_mccs=frozenset({"7995"}))
        self._sent = 0
        self._offsets: dict[tuple[str, int], int] = {}
        self._provision()

    def as_role(self, server: str, role: str) -> Database:
        """A pool of this role's connections."""
        found = self._engines.get((server, role))
        if found is None:
            found = self._engines[server, role] = engine(access.database_url(self.stack.home, server, role))
        return found

    # -- what each component is, as its composition root builds it

    @cached_property
    def codec(self) -> Codec:
        with transaction(self.as_role("write", "commands")) as cursor:
            return load_codec(cursor)

    @cached_property
    def gateway(self) -> Gateway:
        return Gateway(self.as_role("write", "gateway"), self.codec, self.policy, 20_000)

    @cached_property
    def listener(self) -> Listener:
        reader = AccountReader(self.rpc, self.settings)
        return Listener(
            database=self.as_role("write", "listener"),
            rpc=self.rpc,
            chain=self.settings,
            booking=Booking(self.settings.chain_id, self._handler()),
            reconciler=Reconciler(self.as_role("write", "listener"), self.rpc, self.settings, reader),
            discovery=Discovery(self.as_role("write", "listener"), self.settings, self.registrar("listener")),
            name="test",
            poll_seconds=0.01,
        )

    @cached_property
    def submitter(self) -> Submitter:
        return Submitter(self.as_role("write", "submitter"), self.rpc, self.settings, self._handler(), self.keyring)

    @cached_property
    def sagas(self) -> Engine:
        return Engine(self.policy, "sagas", lambda cursor, orders: store.send(cursor, self.codec, orders))

    @cached_property
    def keyring(self) -> Keyring:
        at = self.deployment
        return Keyring(Signer(at.delegate_key), [Signer(at.relayer_key)], Signer(at.settlement_key))

    @cached_property
    def _handlers(self) -> Mapping[str, Handler]:
        """Consumer -> what it does with its topics."""
        delegate, settlement = self.keyring.delegate.address, self.keyring.settlement.address
        return {
            "commands": CommandAgent(self.codec, self._handler()),
            "sagas": SagaAgent(self.codec, self.sagas),
            "notifications": Notifier(self.codec),
            "submitter": IntentAgent(self.codec, self.settings, delegate, settlement),
            "projections": Projector(self.codec, self.as_role("write", "projections")),
        }

    def _handler(self) -> CommandHandler:
        return CommandHandler(self.codec, self.policy)

    # -- people

    def keys(self, role: str) -> Database:
        """A pool of this role's connections to the database of persons' keys."""
        return engine(access.database_url(self.stack.home, "read", role, access.KEYS))

    @cached_property
    def persons(self) -> PersonRegister:
        """The register, as an operator has it."""
        return PersonRegister(self.as_role("write", "operator"), KeyStore(self.keys("keeper")), self._handler())

    def register(self, account: AccountInfo | None, card: str | None = None, person: UUID | None = None) -> UUID:
        """A customer's Safe, or settlement's wallet, comes under watch."""
        registrar = self.registrar("operator")
        token = self.settings.tokens[0]
        if account is None:
            return registrar.register(Request(self.settings.settlement_address, token, "settlement"), "test")
        request = Request(
            account.safe,
            token,
            roles_module=account.roles,
            delay_module=account.delay,
            card_token=card,
            person_id=person,
        )
        return registrar.register(request, "test")

    def registrar(self, role: str) -> Registrar:
        """As the command line has it, or the listener."""
        reader = AccountReader(self.rpc, self.settings)
        return Registrar(self.as_role("write", role), self.rpc, self.settings, reader, self._handler())

    def authorize(self, key: str, card: str, cents: int, **told: Any) -> AuthorizationAnswer:
        """The network asks."""
        told = {"merchant_name": "Café Lumière", "merchant_country": "FR", "mcc": "5812", **told}
        return self.gateway.authorize(AuthorizationRequest(key, card, cents, "EUR", **told))

    def poison(self, topic: str = "payments.commands") -> UUID:
        """Broken bytes under a key of their own."""
        poison = uuid4()
        row = (poison, topic, str(uuid4()), "Broken", b"\x00\x00\x00\x00\x01broken", str(poison), "Broken", "test", "x")
        with transaction(self.as_role("write", "owner")) as cursor:
            cursor.execute(
                "INSERT INTO outbox (id, topic, key, type, payload, ce_id, ce_type, ce_source, ce_subject, ce_time)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, '2026-01-01T00:00:00.000000Z')",
                row,
            )
        return poison

    def keep_states(self) -> None:
        """A snapshot of every stream, short as they are, half-way through it."""
        with transaction(self.as_role("write", "operator")) as cursor:
            cursor.execute("SELECT stream_id, (version + 1) / 2 FROM streams")
            found = [state_at(cursor, stream_id, version) for stream_id, version in cursor.fetchall()]
            snapshots.save(cursor, [at.kept for at in found if at is not None])

    # -- letting it flow

    def flow(self, blocks: int = 0) -> None:
        """Mine, listen, pump and submit until nothing moves any more."""
        if blocks:
            self.chain.mine(blocks)
        moved = True
        while moved:
            moved = self.listener.step()
            moved = self.pump() or moved
            moved = self.submitter.step() or moved

    def pump(self) -> bool:
        """Hand what was committed since to every consumer of its topic; True if there was anything."""
        with transaction(self.as_role("write", "owner")) as cursor:
            cursor.execute(COMMITTED)
            rows = cursor.fetchall()[self._sent :]
        self._sent += len(rows)
        for row in rows:
            self._deliver(self._record(row))
        return bool(rows)

    def _record(self, row: Sequence[Any]) -> Record:
        topic, key, payload, *values = row
        partition = UUID(key).int % PARTITIONS
        offset = self._offsets.get((topic, partition), 0)
        self._offsets[topic, partition] = offset + 1
        headers = {name: str(value) for name, value in zip(HEADERS, values, strict=True) if value is not None}
        return Record(topic, partition, offset, key.encode(), bytes(payload), headers, 0)

    def _deliver(self, record: Record) -> None:
        run = Run(_place(record.topic, record.partition), record.offset, record.offset + 1, (record,))
        for each in SUBSCRIPTIONS:
            if record.topic in each.topics:
                role = self.as_role(each.server, each.component)
                assert process(role, each.component, self._handlers[each.component], run)

    # -- the audit log

    def anchor(self) -> None:
        """Take all events into the audit log, and state its root on the chain, finally."""
        roles = self.as_role("write", "audit"), self.as_role("read", "audit")
        Filler(*roles).catch_up(10)
        anchorer = Anchorer(*roles, self.rpc, self.settings, Signer(self.deployment.anchor_key))
        assert anchorer.begin()
        anchorer.carry()
        self.chain.mine(10)
        anchorer.carry()

    # -- the databases

    def _databases(self) -> None:
        for server in ("write", "read"):
            migrate(self.as_role(server, "owner"), server)
        migrate(self.keys("owner"), "keys")
        with transaction(self.as_role("write", "owner")) as cursor:
            remember_all(cursor)

    def _provision(self) -> None:
        for each in SUBSCRIPTIONS:
            places = [_place(topic, partition) for topic in each.topics for partition in range(PARTITIONS)]
            with transaction(self.as_role(each.server, "owner")) as cursor:
                partial(checkpoint.provision, cursor, each.component)(places)


def _place(topic: str, partition: int) -> Place:
    return Place("test", topic, topic, partition)
