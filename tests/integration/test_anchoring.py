"""Anchors on a real chain: stated once, whatever dies or is dropped; read by an auditor's checker from the node alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from connectors.anchoring import onchain, rows
from connectors.anchoring.anchorer import Anchorer
from connectors.anchoring.process import AuditProcess
from connectors.chain.node.rpc import Rpc
from connectors.chain.sending.signing import Signer
from connectors.recovery.anchors import bring_back_anchors, forgotten
from infra.audit import check
from infra.audit.check import Refused
from infra.database import transaction
from infra.devchain.chain import DevChain
from infra.errors import Retry
from infra.stack import access
from streams.audit_log.filler import Filler
from tests.chain_fixtures import running_devchain, settings_of
from tests.integration.audit_side import add, head_of
from tests.integration.conftest import Databases

NAMED = "SELECT nonce, tx_hash FROM audit_transactions WHERE sender = %s"


@dataclass
class Anchoring:
    """A log in real databases, and a development chain of its own to state it on."""

    databases: Databases
    chain: DevChain

    def __post_init__(self) -> None:
        self.settings, self.rpc = settings_of(self.chain), Rpc([self.chain.rpc_url])
        self.signer = Signer(self.chain.deployment.anchor_key)
        self.write, self.read = (self.databases.as_role(server, "audit") for server in ("write", "read"))
        self.filler = Filler(self.write, self.read)
        self.anchorer = Anchorer(self.write, self.read, self.rpc, self.settings, self.signer)

    def grow(self, count: int = 20) -> None:
        add(self.databases, count)
        self.filler.catch_up(10)

    def newest(self) -> rows.Anchor:
        found = self.anchorer.newest()
        assert found is not None
        return found

    def finish(self) -> rows.Anchor:
        """Until the newest is final."""
        self.chain.automine()
        for _ in range(5):
            self.anchorer.carry()
            self.chain.mine(10)
        assert self.newest().state == "final"
        return self.newest()

    def on_chain(self) -> onchain.OnChain:
        with transaction(self.write) as cursor:
            cursor.execute(NAMED, (self.signer.address,))
            named: dict[int, list[str]] = {}
            for nonce, tx_hash in cursor.fetchall():
                named.setdefault(nonce, []).append(tx_hash)
        return onchain.read(self.rpc, self.settings, named)

    def count(self) -> int:
        """Anchors of ours on chain, final or not."""
        return self.rpc.nonce(self.signer.address, "latest")


@pytest.fixture(scope="module")
def chain() -> Iterator[DevChain]:
    with running_devchain(slots_in_an_epoch=4) as made:
        yield made


@pytest.fixture
def anchoring(databases: Databases, chain: DevChain) -> Iterator[Anchoring]:
    made = Anchoring(databases, chain)
    made.grow()
    yield made
    made.finish()
    made.rpc.close()
    made.write.dispose()
    made.read.dispose()


def test_an_anchor_states_the_logs_head_and_an_auditor_reads_it_from_the_node(anchoring: Anchoring) -> None:
    assert anchoring.anchorer.begin()
    assert anchoring.newest().state == "signed"
    anchoring.anchorer.carry()
    made = anchoring.newest()
    assert made.tx_hash is not None
    asked = anchoring.chain.rpc_url, made.tx_hash, anchoring.signer.address
    with pytest.raises(Refused, match=r"not final yet|no successful transaction"):
        check.anchored(*asked)
    made = anchoring.finish()
    assert check.anchored(*asked) == made.head == head_of(anchoring.databases)
    with pytest.raises(Refused, match="and not by"):
        check.anchored(*asked[:2], anchoring.chain.deployment.relayer)
    with pytest.raises(Refused, match="knows no successful transaction"):
        check.anchored(asked[0], "0x" + "00" * 32, asked[2])


def test_one_anchor_is_on_its_way_at_a_time_and_none_is_made_of_what_has_one(anchoring: Anchoring) -> None:
    first = anchoring.anchorer.begin()
    anchoring.grow()
    assert first is not None and anchoring.anchorer.begin() is None
    anchoring.finish()
    second = anchoring.anchorer.begin()
    assert second is not None and (second.nonce, second.head.size) == (first.nonce + 1, first.head.size + 20)
    anchoring.finish()
    assert anchoring.anchorer.begin() is None


def test_an_anchor_that_a_reorg_drops_is_sent_again_and_becomes_final(anchoring: Anchoring) -> None:
    chain = anchoring.chain
    anchoring.anchorer.begin()
    anchoring.anchorer.carry()
    chain.mine(1)
    anchoring.anchorer.carry()
    before = anchoring.newest()
    assert before.state == "mined" and before.tx_hash is not None
    chain.stop_mining()
    chain.reorg(3)
    assert anchoring.rpc.receipt(before.tx_hash) is None
    anchoring.anchorer.carry()
    assert anchoring.newest().state == "broadcast"
    after = anchoring.finish()
    assert after.tx_hash == before.tx_hash and after.block_hash != before.block_hash
    assert anchoring.on_chain().stated[-1].head == after.head


def test_an_anchor_that_waits_for_a_fee_that_has_gone_is_replaced_at_its_nonce(anchoring: Anchoring) -> None:
    chain = anchoring.chain
    anchoring.anchorer.begin()
    first = anchoring.newest()
    chain.ask("anvil_setNextBlockBaseFeePerGas", hex(50 * 10**9))
    chain.mine(1)
    for _ in range(4):
        anchoring.anchorer.carry()
        with transaction(anchoring.databases.as_role("write", "owner")) as cursor:
            cursor.execute("UPDATE audit_transactions SET broadcast_at = broadcast_at - interval '1 minute'")
    last = anchoring.finish()
    assert last.tx_hash != first.tx_hash and (last.nonce, last.head) == (first.nonce, first.head)
    assert anchoring.count() == first.nonce + 1


def test_an_anchor_whose_nonce_was_used_without_it_is_lost_and_the_next_one_states_it(anchoring: Anchoring) -> None:
    """Somebody used the key beside us: said loudly, and made good."""
    chain, key = anchoring.chain, anchoring.chain.deployment.anchor_key
    anchoring.anchorer.begin()
    lost = anchoring.newest()
    chain.wait_receipts([chain.transfer(key, chain.deployment.relayer, 0)])
    chain.mine(10)
    anchoring.anchorer.carry()
    assert anchoring.newest().state == "lost"
    assert anchoring.anchorer.begin()
    made = anchoring.finish()
    assert (made.nonce, made.head) == (lost.nonce + 1, lost.head)
    found = {each.nonce: each for each in anchoring.on_chain().stated}
    assert found[lost.nonce].head is None and found[made.nonce].head == made.head


def test_anchors_that_no_row_names_are_found_by_the_senders_nonces(anchoring: Anchoring) -> None:
    anchoring.anchorer.begin()
    made = anchoring.finish()
    found = onchain.read(anchoring.rpc, anchoring.settings, {})
    last = found.stated[-1]
    assert (last.head, last.tx_hash, last.known) == (made.head, made.tx_hash, False)
    older = [each.nonce for each in found.stated[:-1]]
    assert sorted([*older, *found.unreadable]) == list(range(made.nonce))  # this node forgets the state of old blocks


ANCHOR = """
import sys
from pathlib import Path
from connectors.anchoring.anchorer import Anchorer
from connectors.chain.node.rpc import Rpc
from connectors.chain.settings import load_chain_settings
from connectors.chain.sending.signing import Signer
from connectors.recovery.anchors import bring_back_anchors, forgotten
from infra.database import engine
from infra.failpoints import arm
write, read, chain_file, key, place = sys.argv[1:]
chain = load_chain_settings(Path(chain_file))
arm(place)
anchorer = Anchorer(engine(write), engine(read), Rpc(chain.rpc_urls), chain, Signer(key))
anchorer.begin()
while True:
    anchorer.carry()
