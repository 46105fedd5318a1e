"""What an anchor offers to be mined: never more than the chain file says, and more where nobody takes it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.anchoring.anchorer import Anchorer
from connectors.chain.sending.signing import Signer
from infra.database import transaction
from infra.devchain.chain import DevChain
from tests.chain_fixtures import running_devchain
from tests.integration.conftest import Databases
from tests.integration.test_anchoring import Anchoring

OFFERED = """
SELECT max_fee_wei::text FROM audit_transactions AS t WHERE sender = %s
AND nonce = (SELECT max(nonce) FROM audit_anchors AS a WHERE a.sender = t.sender) ORDER BY signed_at
"""


@pytest.fixture(scope="module")
def chain() -> Iterator[DevChain]:
    with running_devchain(slots_in_an_epoch=4) as made:
        yield made


@pytest.fixture
def anchoring(databases: Databases, chain: DevChain) -> Iterator[Anchoring]:
    """With a key of its own: what others have anchored in these databases is no matter of this chain."""
    made = Anchoring(databases, chain)
    made.signer = Signer(chain.deployment.outsider_key)
    made.anchorer = Anchorer(made.write, made.read, made.rpc, made.settings, made.signer)
    made.grow()
    yield made
    made.finish()
    made.rpc.close()


def later(at: Anchoring, minutes: int = 1) -> None:
    """So long after it was signed and broadcast."""
    with transaction(at.databases.as_role("write", "owner")) as cursor:
        for column in ("signed_at", "broadcast_at"):
            cursor.execute(f"UPDATE audit_transactions SET {column} = {column} - %s * interval '1 minute'", (minutes,))
    at.anchorer.carry()


def offered(at: Anchoring) -> list[int]:
    with transaction(at.write) as cursor:
        cursor.execute(OFFERED, (at.signer.address,))
        return [int(wei) for (wei,) in cursor.fetchall()]


def test_an_anchor_offers_no_more_than_the_chain_file_says_however_dear_it_is(anchoring: Anchoring) -> None:
    """Dearer, it waits; and goes on when that is over."""
    chain, most = anchoring.chain, anchoring.settings.max_fee_wei
    chain.stop_mining()
    anchoring.anchorer.begin()
    anchoring.anchorer.carry()
    chain.ask("anvil_setNextBlockBaseFeePerGas", hex(3 * most))
    chain.mine(1)
    for _ in range(4):
        later(anchoring)
    assert max(offered(anchoring)) <= most
    chain.ask("anvil_setNextBlockBaseFeePerGas", hex(10**9))
    chain.mine(1)
    assert anchoring.finish().state == "final"


def test_an_anchor_that_nobody_mines_offers_more(anchoring: Anchoring) -> None:
    """Its fee was enough, and its tip worth nothing to whoever mines."""
    anchoring.chain.stop_mining()
    first = anchoring.anchorer.begin()
    assert first is not None
    anchoring.anchorer.carry()
    later(anchoring)
    later(anchoring)
    before, after = offered(anchoring)
    assert after > before
    assert anchoring.finish().nonce == first.nonce
