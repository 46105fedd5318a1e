"""`verify`: the whole audit, in one snapshot of each server and one look at the chain. Exit 0 hangs on it, and so does the demo."""

from __future__ import annotations

import time

from psycopg2.errors import InsufficientPrivilege
from sqlalchemy import Engine

from connectors.chain.client import rpc_of
from connectors.chain.settings import ChainSettings
from connectors.verify.delivery import consumers
from connectors.verify.delivery.deliveries import Deliveries
from connectors.verify.delivery.outbox import Outbox
from connectors.verify.delivery.webhooks import Webhooks
from connectors.verify.money import blocks
from connectors.verify.money.balances import Balances
from connectors.verify.money.holds import Holds
from connectors.verify.money.intents import Intents, Transactions
from connectors.verify.money.ledger import Ledger
from connectors.verify.money.payments import Payments
from connectors.verify.money.sagas import Sagas
from connectors.verify.money.wallets import Wallets
from connectors.verify.record import catalogue, vocabulary
from connectors.verify.record.answers import Answers
from connectors.verify.record.audit_log import AuditLog
from connectors.verify.record.kept_states import KeptStates
from connectors.verify.record.persons import Persons
from connectors.verify.record.streams import Streams
from connectors.verify.report import Findings, Verification
from connectors.verify.snapshot import pair
from connectors.verify.walk import Context, Progress, Subject, walk
from infra.migrations.runner import Server


def verify(
    write: Engine,
    read: Engine,
    chain: ChainSettings | None,
    *,
    ask_node: bool = True,
    patience: float = 5.0,
    progress: Progress | None = None,
    keys: Engine | None = None,
) -> Verification:
    """Everything stored, held against everything else; as role auditor, by SELECT alone.

    `patience`: seconds to look for a moment when nothing is on its way. `chain` None: calls of intents are not made again, and
    the node is not asked; the result says so (`skipped`).
    `keys`: the database of persons' keys as role auditor; None: it is not looked at.
    What the databases are made of is held against the migrations first. Where rows may be hidden from the auditor, or the tables are others,
    the rest is not audited: the result says so, and is not ok.
    Raises Unreachable when the node does not answer.
    """
    began, findings = time.monotonic(), Findings()
    databases: dict[Server, Engine] = {"write": write, "read": read}
    if keys is not None:
        databases["keys"] = keys
    if not catalogue.check(findings, databases):
        findings.skipped.append(catalogue.UNREAD)
        return findings.result(time.monotonic() - began)
    node = rpc_of(chain) if chain is not None and ask_node else None
    try:
        with pair(write, read, patience) as (of_write, of_read):
            codec = vocabulary.load(of_write, findings)
            context = Context(of_write, of_read, codec, findings, chain, node, progress or _silent)
            _audit(context, keys)
    except InsufficientPrivilege as error:
        said = str(error).strip().splitlines()[0]
        findings.differ(
            "every table", "role auditor", said, "it reads all rows", "rows are hidden from the audit: it ends here"
        )
    finally:
        if node is not None:
            node.close()
    return findings.result(time.monotonic() - began)


def _audit(context: Context, keys: Engine | None) -> None:
    audit_log = AuditLog(context)  # asks the chain now, while the snapshot is fresh
    balances = Balances(context)  # before those that ask for its tallies
    intents = Intents(context, balances)
    walk(context, [*_subjects(context, balances), Persons(context, keys), intents])
    Answers(context).check()
    Transactions(context, intents).check()
    consumers.check(context)
    blocks.check(context, balances)
    audit_log.check()
    if context.chain is None:
        context.findings.skipped.append("calls of intents: no chain file")


def _subjects(context: Context, balances: Balances) -> list[Subject]:
    return [
        Streams(context),
        Outbox(context),
        Deliveries(context),
        Payments(context),
        balances,
        Ledger(context),
        Holds(context, balances),
        Sagas(context),
        Wallets(context, balances),
        Webhooks(context),
        KeptStates(context),
    ]


def _silent(what: str, done: int, total: int) -> None:
    """Nobody watches."""
