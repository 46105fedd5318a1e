"""W put back to an earlier point, and what brings it in step again: what the tests of recovery stand on."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from api.roots.provisioning import Doors
from connectors.chain.node.rpc import Rpc
from connectors.chain.settings import ChainSettings
from connectors.gateway.requests import AuthorizationRequest
from connectors.recovery.chain import Chain
from connectors.recovery.mend import Mended, Recovery
from infra.database import engine, transaction
from infra.stack import access
from infra.stack.supervisor import Stack
from schemas.registry import load_codec
from streams.audit_log import log, merkle
from streams.audit_log.filler import Filler
from tests.chain_fixtures import silent_chain
from tests.integration.conftest import Databases
from tests.integration.outbox import header, read_records
from tests.integration.programme import Programme

TOPICS = ("payments.events", "accounts.events", "persons.events")
EVENTS = """
SELECT position, event_id, stream_id, version, category, type, schema_version, payload::text, metadata::text, recorded_at, hash,
       transaction_id::text
FROM events ORDER BY position
"""


def rows(stack: Stack, query: str) -> list[Any]:
    with stack.postgres("write").superuser() as cursor:
        cursor.execute(query)
        return [
            tuple(bytes(each) if isinstance(each, memoryview) else each for each in row) for row in cursor.fetchall()
        ]


def recovery(stack: Stack) -> Recovery:
    doors = Doors.of(stack)
    write, read = (
        engine(url, pool_size=1, application_name="payriver recover") for url in (doors.write_url, doors.read_url)
    )
    with transaction(write) as cursor:
        codec = load_codec(cursor)
    nobody: Any = None  # nothing was ever submitted here
    chain = Chain(ChainSettings.model_validate(silent_chain()), Rpc((stack.url("node"),)), nobody, frozenset(), {})
    return Recovery(write, read, doors.cdc_url, doors.kafka, doors.connect_url, codec, chain=chain)


def logged(stack: Stack) -> tuple[int, bytes]:
    """Size and root of the audit log, once it and its witness have taken all."""
    write, read = (engine(access.database_url(stack.home, server, "audit")) for server in ("write", "read"))
    filler = Filler(write, read)
    try:
        size = filler.catch_up(30).size
        with transaction(filler.write) as cursor:
            return size, merkle.root(size, log.Hashes(cursor))
    finally:
        filler.write.dispose()
        filler.read.dispose()


def mend(stack: Stack, **options: bool) -> Mended:
    return recovery(stack).mend(lambda *_: None, **options)


def live(stack: Stack) -> Programme:
    """A customer who pays: registered, authorized, captured, declined; each by the product's own handler."""
    programme = Programme(Databases(stack))
    for number in range(3):
        asked = ask(programme, number)
        programme.gateway.authorize(asked)
    programme.deposit(10**18)
    _let_go(programme)
    return programme


def ask(programme: Programme, number: int) -> AuthorizationRequest:
    return AuthorizationRequest(f"{programme.name}-{number}", programme.card, 100 + number, "EUR", deadline_ms=20_000)


def _let_go(programme: Programme) -> None:
    """Its connections, as a process that ended has none."""
    for each in (programme.owner, programme.gateway.database):
        each.dispose()


def delivered(stack: Stack, count: int) -> Counter[str]:
    """How often each event stands on the topics, once there are that many."""
    found = read_records(stack, TOPICS, lambda records: len(records) >= count)
    return Counter(str(header(record, "ce_id")) for record in found)


class Copied:
    """W's data folder, as a backup keeps it."""

    def __init__(self, stack: Stack, place: Path) -> None:
        self.stack, self.folder, self.copy = stack, stack.home.path("write"), place / "write"

    def take(self) -> None:
        self.stack.stop_process("write")
        shutil.rmtree(self.copy, ignore_errors=True)
        subprocess.run(["cp", "-a", str(self.folder), str(self.copy)], check=True)
        self.stack.start_process("write")

    def put_back(self) -> None:
        self.stack.stop_process("write")
        shutil.rmtree(self.folder)
        subprocess.run(["cp", "-a", str(self.copy), str(self.folder)], check=True)
        self.stack.start_process("write")


@pytest.fixture
def copied(stack: Stack, tmp_path: Path) -> Copied:
    return Copied(stack, tmp_path)
