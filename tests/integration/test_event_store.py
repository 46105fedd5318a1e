"""The event store and the handler under rivals: every order once, no two decisions on one balance, a rollback leaves nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from infra.database import transaction
from infra.errors import CommandIdReused, Retry, VersionConflict
from schemas.codec import Codec
from schemas.definition import Message
from schemas.messages import payment_commands
from schemas.messages.account_commands import FreezeCard, UnfreezeCard
from schemas.messages.payment_events import HoldRefused
from streams.command_agent import CommandAgent
from streams.command_handler import CommandHandler
from streams.domain import ids
from streams.domain.circumstances import Policy
from streams.event_store import store
from streams.event_store.recorded import new_event
from streams.orders import Order
from tests.given import registration, request
from tests.integration.write_side import WriteSide, cause
from tests.network_says import capture


def asked(account_id: UUID, card: str, cents: int = 1_000, seconds: float = 30) -> payment_commands.RequestPayment:
    deadline = datetime.now(UTC) + timedelta(seconds=seconds)
    payment_id = ids.network_payment_id(uuid4().hex)
    return request(cents, payment_id=payment_id, account_id=account_id, card_token=card, deadline=deadline)


def steps(order: payment_commands.RequestPayment) -> list[Message]:
    both = {"payment_id": order.payment_id, "account_id": order.account_id}
    return [payment_commands.HoldFunds(**both), payment_commands.ScreenPayment(**both)]


def at_once(work: Callable[[int], Any], count: int) -> list[Any]:
    def tried(number: int) -> Any:
        try:
            return work(number)
        except Exception as error:  # noqa: BLE001 the test looks at what each met
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(tried, range(count)))


# -- once


def test_the_same_order_again_is_told_the_first_answer(side: WriteSide) -> None:
    account_id, card = side.account()
    order, command_id = asked(account_id, card), uuid4()
    first = side.do(order, command_id)
    assert order.deadline is not None
    later = replace(order, deadline=order.deadline + timedelta(hours=1))
    again = side.do(later, command_id, side.handler())
    assert (again.repeated, again.answer) == (True, first.answer)
    assert side.types(order.payment_id) == ["PaymentRequested"]


@pytest.mark.parametrize(
    "change",
    [{"amount_minor": 1_001}, {"currency": "GBP"}, {"card_token": "other"}, {"mcc": "1"}, {"trace_number": "2"}],
)
def test_the_same_id_with_other_business_fields_is_refused(side: WriteSide, change: dict[str, Any]) -> None:
    order, command_id = asked(*side.account()), uuid4()
    side.do(order, command_id)
    with pytest.raises(CommandIdReused, match=str(command_id)):
        side.do(replace(order, **change), command_id)


def test_a_card_that_was_registered_meanwhile_does_not_make_a_repeat_another_request(side: WriteSide) -> None:
    account_id, card = side.account()
    order, command_id = asked(ids.derived("account", "unknown", card), card), uuid4()
    side.do(order, command_id)
    assert side.do(replace(order, account_id=account_id), command_id).repeated


def test_the_same_id_twice_in_one_run_is_one_order_or_refused(side: WriteSide) -> None:
    account_id, card = side.account()
    order, command_id = asked(account_id, card), uuid4()
    with transaction(side.door("commands")) as cursor:
        side.mine.handle(cursor, [Order(command_id, order, cause(command_id))] * 2)
    assert side.types(order.payment_id) == ["PaymentRequested"]
    other = replace(asked(account_id, card), amount_minor=7)
    with pytest.raises(CommandIdReused), transaction(side.door("commands")) as cursor:
        orders = [
            Order(uuid4(), asked(account_id, card), cause(command_id)),
            Order(command_id, other, cause(command_id)),
        ]
        side.mine.handle(cursor, [*orders, Order(command_id, replace(other, amount_minor=8), cause(command_id))])


def test_one_order_from_many_processes_at_once_happens_once(side: WriteSide) -> None:
    account_id, card = side.account()
    order, command_id = asked(account_id, card), uuid4()
    done = at_once(lambda _: side.do(order, command_id, side.handler()), 10)
    assert all(isinstance(each, Retry) for each in done if isinstance(each, Exception)), done
    assert side.types(order.payment_id) == ["PaymentRequested"]
    assert side.do(order, command_id).repeated


# -- rivals


def test_processes_that_race_for_one_balance_hold_no_more_than_there_is(side: WriteSide) -> None:
    account_id, card = side.account(cents=3_700)
    requests = [asked(account_id, card, 1_000) for _ in range(10)]
    for each in requests:
        side.do(each)
    handlers = [side.handler() for _ in range(3)]

    def hold(number: int) -> Any:
        order = requests[number]
        return side.do(steps(order)[0], handler=handlers[number % 3])

    done = at_once(hold, 10)
    assert not [each for each in done if isinstance(each, Exception)], "rivals queue; none has to try again"
    assert len(side.state(account_id).holds) == 3
    assert side.state(account_id).free_funds_raw() == 700 * 10**16


def test_what_was_decided_ahead_stands_but_where_a_rival_came_first(side: WriteSide) -> None:
    """Two requests share one account, whose money the rival takes first; a third is another account's."""
    account_id, card = side.account(cents=2_500)
    other_account, other_card = side.account()
    one, two, rival = (asked(account_id, card, 1_000) for _ in range(3))
    apart = asked(other_account, other_card, 1_000)
    for each in (one, two, rival, apart):
        side.do(each)
    orders = [Order(uuid4(), steps(each)[0], cause(uuid4())) for each in (one, two, apart)]
    with transaction(side.door("commands")) as cursor:
        ahead = side.mine.begin(cursor, locking=False)
        foreseen = ahead.decide(orders)
        assert side.do(steps(rival)[0], handler=side.handler()).events, "nobody is locked out meanwhile"
        unit = side.mine.begin(cursor)
        decided = unit.decide(orders, ahead)
        unit.append()

    assert decided[2] is foreseen[2], "not decided twice"
    told = [side.types(each.payment_id)[1:] for each in (one, two, apart)]
    assert told == [["PaymentHeld"], ["HoldRefused"], ["PaymentHeld"]]
    assert len(side.state(account_id).holds) == 2 and len(side.state(other_account).holds) == 1


