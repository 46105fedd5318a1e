"""What W lost comes back from the topics: events as they were, hash by hash, with their outbox rows and the answers to their commands.

Everything else that W lost with them follows by itself: consumers' places went back with W, so sagas, webhooks and read models take the
same records once more; the listener reads the same blocks once more. Only the submitter's own signatures do not (`chain.py` of this room).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from psycopg2.extras import execute_values

from connectors.debezium.register import HEADERS
from infra.database import Cursor
from infra.errors import BadInput
from schemas.codec import Codec
from schemas.definition import Message
from schemas.messages.account_events import AccountRegistered, CardBound
from streams.domain import ids
from streams.event_store.recorded import NewEvent, category_of, event_hash
from streams.orders import UNKNOWN, business_of, fingerprint_of
from streams.runtime.records import Record

STREAM = """
INSERT INTO streams AS s (stream_id, category, version, head_hash, first_position) VALUES %s
ON CONFLICT (stream_id) DO UPDATE SET version = excluded.version, head_hash = excluded.head_hash
"""
EVENT = """
INSERT INTO events (position, event_id, stream_id, version, category, type, schema_version, payload, metadata, recorded_at, hash, transaction_id)
VALUES %s
"""
ROW = f"INSERT INTO outbox (id, topic, key, type, payload, {', '.join(HEADERS)}) VALUES %s"
ANSWER = """
INSERT INTO command_answers (command_id, type, business, fingerprint, answer) VALUES %s ON CONFLICT (command_id) DO NOTHING
"""
ONWARD = "SELECT setval('event_positions', greatest(%s, (SELECT last_value FROM event_positions)))"
WATCH = """
INSERT INTO chain_wallets (account_id, chain_id, kind, wallet, token, roles_module, delay_module, opening_block, queued_block) VALUES %s
ON CONFLICT (account_id) DO NOTHING
"""
CARD = "INSERT INTO cards (card_token, account_id) VALUES %s ON CONFLICT (card_token) DO NOTHING"
METADATA = ("causation_id", "correlation_id", "traceparent", "actor", "command")
TRANSACTIONS = {"RecordLegSubmitted": "submitted", "RecordLegReverted": "reverted", "EndLegUnpaid": "ended"}
"""What the submitter calls the order that tells of a transaction."""


@dataclass(frozen=True)
class Back:
    """An event that comes back, in the shape that it was stored in."""

    record: Record
    event: NewEvent
    schema_version: int
    recorded_at: datetime

    @property
    def position(self) -> int:
        """Its place among all events: the one that it had."""
        return int(self.record.headers["position"])


@dataclass
class Result:
    """What came back. `unanswered`: events whose command could not be told; the command, should it come again, is decided again."""

    events: int = 0
    answers: int = 0
    accounts: int = 0
    unanswered: list[UUID] = field(default_factory=list)


def bring_back(cursor: Cursor, codec: Codec, lost: Sequence[Record], orders: Sequence[Record]) -> Result:
    """Store the lost events again, in the caller's transaction. Raises BadInput for a record that is no event of ours."""
    found = [_back(codec, record) for record in lost]
    if not found:
        return Result()
    execute_values(cursor, STREAM, _heads(found))
    execute_values(cursor, EVENT, [_event(each) for each in found])
    execute_values(cursor, ROW, [_row(each.record) for each in found])
    cursor.execute(ONWARD, (max(each.position for each in found),))
    answers, unanswered = _answers(
        found, {UUID(each.headers["ce_id"]): codec.decode(each.value) for each in orders if _ours(codec, each)}
    )
    execute_values(cursor, ANSWER, answers)
    opened = [each.event.message for each in found if isinstance(each.event.message, AccountRegistered)]
    _watch(cursor, opened)
    _give_cards(cursor, [each.event.message for each in found])
    return Result(len(found), len(answers), len(opened), unanswered)


