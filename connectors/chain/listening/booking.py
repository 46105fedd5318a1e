"""Facts become events: the listener's one write, in the caller's transaction, with the sightings that a reorg may take back.

The events come last: while an account's stream is locked, its card waits for an answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from connectors.chain.accounts import wallets
from connectors.chain.listening import mined_after_all, vanished
from connectors.chain.listening import sightings as rows
from connectors.chain.listening.interpret import TakenBack
from connectors.chain.listening.legs import end_legs, mark_legs
from connectors.chain.listening.sightings import Sighting
from connectors.chain.listening.vanished import Carrier, Key
from infra.database import Cursor
from infra.failpoints import failpoint
from infra.telemetry import traceparent_of
from streams.command_handler import CommandHandler
from streams.domain import ids
from streams.domain.chain import facts
from streams.domain.chain.facts import Block, Transfer
from streams.domain.values import replace
from streams.event_store.recorded import Cause
from streams.orders import Order, Outcome, business_of
from streams.unit_of_work import UnitOfWork

READING = "reading"
FIRST_VISIT = 1
SEEN, FINALIZED = facts.SeeTransfer.__name__, facts.FinalizeTransfer.__name__
Side = tuple[UUID, UUID]
"""A transfer, and the account whose side of it is meant."""


@dataclass(frozen=True)
class News:
    """What blocks that a reorg may take back mean: facts in the chain's order, and what was read of accounts at the blocks that changed them.

    `taken_back`: spends of ours. `reread`: whose integrity may have changed, and where. `sent_by`: who carried the debits that others sent.
    """

    facts: Sequence[Any]
    readings: Sequence[Any]
    taken_back: Sequence[TakenBack]
    reread: Sequence[tuple[UUID, Block]]
    sent_by: Mapping[Key, Carrier]


@dataclass(frozen=True)
class Past:
    """What blocks that were final before they were read mean: facts in the chain's order, and what was read of accounts at a final block."""

    facts: Sequence[Any]
    readings: Sequence[Any]
    taken_back: Sequence[TakenBack]


@dataclass(frozen=True)
class Foreseen:
    """How a past is booked of which nobody knows yet, and what is decided on it.

    `as_seen`: the ids under which its transfers were booked, should somebody have seen them.
    """

    orders: Sequence[Order]
    as_seen: Mapping[UUID, Side]
    decided: UnitOfWork


