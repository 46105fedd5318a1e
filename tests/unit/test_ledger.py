"""The ledger agrees with the account whatever happens: every history here is one that the write side can make."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given

from schemas.definition import MESSAGES, hints
from schemas.messages import account_events as events
from schemas.messages import card_controls as controls
from schemas.messages import payment_adjustment_events as adjusted
from schemas.messages import payment_events
from schemas.topics import ACCOUNT_EVENTS, PAYMENT_EVENTS
from streams.projections import balances, card_ledger, ledger, payments
from streams.projections.ledger import Posting, Totals
from streams.projections.payments import PaymentRow
from tests.happenings import CENT
from tests.worlds import World, steps

NO_POSTINGS = {
    *(events.AllowanceObserved, events.AllowanceRaiseFinalized, events.WithdrawalQueued, events.DelayQueueEmptied),
    *(events.IntegrityObserved, events.DriftObserved, events.CardBound, events.CardFrozen, events.CardUnfrozen),
    controls.CardLimitsSet,
    *(controls.MccBlocked, controls.MccUnblocked, controls.CountryBlocked, controls.CountryUnblocked),
}


def booked(world: World, account_id: UUID, kind: str) -> list[Posting]:
    chart = ledger.chart_of(account_id, kind)
    return [posting for event in world.of_stream(account_id) for posting in ledger.postings(event, chart)]


def journal(world: World) -> list[Posting]:
    wallets = booked(world, world.customer, "customer") + booked(world, world.settlement, "settlement")
    return wallets + [posting for each in world.payments for posting in card_book(world, each)]


def card_book(world: World, payment_id: UUID) -> list[Posting]:
    """What the payment's events book, each with the row as it is after them all, as in one run of the projector."""
    row: PaymentRow | None = None
    events = world.of_stream(payment_id)
    for event in events:
        row = payments.apply(row, event)
    assert row is not None
    return [posting for event in events for posting in card_ledger.postings(event, row)]


def net(sums: dict[str, Totals], name: str) -> int:
    """Posted debits less credits."""
    return sums[name].debits_posted - sums[name].credits_posted if name in sums else 0