def _back(codec: Codec, record: Record) -> Back:
    # An older payriver's is hashed as it said it.
    message, schema_version, payload = codec.as_written(record.value or b"")
    headers = record.headers
    if (headers["ce_type"], record.topic, record.key_text) != (type(message).__name__, message.topic, str(message.key)):
        raise BadInput(
            f"{record.topic}/{record.partition}/{record.offset} is not what its headers say; look at it first"
        )
    metadata = {name: headers.get(name, "") for name in METADATA if name in headers or name == "traceparent"}
    told = (UUID(headers["ce_id"]), message.key, int(headers["stream_version"]))
    digest = event_hash(*told, headers["ce_type"], schema_version, payload, metadata)
    event = NewEvent(*told, message, payload, metadata, digest)
    return Back(record, event, schema_version, datetime.fromisoformat(headers["ce_time"]))


def _heads(found: Iterable[Back]) -> list[tuple[Any, ...]]:
    heads: dict[UUID, tuple[Any, ...]] = {}
    for each in found:
        event = each.event
        first = heads[event.stream_id][4] if event.stream_id in heads else each.position
        heads[event.stream_id] = (event.stream_id, category_of(event.message), event.version, event.hash, first)
    return list(heads.values())


def _event(each: Back) -> tuple[Any, ...]:
    event = each.event
    told = (orjson.dumps(event.payload).decode(), orjson.dumps(event.metadata).decode(), each.recorded_at, event.hash)
    kind = (category_of(event.message), type(event.message).__name__, each.schema_version)
    return (
        each.position,
        event.event_id,
        event.stream_id,
        event.version,
        *kind,
        *told,
        each.record.headers["transaction_id"],
    )


def _row(record: Record) -> tuple[Any, ...]:
    headers = record.headers
    return (
        headers["ce_id"],
        record.topic,
        record.key_text,
        headers["ce_type"],
        record.value,
        *(headers.get(name) for name in HEADERS),
    )


def _answers(found: Sequence[Back], orders: Mapping[UUID, Message]) -> tuple[list[tuple[Any, ...]], list[UUID]]:
    """An event's id follows from its command's, so the command is known by trying what may have been its id."""
    by_command: dict[UUID, tuple[str, list[UUID]]] = {}
    unanswered = []
    for each in found:
        event_id, command = each.event.event_id, each.event.metadata.get("command", "")
        known = next((c for c in _candidates(each, command) if _leads_to(c, event_id)), None)
        if known is None:
            unanswered.append(event_id)
        else:
            by_command.setdefault(known, (command, []))[1].append(event_id)
    answers = []
    for command_id, (command, _) in by_command.items():
        mine = set(by_command[command_id][1])
        events = [str(ids.event_id(command_id, place)) for place in range(len(mine))]
        business = business_of(orders[command_id]) if command_id in orders else UNKNOWN
        told = orjson.dumps(business).decode()
        answers.append((command_id, command, told, fingerprint_of(business), orjson.dumps({"events": events}).decode()))
    return answers, unanswered


MOST_EVENTS = 20
"""Of one command."""


def _leads_to(command_id: UUID, event_id: UUID) -> bool:
    return any(ids.event_id(command_id, place) == event_id for place in range(MOST_EVENTS))


def _candidates(each: Back, command: str) -> Iterable[UUID]:
    cause = UUID(each.event.metadata["causation_id"])
    yield cause
    yield ids.step_id(cause, command)
    tx_hash = getattr(each.event.message, "tx_hash", None)
    if command in TRANSACTIONS and tx_hash:
        yield ids.derived(TRANSACTIONS[command], tx_hash)


def _ours(codec: Codec, record: Record) -> bool:
    try:
        codec.decode(record.value)
    except BadInput:
        return False
    return True


def _watch(cursor: Cursor, opened: Sequence[AccountRegistered]) -> None:
    """Registered wallets are under watch again, from the block at which they were registered."""
    rows = [
        (
            a.account_id,
            a.chain_id,
            a.kind,
            a.wallet,
            a.token,
            a.roles_module,
            a.delay_module,
            a.block_number,
            _queued(a),
        )
        for a in opened
    ]
    if rows:
        execute_values(cursor, WATCH, rows)


def _give_cards(cursor: Cursor, messages: Iterable[Message]) -> None:
    """Cards that came with an account, or were bound to it later."""
    cards = [
        (m.card_token, m.account_id) for m in messages if isinstance(m, AccountRegistered | CardBound) and m.card_token
    ]
    if cards:
        execute_values(cursor, CARD, cards)


def _queued(account: AccountRegistered) -> int | None:
    return None if account.queue_empty else account.block_number
