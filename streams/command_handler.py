"""load -> decide -> append: the one way anything happens to a payment or an account, whoever asks.

Orders of one call are decided in their order, each on the streams as the one before left them, and appended together in the
caller's transaction. The heads of all streams are locked first, so rivals queue instead of retrying against each other.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from threading import Lock
from typing import Any
from uuid import UUID

from infra.database import Cursor
from infra.errors import CommandIdReused, UnknownType
from schemas.codec import Codec
from schemas.definition import Message, to_json
from streams.aggregates import AGGREGATES, LEAST_EVERY, State, fold
from streams.domain import ids
from streams.domain.circumstances import Circumstances, Policy
from streams.domain.decisions import DECISIONS, Decision
from streams.event_store import snapshots, store
from streams.event_store.canonical import canonical
from streams.event_store.recorded import Cause, NewEvent, RecordedEvent, category_of, new_event
from streams.event_store.recorder import Answer
from streams.event_store.snapshotter import Snapshotter
from streams.event_store.states import PAGE, state_at
from streams.event_store.store import Head

EVOLVE = {category: aggregate.evolve for category, aggregate in AGGREGATES.items()}
NOWHERE = Head(0, b"")
# One question: what was answered before, the streams' heads once they are ours, and then the time and the chain's newest block.
# The heads are all locked before the first row is told, so the clock is never older than the wait for a rival.
# A view of the chain is as old as the block it ends in, or as the last look where that is longer ago: who catches up is not there yet.
PREPARE = """
SELECT h.stream_id, h.version, h.head_hash, clock_timestamp(), c.seen_time,
       extract(epoch FROM clock_timestamp() - least(c.moved_at, to_timestamp(c.seen_time)))::bigint,
       (SELECT json_agg(json_build_array(a.command_id, a.type, encode(a.fingerprint, 'hex'), a.answer))
        FROM command_answers AS a WHERE a.command_id = ANY(%s::uuid[]))
FROM (SELECT coalesce(max(seen_time), 0) AS seen_time, max(moved_at) AS moved_at FROM chain_cursors) AS c
LEFT JOIN lock_streams(%s::uuid[]) AS h ON true
"""


@dataclass(frozen=True)
class Order:
    """A command or a fact, with the id that makes it happen once and the cause that explains it."""

    command_id: UUID
    message: Any
    cause: Cause


@dataclass(frozen=True)
class Outcome:
    """What an order led to: its events (empty: nothing to do), or the first answer when it had come before."""

    command_id: UUID
    events: tuple[NewEvent, ...]
    answer: Mapping[str, Any]
    repeated: bool = False
    not_after: datetime | None = None


@dataclass
class StateCache:
    """States by stream, each with the version and head hash that it is the fold of. A state is used only if both still hold."""

    size: int = 10_000
    _states: OrderedDict[UUID, tuple[Head, State]] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def get(self, stream_id: UUID) -> tuple[Head, State] | None:
        """What is known of a stream."""
        with self._lock:
            found = self._states.get(stream_id)
            if found is not None:
                self._states.move_to_end(stream_id)
            return found

    def put(self, stream_id: UUID, head: Head, state: State) -> None:
        """Remember a stream's state; the longest unused is forgotten."""
        with self._lock:
            self._states[stream_id] = (head, state)
            self._states.move_to_end(stream_id)
            while len(self._states) > self.size:
                self._states.popitem(last=False)


