"""The authorization saga, told as stories: what happened to the payment, what the saga orders then, where it stands."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from schemas.definition import Message, Raw
from schemas.messages import payment_adjustment_events as adjusted
from schemas.messages import payment_events as on
from schemas.messages.payment_commands import DeclinePayment
from streams.sagas.authorization import DEADLINE, EXPIRY, PARKED, PATIENCE, react
from streams.sagas.rows import Due
from streams.sagas.saga import Reaction, Saga
from tests.given import CENT, CUSTOMER, NOON, PAYMENT, REFUND, SPEND, names, only

TEN_EUROS: dict[str, Any] = {"amount_raw": Raw(1_000 * CENT), "decimals": 18}
MINOR: dict[str, Any] = {"amount_minor": 1_000, "currency": "EUR"}
OURS: dict[str, Any] = {"payment_id": PAYMENT, "account_id": CUSTOMER}
BLOCK: dict[str, Any] = {"tx_hash": "0xt", "block_number": 11, "block_hash": "0xb"}


def asked(origin: str = "network") -> Message:
    deadline = NOON + timedelta(seconds=2) if origin == "network" else None
    return on.PaymentRequested(**OURS, **MINOR, **TEN_EUROS, origin=origin, deadline=deadline)


def leg(kind: type[Message], which: str = "spend") -> Any:
    told: dict[str, Any] = {"payment_id": PAYMENT, "leg_id": SPEND if which == "spend" else REFUND, "kind": which}
    own: dict[type[Message], dict[str, Any]] = {
        on.LegPlanned: {"account_id": CUSTOMER, "currency": "EUR", "reason": "authorized", **TEN_EUROS},
        on.LegSubmitted: {"tx_hash": "0xt"},
        on.LegReverted: {"tx_hash": "0xt", "reason": "reverted"},
        on.LegSeen: {"account_id": CUSTOMER, "transfer_id": SPEND, "block_time": 1, **BLOCK, **TEN_EUROS},
        on.LegUnseen: BLOCK,
        on.LegGivenUp: {"account_id": CUSTOMER, "reason": "patience"},
        on.LegSettled: {"block_time": 1, **BLOCK, **TEN_EUROS},
        on.LegEndedUnpaid: {"account_id": CUSTOMER, "reason": "invalidated", **TEN_EUROS},
    }
    return kind(**told, **own[kind])


HELD = on.PaymentHeld(**OURS, **TEN_EUROS)
HOLD_REFUSED = on.HoldRefused(**OURS, **TEN_EUROS, reason="insufficient_funds", spendable_raw=Raw(0))
PASSED = on.PaymentScreened(payment_id=PAYMENT, verdict="passed")
REFUSED = on.PaymentScreened(payment_id=PAYMENT, verdict="refused", reason="card_frozen")
AUTHORIZED = on.PaymentAuthorized(**OURS, **MINOR, **TEN_EUROS, response_code="00")
VERIFIED = on.PaymentVerified(**OURS, response_code="00")
DECLINED = on.PaymentDeclined(**OURS, reason="card_frozen", response_code="62")
CAPTURED = on.PaymentCaptured(payment_id=PAYMENT, presentment_id="p1", **MINOR, **TEN_EUROS)
REVERSED = on.PaymentReversed(payment_id=PAYMENT, reversal_id="r1", **MINOR)
EXPIRED = on.PaymentExpired(payment_id=PAYMENT, **MINOR)
REFUNDED = adjusted.PaymentRefunded(
    payment_id=PAYMENT, refund_id="f1", **MINOR, **TEN_EUROS, exceeds=False, unlinked=False, due_raw=Raw(0)
)
OWED = adjusted.ReceivableOpened(**OURS, **TEN_EUROS, currency="EUR", leg_id=SPEND)
OWED_NO_MORE = adjusted.ReceivableReduced(**OURS, **TEN_EUROS, currency="EUR", reason="reversed")
PLANNED, SEEN, UNSEEN, SETTLED, ENDED = (
    leg(each) for each in (on.LegPlanned, on.LegSeen, on.LegUnseen, on.LegSettled, on.LegEndedUnpaid)
)
REFUND_PLANNED, REFUND_SEEN, REFUND_UNSEEN, REFUND_SETTLED, REFUND_ENDED = (
    leg(each, "refund") for each in (on.LegPlanned, on.LegSeen, on.LegUnseen, on.LegSettled, on.LegEndedUnpaid)
)
GIVEN_UP = leg(on.LegGivenUp)
APPROVED = (asked(), HELD, PASSED, AUTHORIZED, PLANNED)
FOREIGN = (asked("chain"), SEEN)
STANDS = (*FOREIGN, PASSED, AUTHORIZED)


class Told:
    """A saga that was told a story: where it stands, all it ordered, and the timeouts that wait."""

    def __init__(self, *story: Message | str) -> None:
        self.saga, self.timeouts = Saga(PAYMENT), set[str]()
        self.ordered: list[Message] = []
        for each in story:
            self.then(each)

    def then(self, told: Message | str) -> Reaction:
        name, message = (told, Due(told)) if isinstance(told, str) else (type(told).__name__, told)
        reaction = react(self.saga, name, message)
        self.saga = reaction.saga
        self.ordered += reaction.orders
        self.timeouts = (self.timeouts - {name} - set(reaction.cancel)) | set(reaction.start)
        return reaction

    @property
    def stands(self) -> tuple[str, set[str]]:
        return self.saga.state, self.timeouts


# -- the happy path


def test_an_approved_payment_is_held_screened_spent_seen_and_settled() -> None:
    told = Told(*APPROVED, SEEN, SETTLED)
    assert names(told.ordered) == ["HoldFunds", "ScreenPayment", "AuthorizePayment", "SubmitSpend"]
    assert told.stands == ("settled", {EXPIRY})


@pytest.mark.parametrize("when", [5, 6, 7])
def test_a_posted_payment_ends_captured_whenever_the_network_posts_it(when: int) -> None:
    story: list[Message] = [*APPROVED, SEEN, SETTLED]
    told = Told(*story[:when], CAPTURED, *story[when:])
    assert told.stands == ("captured", set()), "what was posted does not expire"


def test_a_zero_amount_ends_verified() -> None:
    assert Told(asked(), VERIFIED).stands == ("verified", set())


def test_a_foreign_spend_is_screened_and_ends_settled_when_it_is_final() -> None:
    told = Told(*STANDS, SETTLED)
    assert (names(told.ordered), told.stands) == (["ScreenPayment", "AuthorizePayment"], ("settled", set()))


@pytest.mark.parametrize("late", range(2, 5))
def test_a_foreign_spend_that_is_final_before_its_verdict_settles_with_it(late: int) -> None:
    story: list[Message] = [*FOREIGN, PASSED, AUTHORIZED]
    assert Told(*story[:late], SETTLED, *story[late:]).stands == ("settled", set())


# -- declined


def test_a_refused_hold_is_declined_for_its_reason() -> None:
    told = Told(asked(), HOLD_REFUSED)
    assert [getattr(order, "reason", None) for order in told.ordered] == [None, "insufficient_funds"]
    told.then(DECLINED)
    assert told.stands == ("declined", set())


@pytest.mark.parametrize("until", [1, 2, 3])
def test_past_the_deadline_a_payment_is_declined_whatever_it_waited_for(until: int) -> None:
    told = Told(*APPROVED[:until], DEADLINE)
    assert told.saga.state == "declining"
    assert only(DeclinePayment, told.ordered[-1:]).reason == "deadline"
    for late in (HELD, PASSED):
        told.then(late)
    told.then(DECLINED)
    assert told.stands == ("declined", set())


def test_an_approval_that_was_first_beats_the_deadlines_decline() -> None:
    assert Told(*APPROVED[:3], DEADLINE, AUTHORIZED, PLANNED).stands == ("spending", {EXPIRY, PATIENCE})


@pytest.mark.parametrize("until", [1, 2, 3])
def test_a_reversal_before_the_answer_ends_the_payment_declined(until: int) -> None:
    assert Told(*APPROVED[:until], DECLINED).stands == ("declined", set())


# -- paid back


@pytest.mark.parametrize("moves", [(), (SETTLED,), (UNSEEN, SEEN), (UNSEEN, SEEN, UNSEEN, SEEN, SETTLED)])
@pytest.mark.parametrize("split", range(5))
def test_a_foreign_spend_that_must_not_stand_is_refunded_once_it_is_final(moves: tuple[Any, ...], split: int) -> None:
    """Whatever the chain does to it before and after the decline."""
    before, after = moves[:split], moves[split:]
    told = Told(*FOREIGN, *before, REFUSED, DECLINED, *after)
    if SETTLED not in moves:
        assert (told.saga.state, told.timeouts) == ("refund_due", {PATIENCE})
        told.then(SETTLED)
    assert (told.saga.state, names(told.ordered)[-1]) == ("refunding", "PlanRefund")
    for each in (REFUND_PLANNED, REFUND_SEEN, REFUND_UNSEEN, REFUND_SEEN, REFUND_SETTLED):
        told.then(each)
    assert (told.stands, names(told.ordered)[-1]) == (("refunded", set()), "SubmitRefund")


@pytest.mark.parametrize("until", [0, 2])
def test_a_foreign_spend_reversed_before_its_verdict_is_paid_back_too(until: int) -> None:
    """A reversal of an open payment is a decline: nobody will answer any more."""
    story: list[Message] = [*FOREIGN, PASSED]
    told = Told(*story[: 1 + until], DECLINED) if until else Told(*FOREIGN, DECLINED)
    assert told.saga.state == "refund_due"
    told.then(PASSED)
    told.then(SETTLED)
    assert told.saga.state == "refunding"


@pytest.mark.parametrize("gone", [REVERSED, EXPIRED])
@pytest.mark.parametrize("when", range(3))
def test_what_was_reversed_or_expired_while_it_moved_is_paid_back_when_it_is_final(gone: Message, when: int) -> None:
    moves: list[Message] = [SEEN, SETTLED]
    told = Told(*APPROVED, *moves[:when], gone, *moves[when:])
    assert (told.saga.state, names(told.ordered)[-1]) == ("refunding", "PlanRefund")
    assert EXPIRY not in told.timeouts


def test_a_reversed_spend_that_can_never_happen_moved_nothing() -> None:
    assert Told(*APPROVED, REVERSED, ENDED).stands == ("unmoved", set())


@pytest.mark.parametrize("origin", [(*APPROVED, SEEN), STANDS])
def test_a_reversed_spend_that_a_reorg_drops_and_brings_back_is_still_paid_back(origin: tuple[Any, ...]) -> None:
    assert Told(*origin, REVERSED, UNSEEN, SEEN, SETTLED).saga.state == "refunding"
    assert Told(*origin, UNSEEN, REVERSED, SEEN, SETTLED).saga.state == "refunding"


def test_a_refund_that_was_ordered_after_the_capture_is_sent() -> None:
    told = Told(*APPROVED, SEEN, SETTLED, CAPTURED, REFUNDED, REFUND_PLANNED, REFUND_SETTLED)
    assert (told.saga.state, names(told.ordered)[-1]) == ("refunded", "SubmitRefund")


# -- time


def test_an_authorization_that_nobody_posts_expires_and_is_paid_back() -> None:
    told = Told(*APPROVED, SEEN, SETTLED, EXPIRY)
    assert (told.saga.state, names(told.ordered)[-1]) == ("settled", "ExpirePayment")
    told.then(EXPIRED)
    assert told.saga.state == "refunding"


@pytest.mark.parametrize(
    ("story", "reason"),
    [
        (APPROVED, "not_final_in_time"),
        ((*APPROVED, SEEN), "not_final_in_time"),
        ((*STANDS, UNSEEN), "unseen_too_long"),
        ((*FOREIGN,), "not_decided_in_time"),
        ((*FOREIGN, REFUSED), "not_decided_in_time"),
        ((*FOREIGN, REFUSED, DECLINED), "not_final_in_time"),
        ((*FOREIGN, REFUSED, DECLINED, UNSEEN), "unseen_too_long"),
        ((*STANDS, SETTLED, REVERSED, REFUND_PLANNED), "not_final_in_time"),
    ],
)
def test_what_waits_too_long_is_parked_with_its_reason(story: tuple[Any, ...], reason: str) -> None:
    told = Told(*story, PATIENCE)
    assert (told.saga.state, told.saga.reason, told.timeouts - {EXPIRY}) == (PARKED, reason, set())


@pytest.mark.parametrize(
    ("story", "more"),
    [
        *product([APPROVED, (*APPROVED, SEEN), STANDS, (*STANDS, UNSEEN)], [(), (REVERSED,), (CAPTURED,)]),
        *product([FOREIGN, (*FOREIGN, UNSEEN)], [(DECLINED,), (REFUSED, DECLINED), (PASSED, AUTHORIZED)]),
        *product([(*FOREIGN, REFUSED), (*FOREIGN, REFUSED, DECLINED, UNSEEN)], [(DECLINED,)]),
    ],
)
def test_a_parked_saga_goes_on_from_where_it_was_as_if_it_had_never_been_parked(
    story: tuple[Any, ...], more: tuple[Any, ...]
) -> None:
    rest = (*more, SEEN, SETTLED)
    parked, never = Told(*story, PATIENCE, *rest), Told(*story, *rest)
    assert (parked.stands, parked.saga.outcome) == (never.stands, never.saga.outcome)
    assert names(parked.ordered) == names(never.ordered)


def test_an_authorization_expires_also_while_its_saga_is_parked() -> None:
    told = Told(*APPROVED, PATIENCE, EXPIRY)
    assert (told.saga.state, names(told.ordered)[-1]) == (PARKED, "ExpirePayment")
    assert Told(*APPROVED, PATIENCE, EXPIRY, EXPIRED).saga.state == "refund_due"


def test_an_approved_spend_that_can_never_happen_waits_for_a_person_until_the_network_lets_go() -> None:
    told = Told(*APPROVED, ENDED, OWED)
    assert (told.saga.state, told.saga.reason) == (PARKED, "approved_but_unpaid")
    told.then(REVERSED)
    assert told.saga.state == PARKED, "in the same append the holder owes it no more"
    told.then(OWED_NO_MORE)
    assert told.stands == ("unmoved", set())


def test_a_refund_that_can_never_happen_waits_for_a_person() -> None:
    told = Told(*STANDS, SETTLED, REVERSED, REFUND_PLANNED, PATIENCE, REFUND_ENDED)
    assert (told.saga.state, told.saga.reason) == (PARKED, "refund_ended_unpaid")
    told.then(REFUND_PLANNED)
    assert (told.stands, told.saga.reason) == (("refunding", {PATIENCE}), None), "a person has it paid after all"
    assert names(told.ordered).count("SubmitRefund") == 2
    told.then(REFUND_ENDED)
    assert (told.saga.state, told.saga.reason) == (PARKED, "refund_ended_unpaid")


def test_a_saga_is_stored_and_restored_whole() -> None:
    saga = Told(*APPROVED, PATIENCE).saga
    assert Saga.restored(saga.saga_id, saga.state, saga.data()) == saga
