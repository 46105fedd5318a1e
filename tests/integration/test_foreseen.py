"""What is decided ahead of what is not stored yet: it stands where all came as foreseen, and is decided again where anything did not."""

from __future__ import annotations

from uuid import uuid4

from infra.database import transaction
from schemas.messages.account_commands import FreezeCard
from streams.command_handler import CommandHandler
from streams.domain.chain.facts import FinalizeTransfer
from streams.orders import Order, Outcome
from streams.unit_of_work import UnitOfWork
from tests.given import CENT, deposit
from tests.integration.write_side import WriteSide, cause

OPENING = 5_000


class History:
    """Two stretches of an account's past, the second foreseen before the first is written."""

    def __init__(self, side: WriteSide) -> None:
        self.side, self.handler = side, side.handler()
        self.account_id, _ = side.account(OPENING)
        self.first, self.second = self.stretch(1, 2), self.stretch(4)
        with transaction(side.door("commands")) as cursor:
            self.foreseen = self.handler.foresee(cursor, self.first)
            self.next = self.handler.foresee(cursor, self.second, self.foreseen)

    def stretch(self, *cents: int) -> list[Order]:
        told = [deposit(each, account_id=self.account_id, transfer_id=uuid4()) for each in cents]
        return [
            Order(each.transfer_id, FinalizeTransfer(each, at_first_sight=True), cause(each.transfer_id))
            for each in told
        ]

    def write(self, orders: list[Order], foreseen: UnitOfWork, handler: CommandHandler | None = None) -> list[Outcome]:
        with transaction(self.side.door("commands")) as cursor:
            return (handler or self.handler).handle(cursor, orders, foreseen=foreseen)

    def must_have(self, cents: int, versions: int) -> None:
        state = self.side.state(self.account_id)
        assert (state.final_raw, self.versions) == ((OPENING + cents) * CENT, list(range(1, versions + 1)))

    @property
    def versions(self) -> list[int]:
        with transaction(self.side.door("auditor")) as cursor:
            cursor.execute("SELECT version FROM events WHERE stream_id = %s ORDER BY position", (self.account_id,))
            return [row[0] for row in cursor.fetchall()]


def test_all_that_came_as_foreseen_stands(side: WriteSide) -> None:
    past = History(side)
    kept = past.write(past.first, past.foreseen) + past.write(past.second, past.next)
    told = [*past.foreseen._outcomes.values(), *past.next._outcomes.values()]
    assert all(one is other for one, other in zip(kept, told, strict=True)), "nothing was decided twice"
    past.must_have(7, versions=4)


def test_what_somebody_came_before_is_decided_again(side: WriteSide) -> None:
    past = History(side)
    past.write(past.first, past.foreseen)
    side.do(FreezeCard(account_id=past.account_id, reason="holder"))
    past.write(past.second, past.next)
    past.must_have(7, versions=5)
    assert side.state(past.account_id).card_state == "frozen"


def test_what_was_foreseen_after_something_that_came_to_nothing_is_decided_again(side: WriteSide) -> None:
    past = History(side)
    past.write(past.second, past.next)
    past.must_have(4, versions=2)
    past.write(past.first, past.foreseen)
    past.must_have(7, versions=4)


def test_a_stream_as_long_as_foreseen_but_with_other_events_is_another(side: WriteSide) -> None:
    past = History(side)
    side.do(FreezeCard(account_id=past.account_id, reason="holder"))
    past.write(past.first[1:], past.foreseen, side.handler())
    past.write(past.second, past.next)
    past.must_have(6, versions=4)
    assert side.state(past.account_id).card_state == "frozen"


def test_what_was_carried_out_before_is_told_again_and_moves_nothing(side: WriteSide) -> None:
    past = History(side)
    past.write(past.first, past.foreseen)
    past.write(past.second, past.next)
    again = past.write(past.second, past.next, side.handler())
    assert [each.repeated for each in again] == [True]
    past.must_have(7, versions=4)