@dataclass
class CommandHandler:
    """Decides orders on the event store. One for a process, for all its threads: what it keeps is its cache alone.

    `snapshotter`: keeps the states of long streams, in its own time; None: what others kept is used, and nothing is kept.
    """

    codec: Codec
    policy: Policy
    cache: StateCache = field(default_factory=StateCache)
    snapshotter: Snapshotter | None = None

    def handle(self, cursor: Cursor, orders: Sequence[Order]) -> list[Outcome]:
        """Decide and append, in the caller's transaction; gives an outcome for each order.

        Raises CommandIdReused, UnknownType, VersionConflict, TooLate; the caller's transaction must then be rolled back.
        """
        if not orders:
            return []
        _must_agree(orders)
        answered, heads, circumstances = self._prepare(cursor, orders)
        fresh = [order for order in orders if order.command_id not in answered]
        if fresh:
            answered |= self._decide_all(cursor, fresh, heads, circumstances)
        return [answered[order.command_id] for order in orders]

    def state(self, cursor: Cursor, stream_id: UUID) -> State | None:
        """A stream's present state, unlocked."""
        cursor.execute("SELECT version, head_hash FROM streams WHERE stream_id = %s", (stream_id,))
        row = cursor.fetchone()
        if row is None:
            return None
        return self._load(cursor, {stream_id: Head(row[0], bytes(row[1]))})[stream_id]

    def _prepare(
        self, cursor: Cursor, orders: Sequence[Order]
    ) -> tuple[dict[UUID, Outcome], dict[UUID, Head], Circumstances]:
        """Answers given before, the heads of all streams that the orders touch, locked, and the circumstances since then."""
        wanted = {each for order in orders for each in _decision(order.message).streams(order.message) if each}
        cursor.execute(PREPARE, ([order.command_id for order in orders], sorted(wanted)))
        rows = cursor.fetchall()
        heads = {row[0]: Head(row[1], bytes(row[2])) for row in rows if row[0] is not None}
        *_, now, chain_time, age, answers = rows[-1]
        return _answered(orders, answers or []), heads, Circumstances(now, chain_time, age, self.policy)

    def _decide_all(
        self, cursor: Cursor, orders: Sequence[Order], heads: Mapping[UUID, Head], circumstances: Circumstances
    ) -> dict[UUID, Outcome]:
        states = self._load(cursor, heads)
        versions = {stream_id: head.version for stream_id, head in heads.items()}
        outcomes: dict[UUID, Outcome] = {}
        for order in orders:
            if order.command_id not in outcomes:
                outcomes[order.command_id] = _decide(order, _decision(order.message), states, versions, circumstances)
        self._append(cursor, orders, outcomes)
        for event in (event for outcome in outcomes.values() for event in outcome.events):
            if event.version == versions[event.stream_id]:  # should this be rolled back, no head will have its hash
                before = heads[event.stream_id].version if event.stream_id in heads else 0
                head = Head(event.version, event.hash)
                self._remember(category_of(event.message), event.stream_id, before, head, states[event.stream_id])
        return outcomes

    def _remember(self, category: str, stream_id: UUID, before: int, head: Head, state: State) -> None:
        self.cache.put(stream_id, head, state)
        if self.snapshotter is not None:
            self.snapshotter.offer(category, stream_id, before, head, state)

    def _append(self, cursor: Cursor, orders: Sequence[Order], outcomes: Mapping[UUID, Outcome]) -> None:
        events = [event for outcome in outcomes.values() for event in outcome.events]
        asked = {order.command_id: order.message for order in orders}
        answers = [_answer(asked[each], outcome) for each, outcome in outcomes.items()]
        deadlines = [outcome.not_after for outcome in outcomes.values() if outcome.not_after]
        store.append(cursor, self.codec, events, answers, min(deadlines, default=None))

    def _load(self, cursor: Cursor, heads: Mapping[UUID, Head]) -> dict[UUID, State]:
        """States at the given heads: from the cache as far as it holds, long streams from a snapshot, the rest folded from the store."""
        known = self._known(cursor, heads)
        states = {each: state for each, (head, state) in known.items() if head == heads[each]}
        behind = {each: found for each, found in known.items() if found[0].version < heads[each].version}
        wanted = {each: behind[each][0].version - 1 if each in behind else 0 for each in heads if each not in states}
        for stream_id in [each for each, after in wanted.items() if heads[each].version - after > PAGE]:
            del wanted[stream_id]
            states[stream_id] = self._load_far(cursor, stream_id, heads[stream_id])
        if wanted:
            found = _by_stream(store.read_streams(cursor, wanted))
            forked = {each: 0 for each, (head, _) in behind.items() if found[each][0].hash != head.hash}
            found |= _by_stream(store.read_streams(cursor, forked)) if forked else {}
            for stream_id, events in found.items():
                at, start = behind[stream_id] if stream_id in behind and stream_id not in forked else (NOWHERE, None)
                states[stream_id] = fold(start, events if start is None else events[1:])
                self._remember(events[0].category, stream_id, at.version, heads[stream_id], states[stream_id])
        return states

    def _load_far(self, cursor: Cursor, stream_id: UUID, head: Head) -> State:
        """A long stream of which little is known yet, a page of it in memory at a time."""
        at = state_at(cursor, stream_id, head.version)
        assert at is not None, "a stream that has a head has events"
        self._remember(at.event.category, stream_id, head.version - at.folded, head, at.state)
        return at.state

    def _known(self, cursor: Cursor, heads: Mapping[UUID, Head]) -> dict[UUID, tuple[Head, State]]:
        """What is known of the streams without their events, and stands for as much of them as it says, or for nothing."""
        known = {each: found for each in heads if (found := self.cache.get(each)) is not None}
        long = {each: head.version for each, head in heads.items() if each not in known and head.version > LEAST_EVERY}
        return known | {each: (kept.head, kept.state) for each, kept in snapshots.load(cursor, long).items()}