"""


POINTS = (
    "audit.before_anchor_commit",
    "audit.after_anchor_commit",
    "audit.after_anchor_broadcast",
    "audit.before_anchor_watched",
)


@pytest.mark.parametrize("place", POINTS)
def test_whoever_dies_anywhere_while_anchoring_states_it_once(anchoring: Anchoring, tmp_path: Path, place: str) -> None:
    before = anchoring.count()
    path = tmp_path / "chain.json"
    path.write_text(anchoring.settings.model_dump_json())
    urls = [access.database_url(anchoring.databases.stack.home, server, "audit") for server in ("write", "read")]
    key = anchoring.chain.deployment.anchor_key
    command = [sys.executable, "-c", ANCHOR, *urls, str(path), key, place]
    died = subprocess.run(command, check=False, env=dict(os.environ), timeout=60)
    assert died.returncode == -signal.SIGKILL
    anchoring.anchorer.begin()
    made = anchoring.finish()
    assert anchoring.count() == before + 1
    assert made.head == head_of(anchoring.databases)


def test_an_anchor_is_due_when_an_event_waits_too_long_or_too_many_do(anchoring: Anchoring) -> None:
    assert not anchoring.anchorer.due(3600, 1_000_000)
    assert anchoring.anchorer.due(3600, 5)
    assert anchoring.anchorer.due(0, 1_000_000)
    anchoring.anchorer.begin()
    anchoring.finish()
    assert not anchoring.anchorer.due(0, 5)


def test_the_process_fills_and_anchors_at_its_cadence(anchoring: Anchoring) -> None:
    process = AuditProcess(anchoring.filler, anchoring.anchorer, seconds=0, events=1_000_000)
    add(anchoring.databases, 30)
    assert process.step()
    made = anchoring.finish()
    assert made.head == head_of(anchoring.databases)


def test_roles_may_anchor_and_nothing_else(anchoring: Anchoring) -> None:
    """The role that anchors reads events, and of the chain's tables none."""
    engine: Engine = anchoring.write
    for statement in ("SELECT * FROM chain_intents", "SELECT * FROM outbox", "SELECT * FROM cards"):
        with pytest.raises(Exception, match="permission denied"), transaction(engine) as cursor:
            cursor.execute(statement)


