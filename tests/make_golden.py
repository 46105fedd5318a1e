"""Makes the golden files of the newest release: plays the demo's day on real servers and keeps what was said there.

`python -m tests.make_golden`, once a release, after `payriver schemas release`; refuses to touch files that are there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, Phase, given, seed, settings
from rich.console import Console

from api.demo.play import play
from api.demo.view import View
from api.roots.development_chain import prepare
from api.roots.embedded import SENDER
from api.roots.provisioning import River
from infra.database import engine, transaction
from infra.stack import access
from infra.stack.supervisor import Stack
from schemas.codec import FRAME, Codec
from schemas.definition import MESSAGES, Message, avro_schema, to_json
from schemas.messages import account_commands, payment_commands
from schemas.releases import SUMS, Releases, Schema, sums_of
from streams.aggregates import evolve
from streams.domain import ids
from streams.domain.chain import facts
from streams.domain.states.allowance import Allowance
from streams.event_store.recorded import Cause, category_of, new_event
from tests import golden
from tests.given import (
    APPROVED,
    AUTHORIZE,
    CENT,
    CUSTOMER,
    EXPIRE,
    HOLD,
    NOON,
    NOON_UNIX,
    PAYMENT,
    PLAN_REFUND,
    REFUND,
    REVERSE,
    SCREEN,
    SPEND,
    Streams,
    block,
    deposit,
    end_leg,
    refund,
    registration,
    request,
    seen,
    transfer,
)
from tests.network_says import capture
from tests.spoken import messages

EXAMPLES = 6
LONGEST_STREAM, STREAMS_OF_A_KIND = 120, 2
EVENTS = """
SELECT e.position, e.event_id, e.stream_id, e.version, e.category, e.type, e.schema_version, e.payload, e.metadata,
       e.recorded_at, encode(e.hash, 'hex') AS hash, o.payload AS avro