@dataclass(frozen=True)
class Booking:
    """Books facts of one chain through the command handler."""

    chain_id: int
    handler: CommandHandler

    def seen(self, cursor: Cursor, news: News, visits: Mapping[str, int]) -> None:
        """What blocks mean that now stand on the chain. Transfers that had vanished before are marked as seen again.

        One that was booked as final before, by who has forgotten since that its block was read, is only sighted. `visits`: by block hash.
        """
        found = [*news.facts, *news.readings]
        transfers = _transfers(found)
        known = rows.known_sightings(cursor, [each.transfer_id for each in transfers])
        plain = [facts.FinalizeTransfer(each) for each in transfers if each.payment_id is None]
        final = self._booked(cursor, {self._first(FINALIZED, _business(each)): _side(each) for each in plain})
        told = [
            _again(each, known) for each in found if not (isinstance(each, facts.SeeTransfer) and _side(each) in final)
        ]
        readings = {(fact.account_id, fact.block) for fact in found if _changes_reading(fact)} | set(news.reread)
        sightings = [rows.sighting_of(each, visits[each.block.hash]) for each in transfers]
        sightings += [
            _reading(account_id, block, visits[block.hash]) for account_id, block in sorted(readings, key=str)
        ]
        said = [rows.sighting_of_taken_back(each, visits[each.block.hash]) for each in news.taken_back]
        sightings += {each.sighting_id: each for each in said}.values()
        rows.sight(cursor, self.chain_id, sightings)
        vanished.remember(cursor, news.sent_by)
        mark_legs(cursor, transfers, "seen")
        self._queue(cursor, found)
        failpoint("listener.after_sightings")
        mined_after_all.tell(cursor, self.chain_id, self.handler, self._handle(cursor, told, visits))
        failpoint("listener.after_events")

    def foresee(self, cursor: Cursor, past: Past, before: Foreseen | None = None) -> Foreseen:
        """How it will be booked, worked out before anything is locked: most likely nobody knows of these transfers yet.

        `before`: comes first, and may not be booked yet.
        """
        orders = self._orders(past, set(), set())
        decided = self.handler.foresee(cursor, orders, before.decided if before else None)
        perhaps = [each for each in orders if not each.kept and _may_have_been_seen(each.message.transfer, decided)]
        as_seen = {
            self._first(SEEN, {**(each.business or {}), "again": False}): _side(each.message) for each in perhaps
        }
        return Foreseen(orders, as_seen, decided)

    def past(self, cursor: Cursor, past: Past, foreseen: Foreseen) -> None:
        """What happened in blocks that were final before they were read: all of it final at once.

        A transfer that is no payment's is final at first sight; one that was seen before it was final, or is a leg, takes its two steps. What
        was taken back is only noted: the contract is asked before the leg ends, as always. It is the first visit to these blocks, as
        if each had been read when it was new: whoever did that before, and has forgotten it, books nothing twice.
        """
        known = rows.known_sightings(cursor, [each.transfer_id for each in _transfers(past.facts)])
        seen = known | self._booked(cursor, foreseen.as_seen)
        orders = self._orders(past, known, seen) if seen else foreseen.orders
        transfers = _transfers([order.message for order in orders])
        changed = {(fact.account_id, fact.block) for fact in past.facts if _changes_reading(fact)}
        sightings = [rows.sighting_of(each, FIRST_VISIT) for each in transfers]
        sightings += [_reading(account_id, block, FIRST_VISIT) for account_id, block in sorted(changed, key=str)]
        rows.sight(cursor, self.chain_id, sightings, "final")
        said = [rows.sighting_of_taken_back(each, FIRST_VISIT) for each in past.taken_back]
        rows.sight(cursor, self.chain_id, list({each.sighting_id: each for each in said}.values()))
        mark_legs(cursor, transfers, "final")
        self._queue(cursor, past.facts)
        failpoint("listener.after_past_sightings")
        booked = self.handler.handle(cursor, orders, foreseen=None if seen else foreseen.decided)
        mined_after_all.tell(cursor, self.chain_id, self.handler, booked)

    def observe(self, cursor: Cursor, found: Sequence[Any]) -> None:
        """What was read at a final block and belongs to no log."""
        self._handle(cursor, found, {})
        for fact in found:
            if isinstance(fact, facts.ObserveDrift) and fact.what == "queue":
                wallets.queued(cursor, fact.block.number, [fact.account_id])

    def final(self, cursor: Cursor, sightings: Sequence[Sighting], extra: Sequence[Any]) -> None:
        """Sightings whose blocks are final, and what was read at the final block."""
        told = [FINAL[each.kind](each) for each in sightings if each.kind in FINAL]
        rows.mark(cursor, sightings, "final")
        mark_legs(cursor, [each.transfer() for each in sightings if each.kind == "transfer"], "final")
        wallets.emptied(cursor, [fact.account_id for fact in extra if isinstance(fact, facts.EmptyDelayQueue)])
        end_legs(cursor, [fact.leg_id for fact in extra if isinstance(fact, facts.FinalizeInvalidation)])
        vanished.forget(cursor, [fact for fact in extra if isinstance(fact, facts.EndTransfer)])
        failpoint("listener.after_final_sightings")
        self._handle(cursor, [*told, *extra], {each.block.hash: each.visit for each in sightings})

    def unseen(self, cursor: Cursor, sightings: Sequence[Sighting], extra: Sequence[Any], reorg: str) -> None:
        """Sightings whose blocks were dropped, newest first, and what the chain says instead. `reorg` tells reorgs apart."""
        gone = [each for each in reversed(sightings) if each.kind == "transfer"]
        told = [facts.UnseeTransfer(each.transfer()) for each in gone]
        visits = {each.block.hash: str(each.visit) for each in sightings} | {fact.block.hash: reorg for fact in extra}
        rows.mark(cursor, sightings, "unseen")
        mark_legs(cursor, [each.transfer() for each in gone], "submitted")
        failpoint("listener.after_unseen_sightings")
        self._handle(cursor, [*told, *extra], visits)

    def _queue(self, cursor: Cursor, found: Sequence[Any]) -> None:
        for fact in found:
            if isinstance(fact, facts.QueueWithdrawal):
                wallets.queued(cursor, fact.block.number, [fact.account_id])

    def _handle(self, cursor: Cursor, found: Sequence[Any], visits: Mapping[str, object]) -> list[Outcome]:
        """One append for all. An id follows from what the fact says, so a block that is booked again after a crash is booked once."""
        orders = self._named((fact, visits.get(_block(fact).hash, 0)) for fact in found)
        return self.handler.handle(cursor, orders, ahead=True)

    def _orders(self, past: Past, known: Set[Side], seen: Set[Side]) -> list[Order]:
        told = [each for fact in past.facts for each in _for_good(_again(fact, known), seen)]
        return self._named((fact, FIRST_VISIT) for fact in (*told, *past.readings))

    def _named(self, told: Iterable[tuple[Any, object]]) -> list[Order]:
        """Facts, each with the visit to its block, as orders."""
        counts: Counter[str] = Counter()
        orders = []
        for fact, visit in told:
            business = _business(fact)
            name = _name(type(fact).__name__, business, visit)
            command_id = self._command_id(name, counts[name])
            counts[name] += 1
            kept = not getattr(fact, "at_first_sight", False)
            orders.append(Order(command_id, fact, _cause(command_id, fact), business, kept))
        return orders

    def _booked(self, cursor: Cursor, asked: Mapping[UUID, Side]) -> set[Side]:
        """Of what was booked under one of these ids."""
        return {asked[each] for each in rows.booked(cursor, asked)} if asked else set()

    def _first(self, kind: str, business: Mapping[str, Any]) -> UUID:
        """The id of a fact on the first visit to its block."""
        return self._command_id(_name(kind, business, FIRST_VISIT), 0)

    def _command_id(self, name: str, count: int) -> UUID:
        return ids.derived("fact", self.chain_id, name, count)


