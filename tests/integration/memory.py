"""A memory that may be tampered with: events under two anchors on a real chain, and some after them; put back afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine

from connectors.anchoring.anchorer import Anchorer
from connectors.chain.node.rpc import Rpc
from connectors.chain.sending.signing import Signer
from connectors.chain.settings import ChainSettings
from connectors.verify.record.audit_log import AuditLog
from connectors.verify.report import Findings
from connectors.verify.snapshot import pair
from connectors.verify.walk import Context
from infra.database import engine, transaction
from infra.devchain.chain import DevChain
from infra.migrations.runner import migrate
from infra.stack import access
from infra.stack.supervisor import Stack
from streams.audit_log import log
from streams.audit_log.filler import Filler
from tests.integration.audit_side import MANY

FIRST, SECOND, TAIL = 300, 200, 20
EVERYWHERE = 2**62
"""A position beyond all; who owns the tables asks for no horizon."""


class Memory:
    """Events under two anchors, and some after them; a superuser for whom nothing is forbidden on either server."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        for server in ("write", "read"):
            migrate(self.role(server, "owner"), server)
        node = stack.node()
        assert node is not None
        self.chain = DevChain(stack.url("node"), node.node_modules)
        told = self.chain.deploy().chain_file([stack.url("node")], finality={"tag": "finalized"})
        self.settings = ChainSettings.model_validate(told)
        self.rpc = Rpc(self.settings.rpc_urls)
        self.filler = Filler(self.role("write", "audit"), self.role("read", "audit"))
        signer = Signer(self.chain.deployment.anchor_key)
        self.anchorer = Anchorer(self.filler.write, self.filler.read, self.rpc, self.settings, signer)
        for count in (FIRST, SECOND):
            self.add(count)
            self.filler.catch_up(10)
            self.anchor()
        self.add(TAIL)
        self.filler.catch_up(10)

    def role(self, server: str, name: str) -> Engine:
        return engine(access.database_url(self.stack.home, server, name))

    def add(self, count: int) -> None:
        with transaction(self.role("write", "owner")) as cursor:
            cursor.execute(MANY, (count,))

    def anchor(self) -> None:
        assert self.anchorer.begin()
        self.anchorer.carry()
        self.chain.mine(10)
        self.anchorer.carry()

    def audit(self, *, ask_node: bool = True) -> Findings:
        """The audit log's part of `payriver verify`."""
        findings = Findings()
        with pair(self.role("write", "auditor"), self.role("read", "auditor"), 0) as (write, read):
            node = self.rpc if ask_node else None
            codec: Any = None  # the log is of hashes: no message is read
            AuditLog(Context(write, read, codec, findings, self.settings, node, lambda *_: None)).check()
        return findings

    @contextmanager
    def superuser(self, server: str = "write") -> Iterator[Any]:
        with self.stack.postgres(server).superuser() as cursor:
            cursor.execute("SET session_replication_role = replica")
            yield cursor

    def rows(self, server: str, query: str) -> list[tuple[Any, ...]]:
        """What stands there, bytes as bytes."""
        with self.superuser(server) as cursor:
            cursor.execute(query)
            found = cursor.fetchall()
        return [tuple(bytes(each) if isinstance(each, memoryview) else each for each in row) for row in found]

    def rewrite_log(self) -> None:
        """Make the log's own tables anew from the events as they are now, as whoever owns them may."""
        with self.superuser() as cursor:
            cursor.execute("TRUNCATE audit_leaves, audit_nodes")
        with transaction(self.role("write", "owner")) as cursor:
            while log.append(cursor, EVERYWHERE, 1000):
                pass

    def rewrite_witness(self) -> None:
        with self.superuser() as cursor:
            cursor.execute("SELECT leaf_index, position, hash FROM audit_leaves")
            rows = cursor.fetchall()
        with self.superuser("read") as cursor:
            cursor.execute("TRUNCATE audit_witness")
            for row in rows:
                cursor.execute("INSERT INTO audit_witness VALUES (%s, %s, %s)", row)


@contextmanager
def kept(memory: Memory) -> Iterator[None]:
    """Everything is put back afterwards."""
    tables = {
        "write": ("events", "audit_leaves", "audit_nodes", "audit_anchors", "audit_transactions"),
        "read": ("audit_witness",),
    }
    for server, names in tables.items():
        with memory.superuser(server) as cursor:
            for name in names:
                cursor.execute(f"DROP TABLE IF EXISTS kept_{name}; CREATE TABLE kept_{name} AS TABLE {name}")
    try:
        yield
    finally:
        for server, names in tables.items():
            with memory.superuser(server) as cursor:
                for name in reversed(names):
                    cursor.execute(
                        f"DELETE FROM {name}; INSERT INTO {name} SELECT * FROM kept_{name}; DROP TABLE kept_{name}"
                    )
