"""Blocks and their logs as the node tells them, taken only where they are of one chain: the one that we stand on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import structlog

from connectors.chain.chain_values import Header
from connectors.chain.decode import decode_all
from connectors.chain.directory import Directory
from connectors.chain.interpret import WATCHED_TOPICS, Seen
from connectors.chain.rpc import Rpc
from connectors.chain.settings import ChainSettings
from infra.errors import Retry

log = structlog.get_logger(__name__)
BLOCKS_A_STEP = 200
BY_HASH_UP_TO = 4  # so few blocks are asked for by their hash: never of another fork


class Forked(Retry):
    """The node's answers are of two forks: the chain moved between them."""


@dataclass(frozen=True)
class Blocks:
    """Reads the blocks of one chain."""

    rpc: Rpc
    chain: ChainSettings

    def after(self, number: int, block_hash: str, head: Header) -> list[Header]:
        """The next headers, each the child of the one before; they end where the chain turns out to be another."""
        if head.number == number + 1:
            return [head] if head.parent_hash == block_hash else []
        found: list[Header] = []
        for header in self.rpc.blocks(list(range(number + 1, min(head.number, number + BLOCKS_A_STEP) + 1))):
            if header is None or header.parent_hash != block_hash:
                break
            block_hash = header.hash
            found.append(header)
        return found

    def between(self, first: int, last: int, last_hash: str) -> list[Header]:
        """All headers from `first` to the block where we stand; none when it is before them. Raises Forked when they are another chain's."""
        headers: list[Header] = []
        for start in range(first, last + 1, BLOCKS_A_STEP):
            end = min(start + BLOCKS_A_STEP - 1, last)
            headers += [each for each in self.rpc.blocks(list(range(start, end + 1))) if each is not None]
        linked = all(parent.hash == child.parent_hash for parent, child in pairwise(headers))
        whole = len(headers) == max(0, last - first + 1) and (not headers or headers[-1].hash == last_hash)
        if not (linked and whole):
            raise Forked(f"the node's blocks {first} to {last} are not those that end in {last_hash}")
        return headers

    def logs(self, headers: Sequence[Header], directory: Directory) -> dict[str, list[Seen]]:
        """Decoded logs by block hash. Raises UnknownBlock, Forked when one of the blocks is gone."""
        if len(headers) <= BY_HASH_UP_TO:
            logs = [each for header in headers for each in self.rpc.logs_of_block(header.hash, WATCHED_TOPICS)]
        else:
            logs = self.rpc.logs(headers[0].number, headers[-1].number, WATCHED_TOPICS)
            self._must_stand(headers[-1])
        found: dict[str, list[Seen]] = {header.hash: [] for header in headers}
        decoded = decode_all(logs)
        for each, error in decoded.malformed:
            if self._watches(each.address, directory):  # a stranger's is nothing to us: an ERC-721 Transfer, say
                log.error("log_malformed", tx_hash=each.transaction_hash, log_index=each.index, error=str(error))
        for each, event in decoded.events:
            if each.block_hash not in found:
                raise Forked(f"a log of block {each.block_hash}, which is not the one we asked for")
            found[each.block_hash].append((each, event))
        return found

    def _must_stand(self, newest: Header) -> None:
        """Logs that were asked for by height are those of these blocks: no other has taken their place."""
        standing = self.rpc.block(newest.number)
        if standing is None or standing.hash != newest.hash:
            raise Forked(f"block {newest.number} is no longer {newest.hash}")

    def _watches(self, address: str, directory: Directory) -> bool:
        ours = {self.chain.spender_module.lower(), *(token.address.lower() for token in self.chain.tokens)}
        return address in ours or address in directory.by_emitter
