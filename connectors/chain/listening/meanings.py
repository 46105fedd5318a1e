"""What blocks mean for our accounts, with all that must be asked to know it: of new ones, which a reorg may take back, and of many at once that
were final before we read them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine as Database

from connectors.chain.accounts.directory import Directory
from connectors.chain.contracts import events as chain
from connectors.chain.contracts.decode import Seen
from connectors.chain.listening.blocks import Blocks
from connectors.chain.listening.booking import News, Past
from connectors.chain.listening.interpret import Legs, Meaning, TakenBack, interpret
from connectors.chain.listening.legs import our_legs
from connectors.chain.listening.reconcile import Reconciler
from connectors.chain.listening.stretches import Stretch
from connectors.chain.listening.vanished import carriers
from connectors.chain.node.logs import Log
from connectors.chain.node.values import Header
from infra.database import reading
from streams.domain.chain.facts import Block

TRANSFER = chain.TOPICS[chain.Transfer]


@dataclass(frozen=True)
class Meanings:
    """Reads the meaning of blocks, by their logs."""

    database: Database
    blocks: Blocks
    reconciler: Reconciler

    def news(self, headers: Sequence[Header], seen: Mapping[str, Sequence[Seen]], directory: Directory) -> News:
        """What new blocks mean. `seen`: their decoded logs, by block hash. Integrity is read at the block that may have changed it."""
        legs = self._legs([each for logs in seen.values() for each in logs])
        blocks = [_block(each) for each in headers]
        meanings = [self._meaning(block, seen[block.hash], directory, legs) for block in blocks]
        reread = [(each, block) for block, meaning in zip(blocks, meanings, strict=True) for each in meaning.reread]
        readings = self.reconciler.integrity([(directory.of_account(each), block) for each, block in reread])
        found = _facts(meanings)
        return News(found, readings, _taken_back(meanings), reread, carriers(self.blocks.rpc, found))

    def past(self, stretch: Stretch, directory: Directory, final: int) -> Past:
        """What a stretch of final blocks means. Integrity is read at `final`, for the state of older blocks may be pruned."""
        seen = self.blocks.decoded(
            _concerning(stretch.logs, directory, self.blocks.chain.spender_module.lower()), directory
        )
        legs = self._legs(seen)
        meanings = [self._meaning(block, logs, directory, legs) for block, logs in self._by_block(seen)]
        reread = sorted({each for meaning in meanings for each in meaning.reread})
        readings = self.reconciler.integrity_at([directory.of_account(each) for each in reread], final)
        return Past(_facts(meanings), readings, _taken_back(meanings))

    def _meaning(self, block: Block, seen: Sequence[Seen], directory: Directory, legs: Legs) -> Meaning:
        return interpret(block, seen, directory, legs, self.blocks.chain)

    def _legs(self, seen: Sequence[Seen]) -> Legs:
        consumed = [event.hash for _, event in seen if isinstance(event, chain.HashExecuted | chain.HashInvalidated)]
        with reading(self.database) as cursor:
            return our_legs(cursor, consumed, list({each.transaction_hash for each, _ in seen}))

    def _by_block(self, seen: Sequence[Seen]) -> list[tuple[Block, list[Seen]]]:
        """The logs of each block with its time, which the node may have told beside the log."""
        found: dict[int, list[Seen]] = {}
        for each in seen:
            found.setdefault(each[0].block_number, []).append(each)
        untold = [number for number, logs in found.items() if logs[0][0].block_time is None]
        times = self.blocks.times(untold, {number: found[number][0][0].block_hash for number in untold})
        return [
            (Block(number, logs[0][0].block_hash, logs[0][0].block_time or times[number]), logs)
            for number, logs in found.items()
        ]


def _facts(meanings: Sequence[Meaning]) -> list[Any]:
    return [fact for meaning in meanings for fact in meaning.facts]


def _taken_back(meanings: Sequence[Meaning]) -> list[TakenBack]:
    return [each for meaning in meanings for each in meaning.taken_back]


def _block(header: Header) -> Block:
    return Block(header.number, header.hash, header.time)


def _concerning(logs: Sequence[Log], directory: Directory, spender: str) -> list[Log]:
    """The logs of those transactions that touch a watched account, or what our spender was told: a spend may be taken back in one."""
    touched = {each.transaction_hash for each in logs if each.address == spender or _touches(each, directory)}
    return [each for each in logs if each.transaction_hash in touched]


def _touches(log: Log, directory: Directory) -> bool:
    """An address of an account speaks, or its tokens move."""
    if log.address in directory.by_emitter:
        return True
    if len(log.topics) != 3 or log.topics[0] != TRANSFER:
        return False
    return any((log.address, "0x" + topic[26:]) in directory.by_wallet for topic in log.topics[1:])