def shown(postings: list[Posting]) -> list[tuple[str, str, str, int]]:
    return [
        (p.phase, p.debit.partition(":")[0], p.credit.partition(":")[0], p.amount_raw // CENT)
        for p in postings
        if p.kind != "opening"
    ]


def test_every_event_of_an_account_is_booked_or_is_known_to_move_nothing() -> None:
    on_accounts = {cls for cls in MESSAGES.values() if cls.topic == ACCOUNT_EVENTS}
    assert set(ledger.ENTRIES) | NO_POSTINGS == on_accounts
    assert not set(ledger.ENTRIES) & NO_POSTINGS


@given(steps)
def test_the_trial_balance_is_zero_in_both_columns(taken: list[tuple[str, int, int]]) -> None:
    sums = ledger.totals(journal(World.of(taken))).values()
    assert sum(each.debits_posted - each.credits_posted for each in sums) == 0
    assert sum(each.debits_pending - each.credits_pending for each in sums) == 0


@given(steps)
def test_no_pending_amount_is_ever_below_zero(taken: list[tuple[str, int, int]]) -> None:
    sums: dict[str, Totals] = {}
    for posting in journal(World.of(taken)):
        for name, side in ((posting.debit, "debits"), (posting.credit, "credits")):
            sums[name] = sums.get(name, Totals()).booked(side, posting.phase, posting.amount_raw)
            assert sums[name].debits_pending >= 0 and sums[name].credits_pending >= 0, posting


@given(steps)
def test_what_the_ledger_says_is_what_the_account_says(taken: list[tuple[str, int, int]]) -> None:
    world = World.of(taken)
    for account_id, kind in ((world.customer, "customer"), (world.settlement, "settlement")):
        chart, known = ledger.chart_of(account_id, kind), world.states[account_id]
        sums = ledger.totals(booked(world, account_id, kind))
        asset, liability = sums[chart.asset], sums[chart.liability]
        assert asset.debits_posted - asset.credits_posted == known.final_raw
        assert asset.credits_pending == liability.debits_pending == known.held_raw + known.debits_raw
        owed = liability.credits_posted - liability.debits_posted
        assert owed - liability.debits_pending == known.free_funds_raw()


@given(steps)
def test_the_posted_balance_is_the_opening_and_the_final_transfers(taken: list[tuple[str, int, int]]) -> None:
    world = World.of(taken)
    moved = 20_000 * CENT
    for event in world.of_stream(world.customer):
        if isinstance(event.message, events.TransferFinalized):
            moved += event.message.amount_raw if event.message.direction == "in" else -event.message.amount_raw
    safe = ledger.totals(booked(world, world.customer, "customer"))[f"safe:{world.customer}"]
    assert safe.debits_posted - safe.credits_posted == moved


@given(steps)
def test_pending_credits_of_the_ledger_are_those_of_the_balance(taken: list[tuple[str, int, int]]) -> None:
    world = World.of(taken)
    row = None
    for event in world.of_stream(world.customer):
        row = balances.apply(row, event)
    safe = ledger.totals(booked(world, world.customer, "customer"))[f"safe:{world.customer}"]
    assert row is not None and row.pending_in_raw == safe.debits_pending


@given(steps)
def test_a_payment_leaves_nothing_on_its_card_but_what_is_open_or_on_its_way(taken: list[tuple[str, int, int]]) -> None:
    """The holder has covered what was posted, net; what is not, is owed, given up, or about to move; what is too much, is open or goes back."""
    world = World.of(taken)
    for payment_id in world.payments:
        payment, sums = world.states[payment_id], ledger.totals(card_book(world, payment_id))
        signs = {"spend": 1, "refund": -1}
        moved = sum(signs[leg.kind] * leg.amount_raw for leg in payment.legs.values() if leg.state == "settled")
        owner = "suspense" if payment.message == "refund" else "card"
        covered = (
            payment.amounts.due.raw
            - payment.amounts.open.raw
            - moved
            - payment.receivable_raw
            - payment.written_off_raw
        )
        balance = net(sums, f"card:{world.customer}") + net(sums, f"suspense:{world.customer}")
        assert balance == covered, f"{owner} of {payment}"
        assert net(sums, f"cover:{world.customer}") == moved
        assert net(sums, f"receivable:{world.customer}") == payment.receivable_raw
        assert net(sums, f"loss:{world.customer}") == payment.written_off_raw
        in_dispute = sum(each.raw for each in payment.disputes.values())
        assert net(sums, f"dispute:{world.customer}") == in_dispute


def test_every_event_of_a_payment_that_tells_what_is_due_is_booked_or_is_known_to_book_nothing() -> None:
    """What is only approved is booked by no one but the wallets: the hold, and the spend, also one that a person closes."""
    approvals = {payment_events.PaymentAuthorized, payment_events.PaymentReversed, payment_events.PaymentExpired,
                 payment_events.LegSeen, payment_events.LegEndedUnpaid,
                 adjusted.PaymentIncremented, adjusted.PaymentPartlyReversed}  # fmt: skip
    dues = {cls for cls in MESSAGES.values() if cls.topic == PAYMENT_EVENTS and "due_raw" in hints(cls)}
    assert dues - approvals == set(card_ledger.ENTRIES) - {
        payment_events.LegSettled,
        adjusted.ReceivableOpened,
        adjusted.ReceivableReduced,
    }


@given(steps)
def test_a_posting_has_an_id_of_its_own(taken: list[tuple[str, int, int]]) -> None:
    made = [posting.posting_id for posting in journal(World.of(taken))]
    assert len(set(made)) == len(made)


def test_a_swipe_holds_then_moves_then_settles() -> None:
    world = World.of([("request", 0, 500), ("authorize", 0, 0), ("see_leg", 0, 0), ("finalize", 0, 0)])
    assert shown(booked(world, world.customer, "customer")) == [
        ("pend", "customer", "safe", 500),
        ("void", "customer", "safe", 500),
        ("pend", "customer", "safe", 500),
        ("void", "customer", "safe", 500),
        ("post", "customer", "safe", 500),
    ]
    assert shown(booked(world, world.settlement, "settlement")) == [("pend", "settlement", "network", 500)]


def test_a_declined_swipe_gives_its_hold_back() -> None:
    world = World.of([("request", 0, 500), ("hold", 0, 0), ("decline", 0, 0)])
    booked_here = booked(world, world.customer, "customer")
    assert shown(booked_here) == [("pend", "customer", "safe", 500), ("void", "customer", "safe", 500)]
    assert {posting.reference for posting in booked_here[1:]} == {world.payments[0]}


def test_a_debit_that_a_reorg_took_out_of_sight_stays_reserved_and_is_not_taken_twice() -> None:
    world = World.of([("foreign_spend", 0, 300), ("unsee", 0, 0), ("see_again", 0, 0), ("finalize", 0, 0)])
    assert shown(booked(world, world.customer, "customer")) == [
        ("pend", "customer", "safe", 300),
        ("void", "customer", "safe", 300),
        ("post", "customer", "safe", 300),
    ]


def test_a_credit_that_a_reorg_took_out_of_sight_is_pending_no_more() -> None:
    world = World.of([("deposit", 0, 300), ("unsee", 0, 0), ("see_again", 0, 0)])
    assert [posting.phase for posting in booked(world, world.customer, "customer")] == ["post", "pend", "void", "pend"]