def test_two_that_make_one_stream_at_once_are_told_apart(side: WriteSide) -> None:
    """The second waits for the first's commit, and is refused by name with both versions."""
    stream_id = uuid4()
    first, in_first = side.by_hand("commands")
    message = registration(account_id=stream_id)
    events = _registered(message)
    store.append(in_first, side.codec, [events(uuid4())])
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(_append, side, events(uuid4()))
        time.sleep(0.3)
        assert not second.done()
        first.commit()
        first.close()
        with pytest.raises(VersionConflict, match=f"stream {stream_id} is at version 1, the decision was made at 0"):
            second.result(5)


def _registered(message: Any) -> Callable[[UUID], Any]:
    from schemas.messages.account_events import AccountRegistered

    return lambda event_id: new_event(
        event_id, 1, AccountRegistered(**message.__dict__), cause(event_id).metadata("RegisterAccount")
    )


def _append(side: WriteSide, event: Any) -> None:
    with transaction(side.door("commands")) as cursor:
        store.append(cursor, side.codec, [event])


def test_a_command_that_meets_a_moved_stream_is_a_named_conflict_that_may_be_tried_again(side: WriteSide) -> None:
    account_id, _ = side.account()
    with transaction(side.door("commands")) as cursor:
        (event,) = store.read_stream(cursor, account_id)
    stale = new_event(uuid4(), 1, event.message(), event.metadata)
    with pytest.raises(Retry, match=f"stream {account_id} is at version 1, the decision was made at 0"):
        _append(side, stale)


# -- the cache of states


