"""Follows the chain block by block: what it says of our accounts becomes events, in one commit with the cursor.

Each step is read, then written: all questions to the node come before the transaction, whose first statement is the fence on the
cursor. Killed anywhere, or overtaken by another listener, it goes on exactly where the commit left it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from threading import Event
from time import monotonic

import structlog
from sqlalchemy import Engine

from connectors.chain.accounts import wallets
from connectors.chain.accounts.directory import Directory, Wallet
from connectors.chain.accounts.discovery import Discovery
from connectors.chain.listening import cursor as rows
from connectors.chain.listening.ahead import Ahead
from connectors.chain.listening.blocks import Blocks, Forked
from connectors.chain.listening.booking import Booking
from connectors.chain.listening.cursor import Position
from connectors.chain.listening.drift import Drift
from connectors.chain.listening.finality import Finality
from connectors.chain.listening.lease import Lease
from connectors.chain.listening.meanings import Meanings
from connectors.chain.listening.quorum import Quorum
from connectors.chain.listening.reconcile import Reconciler
from connectors.chain.listening.reorgs import Reorgs
from connectors.chain.listening.stretches import Stretches
from connectors.chain.node.errors import RpcRefused, UnknownBlock
from connectors.chain.node.heads import Heads
from connectors.chain.node.rpc import Rpc
from connectors.chain.node.values import Header
from connectors.chain.settings import ByDepth, ChainSettings
from infra.database import transaction
from infra.errors import Misconfigured
from infra.failpoints import failpoint
from infra.transient import is_transient
from streams.domain.chain.facts import SeeTransfer

log = structlog.get_logger(__name__)
BULK = 64  # so many final blocks behind, it reads stretches of them instead of each
LOOK_SECONDS = 0.25  # so often at least it looks at everything: new wallets, finality that moves without a new head


@dataclass
class Listener:
    """One listener of a chain. Several may run: one works while its lease lasts, the fence keeps the others from harm."""

    database: Engine
    rpc: Rpc
    chain: ChainSettings
    booking: Booking
    reconciler: Reconciler
    discovery: Discovery
    name: str
    poll_seconds: float
    directory: Directory = field(default_factory=Directory)
    blocks: Blocks = field(init=False)
    lease: Lease = field(init=False)
    stretches: Stretches = field(init=False)
    fills: Stretches = field(init=False)
    meanings: Meanings = field(init=False)
    ahead: Ahead = field(init=False)
    quorum: Quorum = field(init=False)
    reorgs: Reorgs = field(init=False)
    finality: Finality = field(init=False)
    heads: Heads = field(init=False)
    drift: Drift = field(init=False)
    _welcomes: int = -1
    _looked: int = -1
    _head: str = ""

    def __post_init__(self) -> None:
        self.blocks = Blocks(self.rpc, self.chain)
        self.lease = Lease(self.database, self.chain.chain_id, self.name, self.poll_seconds)
        self.stretches = Stretches(self.rpc, self.chain)
        self.fills = Stretches(self.rpc, self.chain)
        self.meanings = Meanings(self.database, self.blocks, self.reconciler)
        self.ahead = Ahead(self.database, self.meanings, self.booking)
        self.heads = Heads(self.rpc.pool)
        self.drift = Drift(self.database, self.reconciler, self.booking, self.chain.reconcile_accounts)
        self.quorum = Quorum(self.rpc, self.chain, self.database)
        self.reorgs = Reorgs(self.database, self.rpc, self.chain, self.booking, self.reconciler)
        self.finality = Finality(self.database, self.rpc, self.chain, self.booking, self.reconciler, self.quorum)

    def run(self, stop: Event) -> None:
        """Step until `stop` is set. Raises Misconfigured for a node of another chain, FinalityBroken for a reorg too deep."""
        if self.rpc.chain_id() != self.chain.chain_id:
            raise Misconfigured(f"{self.rpc.node} is not chain {self.chain.chain_id}; mend rpc_urls in the chain file")
        while not stop.is_set():
            try:
                if not self.step():
                    self._await_head(stop)
            except Exception as error:
                # A reorg may take a block while we ask about it; a node may refuse what it gave before.
                if not (is_transient(error) or isinstance(error, RpcRefused)):
                    raise
                log.warning("listener_waits", error=str(error))
                stop.wait(self.poll_seconds)

    def step(self) -> bool:
        """Look once, and take what there is: a reorg, new wallets, new blocks, new finality. True if anything was written."""
        if not self.lease.held():
            return False
        position, newcomers = self._stand()
        head, final, here = self._look(position)
        if here is None:  # the node lags: a chain that was reorganised is as high as before, or soon will be
            return False
        if here.hash != position.hash:
            return not self._outvoted(here.hash, position) and self.reorgs.rewind(position, self.directory)
        late = [each for each in newcomers if each.opening_block + BULK < position.final]
        if late:  # beside following the head, not before it
            self._fill(position, late, final)
        elif newcomers:
            if not self._welcome(position, newcomers):
                return False
            position, _ = self._stand()
            self.finality.reach(min(final, position.number), position, self.directory)  # of what they did, too
            return True
        if final > position.number + BULK:
            return self.finality.reach(position.number, position, self.directory) or self._catch_up(position, final)
        moved = bool(late)
        if head is not None and head.number > position.number:
            position = self._advance(position, head) or position
            moved = True
        moved = self._discover(final) or moved
        if moved or min(final, position.number) > position.final:
            moved = self.finality.reach(min(final, position.number), position, self.directory) or moved
        return moved or self.drift.look(position, self.directory)

    # -- looking

    def _await_head(self, stop: Event) -> None:
        """One small question at a time, until the head is another block or it is time to look at everything."""
        if self.heads.told():
            self.heads.wait(LOOK_SECONDS)
            return
        until = monotonic() + LOOK_SECONDS
        while not stop.wait(self.poll_seconds) and monotonic() < until:
            head = self.rpc.block("latest") if self.lease.holding else None
            if head is not None and head.hash != self._head:
                return

    def _stand(self) -> tuple[Position, list[Wallet]]:
        """Where we stand, with the wallets that are followed there: another listener may have welcomed some. The fence counts them."""
        with transaction(self.database) as cursor:
            position = rows.position(cursor, self.chain.chain_id)
            if position is not None and position.welcomes != self._welcomes:
                self.directory = Directory.of(wallets.wallets(cursor, self.chain.chain_id, "followed"))
                self._welcomes = position.welcomes
            if position is not None:
                return position, wallets.wallets(cursor, self.chain.chain_id, "new")
        self._begin()
        return self._stand()

    def _begin(self) -> None:
        header = self.rpc.block(self.chain.start_block)
        if header is None:
            raise Misconfigured(
                f"{self.rpc.node} has no block {self.chain.start_block}; mend start_block in the chain file"
            )
        self.discovery.settle(header.number)
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

    def _outvoted(self, other: str, position: Position) -> bool:
        """Whether the node that tells us of a reorg is alone with it."""
        several = len(self.rpc.pool.answering) > 1
        return several and not self.quorum.stands(position.number, other)

    def _discover(self, final: int) -> bool:
        """Ask the modifiers whose blocks have become final whose they are. True when accounts came under watch."""
        if final == self._looked:
            return False
        found = self.discovery.look(final)
        self._looked = final
        return found > 0

    # -- going on

    def _catch_up(self, position: Position, final: int) -> bool:
        """Take many blocks that are all final, with whatever accounts were made in them: those come under watch first."""
        stretch = self.stretches.after(position.number, final)
        if self.discovery.found_in(stretch.logs, final):
            return True
        if not self.quorum.stands(stretch.last.number, stretch.last.hash):
            self.stretches.forget()
            return False
        past, foreseen = self.ahead.told(stretch, self.directory, position.welcomes, final)
        moved = (fact.transfer for fact in past.facts if isinstance(fact, SeeTransfer))
        if not self.quorum.attests(moved, self.directory):
            return False
        self.ahead.begin(self.stretches.coming(), foreseen, self.directory, position.welcomes, final)
        last = stretch.last
        new = replace(position, number=last.number, hash=last.hash, time=last.time, final=last.number)
        with transaction(self.database) as cursor:
            if not rows.move(cursor, self.chain.chain_id, position, new):
                return False
            rows.add_stretch(cursor, self.chain.chain_id, stretch.first, last)
            self.booking.past(cursor, past, foreseen)
            failpoint("listener.before_past_commit")
        log.info("listener_catches_up", block_number=last.number, final=final, facts=len(past.facts))
        return True

    def _advance(self, position: Position, head: Header) -> Position | None:
        """Store the next blocks. None: the chain or another listener moved under us; look again."""
        headers = self.blocks.after(position.number, position.hash, head)
        if not headers:
            return None
        try:
            seen = self.blocks.logs(headers, self.directory)
        except (UnknownBlock, Forked):
            return None
        news = self.meanings.news(headers, seen, self.directory)
        newest = headers[-1]
        new = replace(position, number=newest.number, hash=newest.hash, time=newest.time)
        with transaction(self.database) as cursor:
            if not rows.move(cursor, self.chain.chain_id, position, new):
                return None
            failpoint("listener.after_move")
            visits = rows.add_blocks(cursor, self.chain.chain_id, headers)
            self.discovery.note(cursor, [each for logs in seen.values() for each in logs])
            self.booking.seen(cursor, news, visits)
            failpoint("listener.before_commit")
        failpoint("listener.after_commit")
        return new

    # -- wallets that came under watch

    def _welcome(self, position: Position, newcomers: Sequence[Wallet]) -> bool:
        """Read what happened between their opening blocks and ours, then follow them with the others.

        Where the chain moves under us, nothing is followed yet: their past is read again from wherever we stand then.
        """
        theirs = Directory.of(newcomers)
        headers = self.blocks.between(min(each.opening_block for each in newcomers) + 1, position.number, position.hash)
        news = self.meanings.news(headers, self.blocks.logs(headers, theirs), theirs)
        new = replace(position, welcomes=position.welcomes + 1)
        with transaction(self.database) as cursor:
            if not rows.move(cursor, self.chain.chain_id, position, new):
                return False
            visits = {each.hash: 1 for each in headers}
            visits |= rows.visits(cursor, self.chain.chain_id, list(visits))
            wallets.follow(cursor, [each.account_id for each in newcomers])
            self.booking.seen(cursor, news, visits)
            failpoint("listener.before_welcome_commit")
        if self._welcomes == position.welcomes:
            self._add(newcomers, new.welcomes)
        log.info("wallets_followed", count=len(newcomers))
        return True

    def _fill(self, position: Position, late: Sequence[Wallet], final: int) -> None:
        """One more stretch of what happened to wallets whose past reaches far back; it is all final."""
        number = min(each.opening_block for each in late)
        stretch = self.fills.after(number, position.final)
        past, foreseen = self.ahead.tell(stretch, Directory.of(late), final)
        reached = [each.account_id for each in late if each.opening_block < stretch.last.number]
        with transaction(self.database) as cursor:
            if rows.move(cursor, self.chain.chain_id, position, position):
                self.booking.past(cursor, past, foreseen)
                wallets.filled(cursor, reached, stretch.last.number)

    def _add(self, newcomers: Sequence[Wallet], welcomes: int) -> None:
        """They are followed: the directory grows by them, and need not be read anew."""
        for wallet in newcomers:
            self.directory.add(wallet)
        self._welcomes = welcomes
