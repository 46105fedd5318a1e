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
from connectors.chain.blocks import Blocks, Forked
from connectors.chain.booking import READING, Booking
from connectors.chain.chain_values import Header
from connectors.chain.cursor import Position, Sighting
from connectors.chain.directory import Directory, Wallet
from connectors.chain.interpret import Meaning, Seen, TakenBack, interpret
from connectors.chain.reconcile import Reconciler
from connectors.chain.rpc import Rpc
from connectors.chain.rpc_errors import UnknownBlock
from connectors.chain.settings import ByDepth, ChainSettings
from infra.database import transaction
from infra.errors import FinalityBroken, Misconfigured
from infra.failpoints import failpoint
from streams.domain.facts import Block
from streams.runtime.consumer import is_transient

log = structlog.get_logger(__name__)
LEASE_SECONDS = 3.0
LOOK_SECONDS = 0.25  # so often at least it looks at everything: new wallets, finality that moves without a new head
REORG_WINDOW = 1000


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
    blocks: Blocks = field(init=False)
    _leased_until: float = 0.0
    _holding: bool = False
    _welcomes: int = -1
    _head: str = ""

    def __post_init__(self) -> None:
        self.blocks = Blocks(self.rpc, self.chain)

    def run(self, stop: Event) -> None:
        """Step until `stop` is set. Raises Misconfigured for a node of another chain, FinalityBroken for a reorg too deep."""
        if self.rpc.chain_id() != self.chain.chain_id:
            raise Misconfigured(f"{self.rpc.node} is not chain {self.chain.chain_id}; mend rpc_urls in the chain file")
        while not stop.is_set():
            try:
                if not self.step():
                    self._await_head(stop)
            except Exception as error:
                # A reorg may take a block while we ask about it.
                if not (is_transient(error) or isinstance(error, UnknownBlock)):
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
        moved = False
        if newcomers:
            if not self._welcome(position, newcomers):
                return False
            position, _ = self._stand()
            moved = True  # what they did may be final already
        elif head is not None and head.number > position.number:
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
        """Whether this listener works now."""
        if monotonic() < self._leased_until - LEASE_SECONDS * 2 / 3:
            return self._holding
        with transaction(self.database) as cursor:
            held = rows.take_lease(cursor, self.chain.chain_id, self.name, LEASE_SECONDS)
            held = held or rows.position(cursor, self.chain.chain_id) is None
        if held and not self._holding:
            log.info("listener_works", listener=self.name)
        self._holding = held
        self._leased_until = monotonic() + (LEASE_SECONDS if held else LEASE_SECONDS * 2 / 3 + self.poll_seconds)
        return held

    def _stand(self) -> tuple[Position, list[Wallet]]:
        """Where we stand, with the wallets that are followed there: another listener may have welcomed some. The fence counts them."""
        with transaction(self.database) as cursor:
            position = rows.position(cursor, self.chain.chain_id)
            if position is not None and position.welcomes != self._welcomes:
                self.directory = Directory.of(rows.wallets(cursor, self.chain.chain_id, "followed"))
                self._welcomes = position.welcomes
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
        headers = self.blocks.after(position.number, position.hash, head)
        if not headers:
            return None
        try:
            seen = self.blocks.logs(headers, self.directory)
        except (UnknownBlock, Forked):
            return None
        meanings = self._interpret(headers, seen, self.directory)
        reread, readings = self._reread(meanings, self.directory)
        newest = headers[-1]
        new = replace(position, number=newest.number, hash=newest.hash, time=newest.time)
        with transaction(self.database) as cursor:
            if not rows.move(cursor, self.chain.chain_id, position, new):
                return None
            failpoint("listener.after_move")
            visits = rows.add_blocks(cursor, self.chain.chain_id, headers)
            found = [fact for _, meaning in meanings for fact in meaning.facts]
            self.booking.seen(cursor, [*found, *readings], reread, visits, _taken_back(meanings))
            failpoint("listener.before_commit")
        failpoint("listener.after_commit")
        return new

    def _interpret(
        self, headers: Sequence[Header], seen: dict[str, list[Seen]], directory: Directory
    ) -> list[tuple[Header, Meaning]]:
        every = [each for found in seen.values() for each in found]
        consumed = [event.hash for _, event in every if isinstance(event, chain.HashExecuted | chain.HashInvalidated)]
        with transaction(self.database) as cursor:
            legs = rows.our_legs(cursor, consumed, list({each.transaction_hash for each, _ in every}))
        return [(each, interpret(_block(each), seen[each.hash], directory, legs, self.chain)) for each in headers]

    def _reread(
        self, meanings: Sequence[tuple[Header, Meaning]], directory: Directory
    ) -> tuple[list[tuple[UUID, Block]], list[Any]]:
        """Whose integrity may have changed in which block, and what it was there."""
        reread = [(each, _block(header)) for header, meaning in meanings for each in meaning.reread]
        asked = [(directory.of_account(account_id), block) for account_id, block in reread]
        return reread, self.reconciler.integrity(asked)

    # -- wallets that came under watch

    def _welcome(self, position: Position, newcomers: Sequence[Wallet]) -> bool:
        """Read what happened between their opening blocks and ours, then follow them with the others.

        Where the chain moves under us, nothing is followed yet: their past is read again from wherever we stand then.
        """
        theirs = Directory.of(newcomers)
        headers = self.blocks.between(min(each.opening_block for each in newcomers) + 1, position.number, position.hash)
        meanings = self._interpret(headers, self.blocks.logs(headers, theirs), theirs)
        reread, readings = self._reread(meanings, theirs)
        new = replace(position, welcomes=position.welcomes + 1)
        with transaction(self.database) as cursor:
            if not rows.move(cursor, self.chain.chain_id, position, new):
                return False
            visits = rows.visits(cursor, self.chain.chain_id, [header.hash for header, _ in meanings])
            found = [fact for _, meaning in meanings for fact in meaning.facts]
            visits = {header.hash: 1 for header, _ in meanings} | visits
            self.booking.seen(cursor, [*found, *readings], reread, visits, _taken_back(meanings))
            rows.follow(cursor, [each.account_id for each in newcomers])
            failpoint("listener.before_welcome_commit")
        log.info("wallets_followed", count=len(newcomers))
        return True

    # -- finality

    def _finalize(self, position: Position, final: int) -> bool:
        """Money moves here, and only here: everything seen in blocks that are final by now."""
        with transaction(self.database) as cursor:
            sightings = rows.sightings_up_to(cursor, self.chain.chain_id, final)
            waiting = rows.queues(cursor, self.chain.chain_id, final)
            said = [each for each in sightings if each.kind == rows.TAKEN_BACK]
            signed = rows.signed_spends(cursor, [UUID(each.detail["leg_id"]) for each in said])
        if not sightings and final <= position.final:
            return False
        asked = self.reconciler.emptied([self.directory.of_account(each) for each in waiting], final)
        asked += self.reconciler.taken_back(said, signed, final)
        with transaction(self.database) as cursor:
            if not rows.move(
                cursor, self.chain.chain_id, position, replace(position, final=max(final, position.final))
            ):
                return False
            self.booking.final(cursor, sightings, asked)
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
        new = replace(position, number=ancestor.number, hash=ancestor.hash, time=ancestor.time)
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


def _taken_back(meanings: Sequence[tuple[Header, Meaning]]) -> list[TakenBack]:
    return [each for _, meaning in meanings for each in meaning.taken_back]


def _block(header: Header) -> Block:
    return Block(header.number, header.hash, header.time)
