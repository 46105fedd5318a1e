"""The rows of the read side agree with the aggregates whatever happens, and `outcome` says what its table says."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given

from infra.errors import BadInput, Undecodable
from schemas.codec import Codec
from schemas.definition import MESSAGES, avro_schema
from schemas.topics import ACCOUNT_EVENTS, PAYMENT_EVENTS
from streams.delivered import Delivered, from_record
from streams.projections import balances, payments
from streams.projections.balances import BALANCES, BalanceRow
from streams.projections.payments import PAYMENTS, PaymentRow
from streams.runtime.records import Record
from tests.worlds import World, steps

CARDS = ("requested", "verified", "declined", "authorized", "captured", "reversed", "expired")
LEGS = (None, "planned", "submitted", "seen", "unseen", "settled", "ended_unpaid")
NUMBERS = {name: number for number, name in enumerate(MESSAGES, 1)}
CODEC = Codec(NUMBERS, {NUMBERS[name]: avro_schema(cls) for name, cls in MESSAGES.items()})


def row_of(world: World, events: list[Delivered]) -> PaymentRow:
    row = None
    for event in events:
        row = payments.apply(row, event)
    assert row is not None
    return row


def record_of(event: Delivered, **changes: object) -> Record:
    told = {
        "ce_id": str(event.event_id),
        "ce_type": event.type,
        "ce_time": event.recorded_at.isoformat(),
        "stream_version": str(event.version),
        "position": str(event.position),
    }
    headers = {name: value for name, value in (told | changes).items() if isinstance(value, str)}
    return Record(event.message.topic, 0, 1, str(event.stream_id).encode(), CODEC.encode(event.message), headers, 0)


def test_every_event_has_its_fold() -> None:
    assert set(PAYMENTS.folds) == {cls for cls in MESSAGES.values() if cls.topic == PAYMENT_EVENTS}
    assert set(BALANCES.folds) == {cls for cls in MESSAGES.values() if cls.topic == ACCOUNT_EVENTS}


@given(steps)
def test_a_balance_is_what_the_account_says(taken: list[tuple[str, int, int]]) -> None:
    world = World.of(taken)
    for account_id in (world.customer, world.settlement):
        row: BalanceRow | None = None
        for event in world.of_stream(account_id):
            row = balances.apply(row, event)
        known = world.states[account_id]
        assert row is not None and row.version == world.versions[account_id]
        assert (row.final_raw, row.held_raw, row.pending_out_raw) == (known.final_raw, known.held_raw, known.debits_raw)
        assert (row.card_state, row.integrity, row.queue_empty) == (
            known.card_state,
            known.integrity,
            known.queue_empty,
        )
        assert balances.read_allowance(row.allowance) == known.allowance
        assert (row.raised_allowance and balances.read_allowance(row.raised_allowance)) == known.raised_allowance
        for later in (0, 1800, 90_000):
            at = int(world.now.timestamp()) + later
            assert balances.spendable_raw(row, at) == known.spendable_raw(at)


@given(steps)
def test_a_payment_row_is_what_the_payment_says(taken: list[tuple[str, int, int]]) -> None:
    world = World.of(taken)
    for payment_id in world.payments:
        row, known = row_of(world, world.of_stream(payment_id)), world.states[payment_id]
        spend, refund = known.leg("spend"), known.leg("refund")
        assert (row.state, row.captured_minor, row.version) == (
            *(known.card, known.captured_minor),
            world.versions[payment_id],
        )
        assert (row.spend_state, row.refund_state) == (spend and spend.state, refund and refund.state)
        assert (row.response_code, row.authorization_code) == (known.response_code, known.authorization_code)
        assert row.outcome == payments.outcome(row.state, row.spend_state, row.refund_state)


@pytest.mark.parametrize(
    ("card", "spend", "refund", "word"),
    [
        ("requested", None, None, "open"),
        ("verified", None, None, "verified"),
        ("declined", None, None, "declined"),
        ("authorized", "planned", None, "open"),
        ("authorized", "seen", None, "open"),
        ("authorized", "settled", None, "settled"),
        ("captured", "settled", None, "settled"),
        ("authorized", "unseen", None, "unseen"),
        ("authorized", "ended_unpaid", None, "unpaid"),
        ("declined", "settled", None, "open"),  # a spend made on chain that must not stand: its refund is to come
        ("declined", "settled", "seen", "open"),
        ("declined", "settled", "settled", "refunded"),
        ("reversed", "settled", None, "open"),
        ("reversed", "settled", "settled", "refunded"),
        ("reversed", "ended_unpaid", None, "unpaid"),
        ("expired", "settled", "ended_unpaid", "unpaid"),
    ],
)
def test_the_outcome_of_a_payment(card: str, spend: str | None, refund: str | None, word: str) -> None:
    assert payments.outcome(card, spend, refund) == word


def test_no_pair_of_states_is_called_settled_or_declined_while_something_is_on_its_way() -> None:
    for card, spend, refund in product(CARDS, LEGS, LEGS):
        if (spend in ("planned", "submitted", "seen") and refund is None) or refund in LEGS[1:5]:
            assert payments.outcome(card, spend, refund) in ("open", "unseen", "unpaid")


def test_the_docstring_shows_the_table() -> None:
    shown = [line.split("|")[1:5] for line in (payments.__doc__ or "").splitlines() if line.startswith("| ")][1:]
    said = [
        (frozenset(cards.strip().split(", ")), spend.strip(), refund.strip(), word.strip())
        for cards, spend, refund, word in shown
    ]
    assert tuple(said) == payments.OUTCOMES


def test_an_event_without_its_beginning_is_refused_by_name() -> None:
    world = World.of([("request", 0, 500), ("decline", 0, 0)])
    *_, declined = world.of_stream(world.payments[0])
    with pytest.raises(BadInput, match="a stream begins with PaymentRequested"):
        payments.apply(None, declined)


@given(steps)
def test_a_record_reads_back_as_the_event_that_was_written(taken: list[tuple[str, int, int]]) -> None:
    for event in World.of(taken).events:
        read = from_record(CODEC, record_of(event))
        assert (read.event_id, read.version, read.position, read.message) == (
            *(event.event_id, event.version, event.position),
            event.message,
        )


@pytest.mark.parametrize(
    "changes",
    [
        {"ce_type": "PaymentAuthorized"},
        {"stream_version": None},
        {"stream_version": "one"},
        {"ce_id": "nobody"},
        {"ce_time": ""},
        {"position": None},
    ],
)
def test_a_record_that_did_not_come_through_the_outbox_is_refused(changes: dict[str, object]) -> None:
    event = World.of([]).events[0]
    with pytest.raises(Undecodable):
        from_record(CODEC, record_of(event, **changes))


def test_a_record_under_another_key_is_refused() -> None:
    event = World.of([]).events[0]
    good = record_of(event)
    forged = Record(good.topic, 0, 1, b"somebody-else", good.value, good.headers, 0)
    with pytest.raises(Undecodable, match="forged"):
        from_record(CODEC, forged)
