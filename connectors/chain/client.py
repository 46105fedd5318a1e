"""The chain file's nodes, as they are asked."""

from __future__ import annotations

from connectors.chain.node.rpc import Rpc
from connectors.chain.settings import ChainSettings


def rpc_of(chain: ChainSettings) -> Rpc:
    """The client of a chain file's nodes."""
    return Rpc(
        chain.rpc_urls,
        chain_id=chain.chain_id,
        timeout_seconds=chain.request_timeout_seconds,
        a_second=chain.requests_a_second,
    )
