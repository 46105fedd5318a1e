"""Follows the chain block by block: what it says of our accounts becomes events, in one commit with the cursor.

Each step is read, then written: all questions to the node come before the transaction, whose first statement is the fence on the
cursor. Killed anywhere, or overtaken by another listener, it goes on exactly where the commit left it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from threading import Event
from time import monotonic
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Engine

from connectors.chain import cursor as rows
from connectors.chain import events as chain
from connectors.chain.booking import READING, Booking
from connectors.chain.chain_values import Header
from connectors.chain.cursor import Position, Sighting
from connectors.chain.decode import decode_all
from connectors.chain.directory import Directory, Wallet
from connectors.chain.interpret import WATCHED_TOPICS, Meaning, Seen, interpret
from connectors.chain.reconcile import Reconciler
from connectors.chain.rpc import Rpc
from connectors.chain.rpc_errors import UnknownBlock
from connectors.chain.settings import ByDepth, ChainSettings
from infra.database import transaction
from infra.errors import FinalityBroken, Misconfigured, Retry
from infra.failpoints import failpoint
from streams.domain.facts import Block
from streams.runtime.consumer import is_transient

log = structlog.get_logger(__name__)
BLOCKS_A_STEP = 200
BY_HASH_UP_TO = 4  # so few blocks are asked for by their hash: never of another fork
LEASE_SECONDS = 3.0
LOOK_SECONDS = 0.25  # so often at least it looks at everything: new wallets, finality that moves without a new head
REORG_WINDOW = 1000


class Forked(Retry):
    """The node's answers are of two forks: the chain moved between them."""


