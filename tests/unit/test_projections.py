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
from streams.projections import balances, outcomes, payments
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
        assert balances.allowances(row) == known.allowances
        for later in (0, 1800, 90_000):
            at = int(world.now.timestamp()) + later
            assert balances.spendable_raw(row, at) == known.spendable_raw(at)


@given(steps)
def test_a_payment_row_is_what_the_payment_says(taken: list[tuple[str, int, int]]) -> None:
    world = World.of(taken)
    for payment_id in world.payments:
        row, known = row_of(world, world.of_stream(payment_id)), world.states[payment_id]
        amounts = known.amounts
        assert (row.state, row.version) == (known.card, world.versions[payment_id])
        shown = row.authorized_minor, row.open_minor, row.captured_minor, row.refunded_minor, row.credited_minor
        said = amounts.authorized, amounts.open, amounts.captured, amounts.refunded, amounts.credited
        assert shown == tuple(each.minor for each in said)
        assert (row.due_raw, row.receivable_raw, row.written_off_raw) == (
            *(known.due_raw, known.receivable_raw),
            known.written_off_raw,
        )
        assert {leg: (told["kind"], told["state"], int(told["amount_raw"])) for leg, told in row.legs.items()} == {
            str(leg.leg_id): (leg.kind, leg.state, leg.amount_raw) for leg in known.legs.values()
        }
        assert (row.response_code, row.authorization_code) == (known.response_code, known.authorization_code)


Told = tuple[str, str, int]


@pytest.mark.parametrize(
    ("card", "legs", "due", "owed", "word"),
    [
        ("requested", [], 0, 0, "open"),
        ("verified", [], 0, 0, "verified"),
        ("declined", [], 0, 0, "declined"),
        ("reversed", [], 0, 0, "declined"),  # its authorization had not come
        ("authorized", [("spend", "planned", 5)], 5, 0, "open"),
        ("authorized", [("spend", "seen", 5)], 5, 0, "open"),
        ("authorized", [("spend", "settled", 5)], 5, 0, "settled"),
        ("captured", [("spend", "settled", 5)], 5, 0, "settled"),
        ("authorized", [("spend", "unseen", 5)], 5, 0, "unseen"),
        ("authorized", [("spend", "ended_unpaid", 5)], 5, 5, "unpaid"),
        ("declined", [("spend", "settled", 5)], 0, 0, "open"),  # made on chain, must not stand: its refund is to come
        ("declined", [("spend", "settled", 5), ("refund", "seen", 5)], 0, 0, "open"),
        ("declined", [("spend", "settled", 5), ("refund", "settled", 5)], 0, 0, "refunded"),
        ("reversed", [("spend", "settled", 5), ("refund", "unseen", 5)], 0, 0, "open"),
        ("reversed", [("spend", "ended_unpaid", 5)], 0, 0, "unpaid"),
        ("expired", [("spend", "settled", 5), ("refund", "ended_unpaid", 5)], 0, 0, "unpaid"),
        (
            "expired",
            [("spend", "settled", 5), ("refund", "ended_unpaid", 5), ("refund", "settled", 5)],
            0,
            0,
            "refunded",
        ),
        ("captured", [("spend", "settled", 5), ("refund", "settled", 2)], 3, 0, "settled"),
        ("captured", [("spend", "settled", 5)], 3, 0, "open"),
        ("captured", [("spend", "settled", 5), ("spend", "submitted", 2)], 7, 0, "open"),
        ("captured", [("spend", "settled", 5), ("spend", "ended_unpaid", 2)], 7, 2, "unpaid"),
        ("captured", [("spend", "settled", 5), ("spend", "ended_unpaid", 2), ("spend", "settled", 2)], 7, 0, "settled"),
        ("refunded", [("refund", "settled", 5)], -5, 0, "refunded"),
    ],
)
def test_the_outcome_of_a_payment(card: str, legs: list[Told], due: int, owed: int, word: str) -> None:
    assert outcomes.outcome(card, told(legs), due, owed) == word


def told(legs: list[Told]) -> dict[str, dict[str, str]]:
    return {
        str(place): {"kind": kind, "state": state, "amount_raw": str(amount)}
        for place, (kind, state, amount) in enumerate(legs)
    }


def test_no_pair_of_states_is_called_settled_or_declined_while_something_is_on_its_way() -> None:
    for card, spend, refund in product(CARDS, LEGS, LEGS):
        legs = told([("spend", spend, 5)] if spend else []) | {
            f"r{key}": value for key, value in told([("refund", refund, 5)] if refund else []).items()
        }
        if spend in ("planned", "submitted", "seen") or refund in LEGS[1:5]:
            assert outcomes.outcome(card, legs, 0, 0) in ("open", "unseen", "unpaid")


def test_what_was_given_up_need_not_have_moved() -> None:
    legs = told([("spend", "settled", 5), ("spend", "ended_unpaid", 2)])
    assert outcomes.outcome("captured", legs, 7, 0, 2) == "settled"


def test_the_docstring_shows_the_words_of_the_table_in_its_order() -> None:
    shown = [line.split("|")[2].strip() for line in (outcomes.__doc__ or "").splitlines() if line.startswith("| ")][1:]
    assert shown == [word for _, word in outcomes.OUTCOMES]


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