FROM events AS e INNER JOIN outbox AS o ON o.id = e.event_id ORDER BY e.stream_id, e.version
"""
Line = dict[str, Any]
SETTLED = (seen(transfer()), facts.FinalizeTransfer(transfer()))
RAISED = Allowance(9_000 * CENT, 9_000 * CENT, 9_000 * CENT, 86_400, NOON_UNIX)
STORIES: dict[str, tuple[Any, ...]] = {
    "captured": (*APPROVED, *SETTLED, capture()),
    "reversed and paid back": (
        *APPROVED,
        *SETTLED,
        REVERSE,
        PLAN_REFUND,
        seen(refund()),
        facts.FinalizeTransfer(refund()),
    ),
    "expired, its spend invalidated": (*APPROVED, EXPIRE, end_leg(SPEND, 1_000)),
    "a refund that can never happen": (*APPROVED, *SETTLED, REVERSE, PLAN_REFUND, end_leg(REFUND, 1_000)),
    "a deposit of the past": (registration(), facts.FinalizeTransfer(deposit(), at_first_sight=True)),
    "a card is verified": (registration(), request(0), HOLD, SCREEN, AUTHORIZE),
    "a transaction fails": (
        *APPROVED,
        payment_commands.RecordLegSubmitted(payment_id=PAYMENT, leg_id=SPEND, tx_hash="0xspend"),
        payment_commands.RecordLegReverted(payment_id=PAYMENT, leg_id=SPEND, tx_hash="0xspend", reason="out of gas"),
    ),
    "a customer changes limits, queues and goes astray": (
        registration(),
        facts.ObserveAllowance(CUSTOMER, "set", RAISED, block(11)),
        facts.FinalizeAllowanceRaise(CUSTOMER, block(11)),
        facts.ConsumeAllowance(CUSTOMER, 5_000 * CENT, block(12)),
        facts.QueueWithdrawal(CUSTOMER, 1, "0xq", "0xt", "0xtx", block(13)),
        facts.EmptyDelayQueue(CUSTOMER, 1, block(14)),
        facts.ObserveIntegrity(CUSTOMER, "SafeMisconfigured", block(15)),
        account_commands.FreezeCard(account_id=CUSTOMER, reason="lost"),
        account_commands.UnfreezeCard(account_id=CUSTOMER, reason="found"),
    ),
}


def day() -> list[Line]:
    """Every event of a day of the demo."""
    stack = Stack(provisioner=River(last=prepare), partitions=4, settings={"sender": dict(SENDER)})
    with stack:
        play(stack, View(Console(stderr=True), dict))
        with transaction(engine(access.database_url(stack.home, "write", "owner"))) as cursor:
            cursor.execute(EVENTS)
            names = [column.name for column in cursor.description or ()]
            found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    for each in found:
        each["avro"] = bytes(each["avro"])[FRAME.size :].hex()
        each["recorded_at"] = each["recorded_at"].isoformat()
    return found


def varied(events: Iterable[Line]) -> dict[UUID, list[Line]]:
    """A few whole streams of each kind: payments by the types that they hold, and the accounts of those that were kept."""
    by_stream: dict[UUID, list[Line]] = {}
    for each in events:
        by_stream.setdefault(each["stream_id"], []).append(each)
    kept: dict[UUID, list[Line]] = {}
    seen: dict[tuple[str, ...], int] = {}
    for stream_id, told in by_stream.items():
        kind = (told[0]["payload"].get("origin", ""), *(each["type"] for each in told))
        seen[kind] = seen.get(kind, 0) + 1
        if told[0]["category"] == "payment" and seen[kind] <= STREAMS_OF_A_KIND:
            kept[stream_id] = told
    for account_id in {UUID(told[0]["payload"]["account_id"]) for told in kept.values()}:
        if len(by_stream[account_id]) <= LONGEST_STREAM:
            kept[account_id] = by_stream[account_id]
    return kept


def stories() -> list[Line]:
    """What a day does not hold, decided by the product on the streams of `given`."""
    found: list[Line] = []
    for story, orders in STORIES.items():
        streams, versions = Streams(), dict[UUID, int]()
        for event in streams.given(*orders).log:
            versions[event.key] = versions.get(event.key, 0) + 1
            found.append(_decided(story, event, versions[event.key], len(found) + 1))
    return found


def _decided(story: str, message: Message, version: int, position: int) -> Line:
    cause = ids.derived("golden", story, position)
    event = new_event(ids.event_id(cause, 0), version, message, Cause(cause, cause, "", "golden").metadata(story))
    kind = type(message).__name__
    return {
        "story": story,
        "position": position,
        "event_id": event.event_id,
        "stream_id": event.stream_id,
        "version": version,
        "category": category_of(message),
        "type": kind,
        "schema_version": message.schema_version,
        "payload": event.payload,
        "metadata": event.metadata,
        "recorded_at": NOON.isoformat(),
        "hash": event.hash.hex(),
        "avro": Codec({kind: 1}, {1: avro_schema(type(message))}).encode(message)[FRAME.size :].hex(),
    }


def ends(told: Iterable[Line]) -> dict[str, dict[str, Any]]:
    """Story -> stream -> what its fold comes to now."""
    states: dict[str, dict[str, Any]] = {}
    for each in told:
        of, stream_id = states.setdefault(each.get("story", "day"), {}), str(each["stream_id"])
        message = golden.recorded(json.loads(_line(each))).message()
        of[stream_id] = evolve(each["category"], of.get(stream_id), message)
    return {story: {name: golden.end_of(state) for name, state in of.items()} for story, of in states.items()}


def generated(name: str, schema: Schema) -> list[Line]:
    """Some values of a record, the same at every run."""
    codec, found = Codec({name: 1}, {1: schema}), []

    @seed(schema["schema_version"])
    @settings(max_examples=EXAMPLES, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(messages(MESSAGES[name]))
    def draw(value: Message) -> None:
        avro = codec.encode(value)[FRAME.size :].hex()
        found.append(
            {"type": name, "schema_version": schema["schema_version"], "payload": to_json(value), "avro": avro}
        )

    draw()
    return found


def main() -> None:
    """Write the newest release's files."""
    release = Releases().numbers[-1]
    folder = golden.FOLDER / str(release)
    if folder.exists():
        sys.exit(f"{folder} is there, and golden files are never made twice")
    lived = [each for _, told in sorted(varied(day()).items()) for each in told]
    texts = {
        golden.DAY: "".join(f"{_line(each)}\n" for each in lived),
        golden.STORIES: "".join(f"{_line(each)}\n" for each in stories()),
        golden.TYPES: "".join(
            f"{_line(each)}\n" for name, schema in golden.new_in(release).items() for each in generated(name, schema)
        ),
        golden.ENDS: json.dumps(ends([*lived, *stories()]), indent=1) + "\n",
    }
    folder.mkdir(parents=True)
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / SUMS).write_text(sums_of(texts))
    print(f"wrote {folder}: {len(lived)} events of a day")


def _line(value: Line) -> str:
    return json.dumps(value, default=str, ensure_ascii=True, separators=(",", ":"))


if __name__ == "__main__":
    main()