@dataclass
class Listener:
    """One listener of a chain. Several may run: one works while its lease lasts, the fence keeps the others from harm."""

    database: Engine
    rpc: Rpc
    chain: ChainSettings
    booking: Booking
    reconciler: Reconciler
    name: str
    poll_seconds: float
    directory: Directory = field(default_factory=Directory)
    _leased_until: float = 0.0
    _holding: bool = False
    _head: str = ""

    def run(self, stop: Event) -> None:
        """Step until `stop` is set. Raises Misconfigured for a node of another chain, FinalityBroken for a reorg too deep."""
        if self.rpc.chain_id() != self.chain.chain_id:
            raise Misconfigured(f"{self.rpc.node} is not chain {self.chain.chain_id}; mend rpc_urls in the chain file")
        while not stop.is_set():
            try:
                if not self.step():
                    self._await_head(stop)
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("listener_waits", error=str(error))
                stop.wait(self.poll_seconds)

    def step(self) -> bool:
        """Look once, and take what there is: a reorg, new wallets, new blocks, new finality. True if anything was written."""
        if not self._lease():
            return False
        position, newcomers = self._stand()
        head, final, here = self._look(position)
        if here is None or here.hash != position.hash:
            return self._rewind(position)
        moved = self._welcome(position, newcomers) if newcomers else False
        if head is not None and head.number > position.number:
            position = self._advance(position, head) or position
            moved = True
        if moved or min(final, position.number) > position.final:
            moved = self._finalize(position, min(final, position.number)) or moved
        return moved

    # -- looking

    def _await_head(self, stop: Event) -> None:
        """One small question at a time, until the head is another block or it is time to look at everything."""
        until = monotonic() + LOOK_SECONDS
        while not stop.wait(self.poll_seconds) and monotonic() < until:
            head = self.rpc.block("latest") if self._holding else None
            if head is not None and head.hash != self._head:
                return

    def _lease(self) -> bool:
        """Whether this listener works now. A newly taken lease means another may have worked meanwhile: learn the wallets anew."""
        if monotonic() < self._leased_until - LEASE_SECONDS * 2 / 3:
            return self._holding
        with transaction(self.database) as cursor:
            held = rows.take_lease(cursor, self.chain.chain_id, self.name, LEASE_SECONDS)
            held = held or rows.position(cursor, self.chain.chain_id) is None
            if held and not self._holding:
                self.directory = Directory.of(rows.wallets(cursor, self.chain.chain_id, "followed"))
                log.info("listener_works", wallets=len(self.directory.by_wallet))
        self._holding = held
        self._leased_until = monotonic() + (LEASE_SECONDS if held else LEASE_SECONDS * 2 / 3 + self.poll_seconds)
        return held

    def _stand(self) -> tuple[Position, list[Wallet]]:
        with transaction(self.database) as cursor:
            position = rows.position(cursor, self.chain.chain_id)
            if position is not None:
                return position, rows.wallets(cursor, self.chain.chain_id, "new")
        self._begin()
        return self._stand()

    def _begin(self) -> None:
        header = self.rpc.block(self.chain.start_block)
        if header is None:
            raise Misconfigured(
                f"{self.rpc.node} has no block {self.chain.start_block}; mend start_block in the chain file"
            )
        with transaction(self.database) as cursor:
            rows.begin(cursor, self.chain.chain_id, header)
            rows.add_blocks(cursor, self.chain.chain_id, [header])
            rows.finalize_blocks(cursor, self.chain.chain_id, header.number)

    def _look(self, position: Position) -> tuple[Header | None, int, Header | None]:
        """(the head, height that is final, the block that stands where we stand) in one question."""
        finality = self.chain.finality
        tag = "latest" if isinstance(finality, ByDepth) else finality.tag
        head, final, here = self.rpc.blocks(["latest", tag, position.number])
        self._head = head.hash if head else ""
        if isinstance(finality, ByDepth):
            return head, (head.number if head else position.number) - finality.depth, here
        return head, final.number if final else 0, here

    # -- going on

    def _advance(self, position: Position, head: Header) -> Position | None:
        """Store the next blocks. None: the chain or another listener moved under us; look again."""
        headers = self._headers(position, head)
        if not headers:
            return None
        try:
            seen = self._logs(headers)
        except (UnknownBlock, Forked):
            return None
        meanings = self._interpret(headers, seen, self.directory)
        readings = self.reconciler.integrity(
            [
                (self.directory.of_account(each), _block(header))
                for header, meaning in meanings
                for each in meaning.reread
            ]
        )
        newest = headers[-1]
        new = Position(newest.number, newest.hash, newest.time, position.final)
        with transaction(self.database) as cursor:
            if not rows.move(cursor, self.chain.chain_id, position, new):
                return None
            failpoint("listener.after_move")
            visits = rows.add_blocks(cursor, self.chain.chain_id, headers)
            found = [fact for _, meaning in meanings for fact in meaning.facts]
            reread = [(each, _block(header)) for header, meaning in meanings for each in meaning.reread]
            self.booking.seen(cursor, [*found, *readings], reread, visits)
            failpoint("listener.before_commit")
        failpoint("listener.after_commit")
        return new

    def _headers(self, position: Position, head: Header) -> list[Header]:
        """The next headers, each the child of the one before; they end where the chain turns out to be another."""
        if head.number == position.number + 1:
            return [head] if head.parent_hash == position.hash else []
        parent, found = position.hash, []
        last = min(head.number, position.number + BLOCKS_A_STEP)
        for header in self.rpc.blocks(list(range(position.number + 1, last + 1))):
            if header is None or header.parent_hash != parent:
                break
            parent = header.hash
            found.append(header)
        return found

    def _logs(self, headers: Sequence[Header]) -> dict[str, list[Seen]]:
        """Decoded logs by block hash. Raises UnknownBlock, Forked when one of the blocks is gone."""
        if len(headers) <= BY_HASH_UP_TO:
            logs = [each for header in headers for each in self.rpc.logs_of_block(header.hash, WATCHED_TOPICS)]
        else:
            logs = self.rpc.logs(headers[0].number, headers[-1].number, WATCHED_TOPICS)
        found: dict[str, list[Seen]] = {header.hash: [] for header in headers}
        decoded = decode_all(logs)
        for each, error in decoded.malformed:
            log.warning("log_malformed", tx_hash=each.transaction_hash, log_index=each.index, error=str(error))
        for each, event in decoded.events:
            if each.block_hash not in found:
                raise Forked(f"a log of block {each.block_hash}, which is not the one we asked for")
            found[each.block_hash].append((each, event))
        return found

    def _interpret(
        self, headers: Sequence[Header], seen: dict[str, list[Seen]], directory: Directory
    ) -> list[tuple[Header, Meaning]]:
        every = [each for found in seen.values() for each in found]
        consumed = [event.hash for _, event in every if isinstance(event, chain.HashExecuted)]
        with transaction(self.database) as cursor:
            legs = rows.our_legs(cursor, consumed, list({each.transaction_hash for each, _ in every}))
        return [(each, interpret(_block(each), seen[each.hash], directory, legs, self.chain)) for each in headers]

    # -- wallets that came under watch

    def _welcome(self, position: Position, newcomers: Sequence[Wallet]) -> bool:
        """Read what happened between their opening blocks and ours, then follow them with the others."""
        oldest = min(each.opening_block for each in newcomers)
        meanings: list[tuple[Header, Meaning]] = []
        if oldest < position.number:
            headers = self._past(oldest + 1, position)
            meanings = self._interpret(headers, self._logs(headers), Directory.of(newcomers)) if headers else []
        with transaction(self.database) as cursor:
            if not rows.move(cursor, self.chain.chain_id, position, position):
                return False
            visits = rows.visits(cursor, self.chain.chain_id, [header.hash for header, _ in meanings])
            found = [fact for _, meaning in meanings for fact in meaning.facts]
            self.booking.seen(cursor, found, [], {header.hash: 1 for header, _ in meanings} | visits)
            rows.follow(cursor, [each.account_id for each in newcomers])
        for each in newcomers:
            self.directory.add(each)
        log.info("wallets_followed", count=len(newcomers))
        return True

    def _past(self, first: int, position: Position) -> list[Header]:
        headers = [each for each in self.rpc.blocks(list(range(first, position.number + 1))) if each is not None]
        return headers if headers and headers[-1].hash == position.hash else []

    # -- finality

    def _finalize(self, position: Position, final: int) -> bool:
        """Money moves here, and only here: everything seen in blocks that are final by now."""
        with transaction(self.database) as cursor:
            sightings = rows.sightings_up_to(cursor, self.chain.chain_id, final)
            waiting = rows.queues(cursor, self.chain.chain_id, final)
        if not sightings and final <= position.final:
            return False
        emptied = self.reconciler.emptied([self.directory.of_account(each) for each in waiting], final)
        with transaction(self.database) as cursor:
            if not rows.move(
                cursor, self.chain.chain_id, position, replace(position, final=max(final, position.final))
            ):
                return False
            self.booking.final(cursor, sightings, emptied)
            rows.finalize_blocks(cursor, self.chain.chain_id, final)
            failpoint("listener.before_final_commit")
        return True

    # -- reorgs

    def _rewind(self, position: Position) -> bool:
        """The block we stand on is gone: take back what was seen above the common ancestor. Nothing is rewritten."""
        ancestor = self._ancestor(position)
        with transaction(self.database) as cursor:
            dropped = rows.sightings_above(cursor, self.chain.chain_id, ancestor.number)
        again = self._read_again(dropped, ancestor)
        new = Position(ancestor.number, ancestor.hash, ancestor.time, position.final)
        with transaction(self.database) as cursor:
            if not rows.move(cursor, self.chain.chain_id, position, new):
                return False
            failpoint("listener.after_rewind")
            visit = rows.visits(cursor, self.chain.chain_id, [position.hash]).get(position.hash, 1)
            rows.orphan_blocks(cursor, self.chain.chain_id, ancestor.number)
            self.booking.unseen(cursor, dropped, again, reorg=f"{position.hash}/{visit}")
            failpoint("listener.before_rewind_commit")
        log.warning(
            "chain_reorganised",
            depth=position.number - ancestor.number,
            dropped=len(dropped),
            block_number=ancestor.number,
        )
        return True

    def _ancestor(self, position: Position) -> Block:
        """The newest of our blocks that still stands. Raises FinalityBroken when a final one does not."""
        with transaction(self.database) as cursor:
            ours = rows.seen_blocks(cursor, self.chain.chain_id, position.number, REORG_WINDOW)
            last = rows.final_block(cursor, self.chain.chain_id, position.final)
        for number, digest, time in [*ours, *([last] if last else [])]:
            standing = self.rpc.block(number)
            if standing is not None and standing.hash == digest:
                return Block(number, digest, time)
        raise FinalityBroken(
            f"block {position.final} was final as {last[1] if last else 'unknown'} and is another one now: {self.rpc.node} lies, or "
            "finality in the chain file is set too low; nothing more is read until a person decides (infra/decisions)"
        )

    def _read_again(self, dropped: Sequence[Sighting], ancestor: Block) -> list[Any]:
        accounts: list[UUID] = sorted({each.account_id for each in dropped if each.kind == READING})
        return self.reconciler.after_reorg([self.directory.of_account(each) for each in accounts], ancestor)


def _block(header: Header) -> Block:
    return Block(header.number, header.hash, header.time)