FINAL: Mapping[str, Callable[[Sighting], Any]] = {
    "transfer": lambda seen: facts.FinalizeTransfer(seen.transfer()),
    READING: lambda seen: facts.FinalizeAllowanceRaise(seen.account_id, seen.block),
}
"""What a sighting means when its block is final. What was taken back, the contract is asked first."""


def _block(fact: Any) -> Block:
    block: Block = fact.transfer.block if hasattr(fact, "transfer") else fact.block
    return block


def _name(kind: str, business: Mapping[str, Any], visit: object) -> str:
    return f"{kind}/{orjson.dumps(business).decode()}/{visit}"


def _business(fact: Any) -> dict[str, Any]:
    """What tells a fact from others. That a transfer is final is one fact, whether anybody has seen it before or not."""
    told = business_of(fact)
    told.pop("at_first_sight", None)
    return told


def _transfers(found: Sequence[Any]) -> list[Transfer]:
    return [fact.transfer for fact in found if isinstance(fact, facts.SeeTransfer)]


def _may_have_been_seen(transfer: Transfer, decided: UnitOfWork) -> bool:
    """Whether the account was followed as blocks came, up to that of the transfer."""
    return bool(transfer.block.number <= decided.states[transfer.account_id].seen_up_to)


def _side(fact: facts.SeeTransfer | facts.FinalizeTransfer) -> Side:
    return fact.transfer.transfer_id, fact.transfer.account_id


def _for_good(fact: Any, seen: Set[Side]) -> list[Any]:
    """A fact and what makes it final; at first sight the one is the other."""
    if isinstance(fact, facts.SeeTransfer):
        at_first_sight = fact.transfer.payment_id is None and _side(fact) not in seen
        final = facts.FinalizeTransfer(fact.transfer, at_first_sight)
        return [final] if at_first_sight else [fact, final]
    if isinstance(fact, facts.ObserveAllowance) and fact.cause == "set":
        return [fact, facts.FinalizeAllowanceRaise(fact.account_id, fact.block)]
    return [fact]


def _again(fact: Any, known: Set[Side]) -> Any:
    if isinstance(fact, facts.SeeTransfer) and _side(fact) in known:
        return replace(fact, again=True)
    return fact


def _changes_reading(fact: Any) -> bool:
    return isinstance(fact, facts.ConsumeAllowance | facts.ObserveAllowance | facts.ObserveIntegrity)


def _reading(account_id: UUID, block: Block, visit: int) -> Sighting:
    return Sighting(
        ids.derived(READING, block.hash, account_id), account_id, READING, block, "", visit, {"log_index": "0"}
    )


def _cause(command_id: UUID, fact: Any) -> Cause:
    """A payment's story is one; what belongs to none is a story of its own."""
    payment_id = fact.transfer.payment_id if hasattr(fact, "transfer") else getattr(fact, "payment_id", None)
    story = payment_id or command_id
    return Cause(command_id, story, traceparent_of(story), "listener")