ROWS = """
SELECT a.nonce, tree_size, root, data, tx_hash, signed, max_fee_wei, state, block_number, block_hash
FROM audit_anchors AS a INNER JOIN audit_transactions AS t USING (chain_id, sender, nonce) WHERE sender = %s ORDER BY 1, 5
"""


def test_anchors_that_a_restored_w_forgot_come_back_from_the_chain_once_they_are_final(anchoring: Anchoring) -> None:
    anchoring.anchorer.begin()
    anchoring.finish()
    anchoring.grow()
    anchoring.anchorer.begin()
    anchoring.chain.automine()
    anchoring.anchorer.carry()
    newest = anchoring.newest().nonce
    with anchoring.databases.stack.postgres("write").superuser() as cursor:
        cursor.execute("CREATE TABLE kept AS SELECT * FROM audit_transactions WHERE nonce = %s", (newest,))
        cursor.execute("CREATE TABLE anchors AS SELECT * FROM audit_anchors WHERE nonce = %s", (newest,))
        _forget(cursor, newest)
        with pytest.raises(Retry, match="that W does not know of is not final yet"):
            forgotten(cursor, anchoring.rpc, anchoring.settings)
        cursor.execute("INSERT INTO audit_anchors TABLE anchors; INSERT INTO audit_transactions TABLE kept")
        cursor.execute("DROP TABLE anchors; DROP TABLE kept")
    anchoring.finish()

    with anchoring.databases.stack.postgres("write").superuser() as cursor:
        cursor.execute(ROWS, (anchoring.signer.address,))
        before = cursor.fetchall()
        _forget(cursor, newest - 1)
        lost = forgotten(cursor, anchoring.rpc, anchoring.settings)
        assert [each.nonce for each in lost] == [newest - 1, newest]
        assert bring_back_anchors(cursor, anchoring.rpc, anchoring.settings, lost) == 2
        assert forgotten(cursor, anchoring.rpc, anchoring.settings) == []
        cursor.execute(ROWS, (anchoring.signer.address,))
        assert _plain(cursor.fetchall()) == _plain(before)


def _forget(cursor: Any, first_nonce: int) -> None:
    """W as it was before these anchors."""
    cursor.execute("DELETE FROM audit_transactions WHERE nonce >= %s", (first_nonce,))
    cursor.execute("DELETE FROM audit_anchors WHERE nonce >= %s", (first_nonce,))


def _plain(found: list[tuple[Any, ...]]) -> list[list[Any]]:
    return [[bytes(each) if isinstance(each, memoryview) else each for each in row] for row in found]
