"""The payment's story: moments in order of time, each in the lane of who wrote it down, and what is missing, said plainly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from connectors.explain import words
from connectors.explain.gather import Record
from connectors.explain.sentences import sentence
from streams.sagas.authorization import DEADLINE, EXPIRY, PATIENCE

TIMEOUTS = {
    DEADLINE: "the deadline passed and nobody had answered",
    PATIENCE: "what it waited for did not come in time",
    EXPIRY: "nobody captured the authorization in time",
}
GWEI = 10**9


@dataclass(frozen=True)
class Moment:
    """One thing that happened. `lane`: payment, account, saga, chain, webhook or parked; `details`: why and where, a line each."""

    at: datetime
    lane: str
    what: str
    details: tuple[str, ...] = ()


@dataclass
class Story:
    """What `payriver explain` tells."""

    record: Record
    moments: list[Moment] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def start(self) -> datetime:
        """The moment from which the others are counted."""
        return self.moments[0].at

    @property
    def requested(self) -> dict[str, Any]:
        """What was asked for, in the payment's own first event."""
        return requested(self.record)

    @property
    def decimals(self) -> int:
        """Of the account's token."""
        return int(self.requested["decimals"])

    @property
    def currency(self) -> str:
        """The billing currency."""
        return str(self.requested["currency"])


def requested(record: Record) -> dict[str, Any]:
    """The payload of the payment's first event; a spend seen on chain has one of the account before it."""
    payload: dict[str, Any] = next(each["payload"] for each in record.events if each["category"] == "payment")
    return {"decimals": 18, "currency": "", **payload}


def tell(record: Record) -> Story:
    """The whole story."""
    story = Story(record)
    moments = [*_events(record), *_steps(record), *_chain(record), *_webhooks(record), *_parked(record)]
    story.moments = sorted(moments, key=lambda moment: moment.at)
    story.missing = list(_missing(record))
    return story


def _events(record: Record) -> Iterator[Moment]:
    places = {each["event_id"]: each for each in record.deliveries}
    postings: dict[UUID, list[dict[str, Any]]] = {}
    for each in record.postings:
        postings.setdefault(each["event_id"], []).append(each)
    for event in record.events:
        details = [_cause(record, event), _place(event, places.get(event["event_id"]))]
        details += [_booked(record, each) for each in postings.get(event["event_id"], [])]
        what = f"{event['type']}: {sentence(event['type'], event['payload'])}"
        yield Moment(event["recorded_at"], event["category"], what, tuple(details))


def _cause(record: Record, event: dict[str, Any]) -> str:
    """Which order led to it, whose, and what that followed from."""
    metadata = event["metadata"]
    answer = next((each for each in record.answers if str(event["event_id"]) in each["answer"]["events"]), None)
    command = f"by {metadata.get('command')}"
    command += f" {words.short(str(answer['command_id']))}" if answer else ", whose answer is not stored"
    before = next((each for each in record.events if str(each["event_id"]) == metadata.get("causation_id")), None)
    follows = f", which followed from {before['type']}" if before else ""
    return f"{command} ({metadata.get('actor')}){follows}"


def _place(event: dict[str, Any], delivery: dict[str, Any] | None) -> str:
    stands = f"version {event['version']} of its stream, position {event['position']}"
    if delivery is None:
        return f"{stands}; not delivered yet"
    if delivery["topic"] is None:
        return f"{stands}; R took it from the event store, its record has not come"
    lag = words.since(delivery["delivered_at"], event["recorded_at"])
    return f"{stands}; Kafka {delivery['topic']}/{delivery['partition']} offset {delivery['offset']}, in the read models {lag}"


def _booked(record: Record, posting: dict[str, Any]) -> str:
    amount = words.raw(posting["amount_raw"], int(requested(record)["decimals"]), posting["currency"])
    debit, credit = (posting[side].partition(":")[0] for side in ("debit", "credit"))
    return f"ledger: {words.PHASES[posting['phase']]}, debit {debit}, credit {credit}, {amount} ({posting['kind']})"


def _steps(record: Record) -> Iterator[Moment]:
    sent = {each["id"]: each for each in record.ordered}
    answers = {each["command_id"]: each for each in record.answers}
    for step in record.steps:
        input_, state = step["input"], step["to_state"]
        moved = f"stays {state}" if step["from_state"] == state else f"{step['from_state']} → {state}"
        what = f"{moved}: {TIMEOUTS[input_]}" if input_ in TIMEOUTS else f"{moved} on {input_}"
        orders = [_ordered(step, order, sent, answers) for order in step["commands"]]
        driver = words.DRIVERS.get(step["driver"], step["driver"])
        yield Moment(step["taken_at"], "saga", what, (f"step {step['step']}, {driver}", *orders))


def _ordered(step: dict[str, Any], order: dict[str, Any], sent: dict[UUID, Any], answers: dict[UUID, Any]) -> str:
    """Where an order went, and what came of it."""
    command_id, told = UUID(order["id"]), f"orders {order['type']} {words.short(order['id'])}"
    row, answer = sent.get(command_id), answers.get(command_id)
    if row is not None and row["topic"] == "chain.commands":
        return f"{told}: through the outbox to {row['topic']}"
    if row is not None and row["answered_at"] is not None:
        led = len(row["answer"]["events"])
        when = words.since(row["answered_at"], step["taken_at"])
        return f"{told}: through the outbox to {row['topic']}, carried out {when}, {led} event{'s' * (led != 1)}"
    if row is not None:
        return f"{told}: through the outbox to {row['topic']}, not carried out yet"
    return f"{told}: {'decided in the same commit' if answer else 'decided in the same commit, nothing was left to do'}"