def _answered(orders: Sequence[Order], answers: Sequence[Sequence[Any]]) -> dict[UUID, Outcome]:
    """The first answers to orders that came before. Raises CommandIdReused."""
    wanted = {order.command_id: order for order in orders}
    found = {}
    for told, kind, fingerprint, answer in answers:
        order = wanted[UUID(told)]
        same = bytes.fromhex(fingerprint) == fingerprint_of(business_of(order.message))
        if kind != type(order.message).__name__ or not same:
            raise _reused(order.command_id, kind)
        found[order.command_id] = Outcome(order.command_id, (), answer, repeated=True)
    return found


def _must_agree(orders: Sequence[Order]) -> None:
    """The same id twice in one call is the same order twice. Raises CommandIdReused."""
    known: dict[UUID, Any] = {}
    for order in orders:
        first = known.setdefault(order.command_id, order.message)
        if first is order.message:
            continue
        if type(first) is not type(order.message) or business_of(first) != business_of(order.message):
            raise _reused(order.command_id, type(first).__name__)


def _reused(command_id: UUID, kind: str) -> CommandIdReused:
    return CommandIdReused(
        f"command {command_id} came before as {kind} with other business fields; "
        "send the same fields to get the first answer, or a new id for a new order"
    )


def _by_stream(events: list[RecordedEvent]) -> dict[UUID, list[RecordedEvent]]:
    found: dict[UUID, list[RecordedEvent]] = {}
    for event in events:
        found.setdefault(event.stream_id, []).append(event)
    return found


def _decide(
    order: Order,
    decision: Decision,
    states: dict[UUID, State],
    versions: dict[UUID, int],
    circumstances: Circumstances,
) -> Outcome:
    payment_id, account_id = decision.streams(order.message)
    of_payment = states.get(payment_id) if payment_id else None
    of_account = states.get(account_id) if account_id else None
    messages = decision.decide(order.message, of_payment, of_account, circumstances)
    metadata = order.cause.metadata(type(order.message).__name__)
    events = tuple(
        _place(order.command_id, ordinal, message, metadata, states, versions)
        for ordinal, message in enumerate(messages)
    )
    deadline = getattr(order.message, "deadline", None) or (of_payment.deadline if of_payment else None)
    not_after = deadline if decision.timely and events else None
    return Outcome(order.command_id, events, {"events": [str(event.event_id) for event in events]}, not_after=not_after)


def _place(
    command_id: UUID,
    ordinal: int,
    message: Message,
    metadata: dict[str, Any],
    states: dict[UUID, State],
    versions: dict[UUID, int],
) -> NewEvent:
    stream_id = message.key
    version = versions.get(stream_id, 0) + 1
    event = new_event(ids.event_id(command_id, ordinal), version, message, metadata)
    states[stream_id] = EVOLVE[category_of(message)](states.get(stream_id), message)
    versions[stream_id] = version
    return event


def _decision(message: Any) -> Decision:
    try:
        return DECISIONS[type(message)]
    except KeyError:
        raise UnknownType(
            f"nobody decides {type(message).__name__}; it has no row in streams/domain/decisions.py"
        ) from None


def _answer(message: Any, outcome: Outcome) -> Answer:
    business = business_of(message)
    kind = type(message).__name__
    return Answer(outcome.command_id, kind, business, fingerprint_of(business), dict(outcome.answer))


def business_of(message: Any) -> dict[str, Any]:
    """The fields of an order that must be the same when it comes a second time; all fields of a fact."""
    if isinstance(message, Message):
        return {name: value for name, value in to_json(message).items() if _is_business(message, name)}
    return {name: _told(value) for name, value in asdict(message).items()}


def fingerprint_of(business: Mapping[str, Any]) -> bytes:
    """sha256 over the RFC 8785 form of the business fields."""
    return hashlib.sha256(canonical(dict(business))).digest()


def _is_business(message: Message, name: str) -> bool:
    """Whether the field counts. One that came later counts where it says something: older answers stay comparable."""
    declared = type(message).__dataclass_fields__[name]  # type: ignore[attr-defined]
    says_nothing_new = declared.metadata["since"] > 1 and getattr(message, name) == declared.default
    return bool(declared.metadata["business"]) and not says_nothing_new


def _told(value: Any) -> Any:
    """A fact's value in JSON: amounts do not fit a JSON number, so integers are told as text."""
    if isinstance(value, dict):
        return {name: _told(each) for name, each in value.items()}
    return value if value is None or isinstance(value, bool) else str(value)
