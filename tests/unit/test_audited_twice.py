"""The audit tells rows and postings by other code than the projector: on every history both say the same."""

from __future__ import annotations

from dataclasses import asdict

from hypothesis import given

from connectors.verify.money.ledger import CARD_SIDES, card_sides
from connectors.verify.money.payment_history import payment_row
from connectors.verify.walk import Event
from schemas.definition import to_json
from streams.delivered import Delivered
from streams.projections import card_ledger, payments
from streams.projections.ledger import SIDES
from streams.projections.payments import PaymentRow
from tests.worlds import World, steps


def stored(event: Delivered) -> Event:
    payload = to_json(event.message)
    return Event(
        event.position, event.event_id, event.stream_id, event.version, "payment", event.type, 1, payload, {},
        event.recorded_at, b"", 1, False, None, event.message,
    )  # fmt: skip


@given(steps)
def test_a_payments_row_is_told_alike_by_the_projector_and_by_the_audit(taken: list[tuple[str, int, int]]) -> None:
    world = World.of(taken)
    for payment_id in world.payments:
        row: PaymentRow | None = None
        events = world.of_stream(payment_id)
        for place, event in enumerate(events, 1):
            row = payments.apply(row, event)
            assert asdict(row) == payment_row([stored(each) for each in events[:place]])


@given(steps)
def test_the_card_book_is_told_alike_by_the_projector_and_by_the_audit(taken: list[tuple[str, int, int]]) -> None:
    world = World.of(taken)
    for payment_id in world.payments:
        row: PaymentRow | None = None
        for event in world.of_stream(payment_id):
            row = payments.apply(row, event)
            booked = [
                (*(name.partition(":")[0] for name in (each.debit, each.credit)), each.kind)
                for each in card_ledger.postings(event, row)
            ]
            told = card_sides(event.type, event.message, "suspense" if row.message == "refund" else "card")
            assert booked == ([told] if told else [])


def test_both_put_each_account_on_the_same_side() -> None:
    assert {name: SIDES[name] for name in CARD_SIDES} == CARD_SIDES