def _chain(record: Record) -> Iterator[Moment]:
    for block in record.blocks:
        mined = datetime.fromtimestamp(block["time"], UTC).strftime("%H:%M:%S")
        state = {"seen": "not final yet", "final": "final by now", "orphaned": "dropped by a reorg since"}[
            block["state"]
        ]
        what = f"block {block['number']} {words.short(block['hash'])} came to the listener, {state}"
        details = (f"mined at {mined} UTC by its own clock; visit {block['visit']}",)
        yield Moment(block["recorded_at"], "chain", what, details)
    for intent in record.intents:
        what = f"the submitter knows the {words.KINDS[intent['kind']]}; it is {intent['state']}"
        consumed = f"; known for ever by the consumed hash {words.short(intent['consumed_hash'])}"
        target = f"calls {words.short(intent['target'])}, signer {words.short(intent['signer'])}"
        yield Moment(intent["planned_at"], "chain", what, (target + (consumed if intent["consumed_hash"] else ""),))
    for sent in record.transactions:
        fee = f"at most {sent['max_fee_wei'] / GWEI:.3f} gwei a gas"
        what = f"the {sent['kind']}'s transaction {words.short(sent['tx_hash'])} was signed and stored"
        yield Moment(
            sent["signed_at"], "chain", what, (f"sender {words.short(sent['sender'])}, nonce {sent['nonce']}, {fee}",)
        )
        if sent["broadcast_at"] is not None:
            where = f"in block {sent['block_number']}" if sent["block_number"] is not None else "in no block yet"
            what = f"{words.short(sent['tx_hash'])} was sent to the node; it is {sent['state']}, {where}"
            yield Moment(sent["broadcast_at"], "chain", what)


def _webhooks(record: Record) -> Iterator[Moment]:
    messages = {each["message_id"]: each for each in record.webhooks}
    for attempt in record.attempts:
        message = messages[attempt["message_id"]]
        answer = "no answer" if attempt["status"] is None else f"answered {attempt['status']}"
        lasted = "" if attempt["duration_ms"] is None else f" after {attempt['duration_ms']} ms"
        what = f"{message['type']} told to {message['url']}: {answer}{lasted}"
        details = (
            f"attempt {attempt['attempt']} of webhook {words.short(str(message['message_id']))}, {message['state']}",
        )
        yield Moment(
            attempt["started_at"], "webhook", what, details + ((attempt["error"],) if attempt["error"] else ())
        )


def _parked(record: Record) -> Iterator[Moment]:
    for each in record.parked:
        what = f"{each['consumer']} could not take {each['topic']}/{each['partition']} offset {each['offset']}: {each['state']}"
        yield Moment(each["parked_at"], "parked", what, (words.reason(each["reason"]), each["error"] or ""))
        if each["ended_at"] is not None:
            yield Moment(
                each["ended_at"], "parked", f"{each['ended_by']} ended that: {each['end_reason'] or each['state']}"
            )


def _missing(record: Record) -> Iterator[str]:
    """What a reader might look for and does not find."""
    delivered = {each["event_id"] for each in record.deliveries}
    late = [each for each in record.events if each["event_id"] not in delivered]
    if late:
        yield f"{len(late)} of {len(record.events)} events have not come to R: {', '.join(each['type'] for each in late)}"
    if record.shown is None:
        yield "the read model does not show this payment yet"
    last = max(each["version"] for each in record.events if each["category"] == "payment")
    if record.saga is None:
        yield "no saga manages this payment yet"
    elif record.saga["handled"] < last:
        yield f"the saga has taken events up to version {record.saga['handled']} of {last}"
    if record.saga is not None and record.saga["state"] == "parked":
        yield f"the saga waits for a person: {words.reason(record.saga['reason'])}"
    yield from _open_legs(record)
    for each in record.timeouts:
        if each["state"] == "waiting":
            yield f"a timeout waits: {each['name']}, due {each['due_at'].astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    for message in record.webhooks:
        if message["state"] != "delivered":
            yield f"webhook {message['type']} to {message['url']} is {message['state']} after {message['attempts']} attempts"
    if not record.webhooks:
        yield "nobody was told by webhook: no endpoint wanted these events when they were recorded"


def _open_legs(record: Record) -> Iterator[str]:
    known = {str(each["leg_id"]) for each in record.intents}
    legs = [each["payload"] for each in record.events if each["category"] == "payment" and "leg_id" in each["payload"]]
    kinds = {said["leg_id"]: said["kind"] for said in legs}
    planned = {each["payload"]["leg_id"] for each in record.events if each["type"] == "LegPlanned"}
    ended = {each["payload"]["leg_id"] for each in record.events if each["type"] in ("LegSettled", "LegEndedUnpaid")}
    for leg_id, kind in kinds.items():
        if leg_id in planned and leg_id not in known:
            yield f"the submitter does not know of the planned {kind} yet"
        elif leg_id not in planned:
            yield f"the {kind} was not sent by us: there is no intent and no transaction of ours for it"
        if leg_id not in ended:
            yield f"the {kind} is not final"
