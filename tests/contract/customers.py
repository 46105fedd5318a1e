"""A customer's account on a development chain, and what its transactions left: what the tests of the contracts stand on."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.chain.contracts.decode import decode_all
from connectors.chain.node.rpc import Rpc
from connectors.chain.node.values import Receipt
from infra.devchain.chain import DevChain
from infra.devchain.values import AccountInfo, Sent
from streams.domain.states.allowance import Allowance
from tests.chain_fixtures import contracts_of, reader_of

EURO = 10**18
DAY = 86_400


@pytest.fixture
def account(devchain: DevChain) -> AccountInfo:
    """An account with 500 tokens and a limit of 1,000 a day."""
    (made,) = devchain.create_accounts(1)
    devchain.wait_receipts([devchain.mint(made.safe, 500 * EURO)])
    return made


def receipt_of(chain: DevChain, sent: Sent) -> Receipt:
    chain.wait_receipts([sent], good=False)
    receipt = Rpc([chain.rpc_url]).receipt(sent.hash)
    assert receipt is not None
    return receipt


def told(chain: DevChain, sent: Sent) -> list[tuple[str, Any]]:
    """(emitter, event) of each log that the transaction left, decoded by us."""
    done = decode_all(receipt_of(chain, sent).logs)
    assert not done.malformed
    return [(log.address, event) for log, event in done.events]


def low(*addresses: str) -> tuple[str, ...]:
    return tuple(address.lower() for address in addresses)


def stored(chain: DevChain, account: AccountInfo) -> Allowance:
    (reading,) = reader_of(chain).read([contracts_of(chain, account)])
    assert reading.allowance is not None
    return reading.allowance