def test_what_was_rolled_back_is_in_no_later_decision(side: WriteSide) -> None:
    """One process appends and rolls back; others append one event, then two, where its lost one stood."""
    account_id, _ = side.account()
    freeze, unfreeze = FreezeCard(account_id=account_id, reason="a"), UnfreezeCard(account_id=account_id, reason="b")
    for moves in (1, 2):
        mine = side.handler()
        with transaction(side.door("commands")) as cursor:
            mine.handle(cursor, [Order(uuid4(), freeze, cause(account_id))])
            mine.state(cursor, account_id)
            cursor.rollback()
        for number in range(moves):
            side.do((freeze, unfreeze)[number % 2], handler=side.handler())
        with transaction(side.door("commands")) as cursor:
            assert mine.state(cursor, account_id) == side.state(account_id)
        side.do(unfreeze)


@dataclass(frozen=True)
class SlowCodec:
    """The real codec on a slow machine."""

    codec: Codec
    seconds: float

    def encode(self, message: Message, payload: dict[str, Any] | None = None) -> bytes:
        time.sleep(self.seconds)
        return self.codec.encode(message, payload)

    def decode(self, value: bytes) -> Message:
        return self.codec.decode(value)


def test_one_approval_that_comes_too_late_holds_up_none_of_its_run(side: WriteSide) -> None:
    """Decided in time, appended too late: the run is decided again, and then the late one is nothing."""
    account_id, card = side.account()
    late, timely = asked(account_id, card, seconds=1.2), asked(account_id, card, seconds=60)
    for order in (late, timely):
        for each in (order, *steps(order)):
            side.do(each)
    authorize = [
        payment_commands.AuthorizePayment(payment_id=o.payment_id, account_id=account_id) for o in (late, timely)
    ]
    records = [_record(side, each) for each in authorize]
    slow: Any = SlowCodec(side.codec, 0.5)
    with pytest.raises(Retry, match="deadline"), transaction(side.door("commands")) as cursor:
        CommandAgent(side.codec, CommandHandler(slow, Policy())).apply(cursor, records)
    with transaction(side.door("commands")) as cursor:
        CommandAgent(side.codec, CommandHandler(slow, Policy())).apply(cursor, records)
    assert [side.state(each.payment_id).card for each in (late, timely)] == ["requested", "authorized"]


def _record(side: WriteSide, message: Message) -> Any:
    from streams.runtime.records import Record

    headers = {"ce_id": str(uuid4()), "correlation_id": str(message.key)}
    return Record(message.topic, 0, 0, str(message.key).encode(), side.codec.encode(message), headers, 0)


# -- the view of the chain


@pytest.fixture
def an_old_view(side: WriteSide) -> Iterator[None]:
    yield
    side.see_block()


def test_a_listener_that_catches_up_hours_behind_gives_no_view_to_approve_on(
    side: WriteSide, an_old_view: None
) -> None:
    account_id, card = side.account()
    order = asked(account_id, card)
    side.do(order)
    side.see_block(time.time() - 3_600)
    side.do(steps(order)[0])
    with transaction(side.door("commands")) as cursor:
        refused = store.read_stream(cursor, order.payment_id)[-1].message()
    assert isinstance(refused, HoldRefused) and refused.reason == "chain_stale"


def test_a_presentment_twice_at_once_is_one_capture(side: WriteSide) -> None:
    account_id, card = side.account()
    order = asked(account_id, card)
    authorize = payment_commands.AuthorizePayment(payment_id=order.payment_id, account_id=account_id)
    for each in (order, *steps(order), authorize):
        side.do(each)
    posted, command_id = replace(capture(), payment_id=order.payment_id, account_id=account_id), uuid4()
    done = at_once(lambda _: side.do(posted, command_id, side.handler()), 6)
    assert all(isinstance(each, Retry) for each in done if isinstance(each, Exception)), done
    assert side.types(order.payment_id).count("PaymentCaptured") == 1
