"""Blocks and their logs as the node tells them, taken only where they are of one chain: the one that we stand on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import structlog

from connectors.chain.accounts.directory import Directory
from connectors.chain.contracts import events as chain_events
from connectors.chain.contracts.decode import Seen, decode_all
from connectors.chain.listening.interpret import WATCHED_TOPICS
from connectors.chain.node.bloom import may_hold
from connectors.chain.node.logs import Log, LogFilter
from connectors.chain.node.rpc import Rpc
from connectors.chain.node.values import Header
from connectors.chain.settings import ChainSettings
from infra.errors import Retry

log = structlog.get_logger(__name__)
TRANSFER = chain_events.TOPICS[chain_events.Transfer]
MADE = chain_events.TOPICS[chain_events.ModuleProxyCreation]
BLOCKS_A_STEP = 200
BY_HASH_UP_TO = 4  # so few blocks are asked for by their hash: never of another fork


class Forked(Retry):
    """The node's answers are of two forks: the chain moved between them."""


class Incomplete(Retry):
    """A node keeps logs back that its own block says are there: it pruned them, or lags behind."""


def filters_of(chain: ChainSettings) -> tuple[LogFilter, ...]:
    """What is asked for, whoever is watched: transfers of the tokens that count, and whatever else may speak of an account."""
    tokens = tuple(token.address for token in chain.tokens)
    others = tuple(each for each in WATCHED_TOPICS if each not in (TRANSFER, MADE))
    made = (LogFilter((chain.discovery.module_factory,), ((MADE,),)),) if chain.discovery.enabled else ()
    return (LogFilter(tokens, ((TRANSFER,),)), LogFilter((), (others,)), *made)


def must_be_whole(rpc: Rpc, chain: ChainSettings, headers: Sequence[Header], logs: Sequence[Log]) -> None:
    """No log of a block that its bloom filter may hold is missing, by its receipts. Raises Incomplete, Forked.

    The filter never denies a log that is there; where it only seems to know one of ours, the receipts say that there is none.
    """
    told = {each.block_number: each.block_hash for each in logs}
    tokens, factory = [each.address for each in chain.tokens], chain.discovery.module_factory
    for header in headers:
        if told.get(header.number, header.hash) != header.hash:
            raise Forked(f"logs of block {header.number} are those of {told[header.number]}, not of {header.hash}")
        pairs = ((tokens, TRANSFER), ([factory] if chain.discovery.enabled else [], MADE))
        hinted = [
            topic
            for addresses, topic in pairs
            if may_hold(header.logs_bloom, [topic]) and addresses and may_hold(header.logs_bloom, addresses)
        ]
        if hinted and header.number not in told and any(_wanted(each, chain) for each in rpc.logs_of_receipts(header)):
            raise Incomplete(f"{rpc.node} tells no logs of block {header.number}, whose receipts hold some of ours")


def _wanted(each: Log, chain: ChainSettings) -> bool:
    token = chain.token_at(each.address) is not None and bool(each.topics) and each.topics[0] == TRANSFER
    return token or (chain.discovery.enabled and each.address == chain.discovery.module_factory.lower())


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
        """Decoded logs by block hash. Raises UnknownBlock, Forked when one of the blocks is gone, Incomplete where logs are kept back."""
        if len(headers) <= BY_HASH_UP_TO:
            logs = self.rpc.logs_of_blocks([each.hash for each in headers], filters_of(self.chain)) if headers else []
        else:
            logs = self.rpc.find_logs(headers[0].number, headers[-1].number, filters_of(self.chain))
            self._must_stand(headers[-1])
        must_be_whole(self.rpc, self.chain, headers, logs)
        found: dict[str, list[Seen]] = {header.hash: [] for header in headers}
        for each, event in self.decoded(logs, directory):
            if each.block_hash not in found:
                raise Forked(f"a log of block {each.block_hash}, which is not the one we asked for")
            found[each.block_hash].append((each, event))
        return found

    def times(self, numbers: Sequence[int], hashes: Mapping[int, str]) -> dict[int, int]:
        """The time of each of these blocks. Raises Forked when one of them is another than the hash says."""
        found: dict[int, int] = {}
        for start in range(0, len(numbers), BLOCKS_A_STEP):
            for header in self.rpc.blocks(list(numbers[start : start + BLOCKS_A_STEP])):
                if header is None or header.hash != hashes[header.number]:
                    raise Forked("a block whose logs were read is another one now")
                found[header.number] = header.time
        return found

    def decoded(self, logs: Sequence[Log], directory: Directory) -> list[Seen]:
        """The logs as events. A malformed one of ours is told; a stranger's is nothing to us: an ERC-721 Transfer, say."""
        decoded = decode_all(logs)
        for each, error in decoded.malformed:
            if self._watches(each.address, directory):
                log.error("log_malformed", tx_hash=each.transaction_hash, log_index=each.index, error=str(error))
        if decoded.unknown:
            log.warning("topics_unknown", count=decoded.unknown.total(), topics=dict(decoded.unknown.most_common(3)))
        return decoded.events

    def _must_stand(self, newest: Header) -> None:
        """Logs that were asked for by height are those of these blocks: no other has taken their place."""
        standing = self.rpc.block(newest.number)
        if standing is None or standing.hash != newest.hash:
            raise Forked(f"block {newest.number} is no longer {newest.hash}")

    def _watches(self, address: str, directory: Directory) -> bool:
        ours = {self.chain.spender_module.lower(), *(token.address.lower() for token in self.chain.tokens)}
        return address in ours or address in directory.by_emitter
