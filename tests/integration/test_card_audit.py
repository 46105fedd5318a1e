"""The audit's subjects that need no chain, on the card leg's whole life: what R shows and what W holds agree, and what is changed is found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest

from connectors.gateway.requests import AuthorizationRequest, Opening
from connectors.verify.report import Difference
from connectors.verify.verification import verify
from infra.database import transaction
from schemas.messages import card_controls as controls
from schemas.messages import payment_commands
from streams.domain import ids
from streams.domain.chain import facts
from streams.domain.circumstances import Policy
from streams.event_store import store
from streams.sagas.engine import Engine
from tests.integration.conftest import Databases
from tests.integration.programme import CENT, Programme

ASKED = frozenset(
    {
        "sagas",
        "saga_steps",
        "saga_inbox",
        "payments",
        "balances",
        "ledger_postings",
        "ledger_accounts",
        "events",
        "streams",
    }
)
"""What is brought to R by hand has no Kafka headers, and nobody carries out what sagas order."""


@pytest.fixture(scope="module")
def programme(databases: Databases) -> Iterator[Programme]:
    made = Programme(databases)
    _live(made)
    made.deliver()
    _hear(made)
    yield made


def _live(made: Programme) -> None:
    """A payment of each kind, each as far as it goes."""
    messages = made.gateway.messages
    made.do(controls.SetCardLimits(account_id=made.account_id, per_day_minor=90_000))
    made.do(controls.BlockMcc(account_id=made.account_id, mcc="5993", reason="holder"))
    first, second, third = (_approved(made) for _ in range(3))
    messages.increment(first, "i1", 500, "EUR", "test")
    messages.increment(first, "i2", 99_999_999, "EUR", "test")
    messages.reverse(first, "r1", "test", 300)
    messages.capture(first, "p1", 400, "EUR", "test", final=False)
    _move(made, first)
    messages.capture(second, "p1", 1_250, "EUR", "test")
    messages.refund(second, "f1", 200, "EUR", "test")
    messages.reverse_refund(second, "f1", "fr1", "test")
    messages.open_dispute(second, "d1", 700, "EUR", "fraud", "test")
    messages.open_dispute(second, "d2", 100, "EUR", "fraud", "test")
    messages.resolve_dispute(second, "d1", "lost", "test")
    _end_last(made, second)
    messages.write_off(second, "test")
    _move(made, second)
    messages.capture(third, "p1", 900, "EUR", "test")
    messages.reverse_capture(third, "p1", "cr1", "test")
    _move(made, third)
    _refund(made, third)
    told = Opening(made.card, 700, "EUR")
    key = uuid4().hex
    declined = made.gateway.authorize(AuthorizationRequest(key, made.card, 100_000_000, "EUR"))
    messages.reverse(declined.payment_id, "r1", "test")
    messages.advise(key, "a1", told, "network")
    made.streams.append(declined.payment_id)
    opened = [
        messages.present(uuid4().hex, told, "test"),
        messages.advise(uuid4().hex, uuid4().hex, told, "test"),
        messages.refund_unlinked(uuid4().hex, told, "test"),
        messages.reverse_early(uuid4().hex, "r1", told, "network"),
        messages.present(uuid4().hex, Opening("nobody's", 700, "EUR"), "test"),
    ]
    made.streams += [each.payment_id for each in opened]
    _refund(made, opened[2].payment_id)


def _hear(made: Programme) -> None:
    """The sagas take everything that happened."""
    codec = made.databases.codec
    engine = Engine(Policy(), "sagas", lambda cursor, orders: store.send(cursor, codec, orders))
    with transaction(made.databases.as_role("write", "sagas")) as cursor:
        for payment_id in made.streams[1:]:
            newest = store.read_stream(cursor, payment_id)[-1]
            engine.deliver(cursor, {payment_id: [(newest.version, newest.event_id)]})


def _approved(made: Programme) -> UUID:
    answer = made.gateway.authorize(AuthorizationRequest(uuid4().hex, made.card, 1_000, "EUR"))
    assert answer.approved
    made.streams.append(answer.payment_id)
    return answer.payment_id


def _legs(made: Programme, payment_id: UUID) -> list[tuple[UUID, str, int]]:
    with transaction(made.owner) as cursor:
        payment = made.handler.state(cursor, payment_id)
    assert payment is not None
    return [(each.leg_id, each.kind, each.amount_raw) for each in payment.legs.values() if each.state == "planned"]


def _move(made: Programme, payment_id: UUID) -> None:
    """All that is planned is mined, and final."""
    for leg_id, kind, amount in _legs(made, payment_id):
        way, tx_hash = ("out" if kind == "spend" else "in"), f"0x{uuid4().hex}{uuid4().hex}"
        transfer = facts.Transfer(
            made.account_id, ids.leg_transfer_id(100, leg_id), way, kind, "0xsettlement", amount, tx_hash, 0, made.block(),
            payment_id, leg_id, kind,
        )  # fmt: skip
        made.do(facts.SeeTransfer(transfer))
        made.do(facts.FinalizeTransfer(transfer))


def _refund(made: Programme, payment_id: UUID) -> None:
    made.do(payment_commands.PlanRefund(payment_id=payment_id, account_id=made.account_id, reason="corrected"))
    _move(made, payment_id)


def _end_last(made: Programme, payment_id: UUID) -> None:
    """The payment's last spend can never happen any more."""
    leg_id, *_ = _legs(made, payment_id)[-1]
    transfer_id = ids.leg_transfer_id(100, leg_id)
    made.do(facts.FinalizeInvalidation(payment_id, made.account_id, leg_id, transfer_id, "0xinvalidate", made.block()))


def differences(databases: Databases, programme: Programme) -> list[Difference]:
    write, read = databases.as_role("write", "auditor"), databases.as_role("read", "auditor")
    result = verify(write, read, None, ask_node=False, patience=0)
    mine = {str(each) for each in programme.streams}
    return [each for each in result.differences if each.table in ASKED and any(one in str(each) for one in mine)]


def test_what_is_shown_and_booked_is_what_happened(databases: Databases, programme: Programme) -> None:
    assert differences(databases, programme) == []


def test_an_order_that_is_refused_agrees_with_its_refusal_which_has_a_reason_of_its_own(
    databases: Databases, programme: Programme
) -> None:
    """A second dispute, because of fraud, is refused since there is one."""
    result = verify(databases.as_role("write", "auditor"), databases.as_role("read", "auditor"), None, patience=0)
    assert [each for each in result.differences if "its first event says otherwise" in each.about] == []


def test_an_ended_payment_leaves_nothing_on_the_card_and_what_was_given_up_is_a_loss(programme: Programme) -> None:
    with transaction(programme.databases.as_role("read", "auditor")) as cursor:
        cursor.execute(
            "SELECT split_part(name, ':', 1), side, debits_posted - credits_posted FROM ledger_accounts WHERE account_id = %s",
            (programme.account_id,),
        )
        books = {name: (side, int(amount) // CENT) for name, side, amount in cursor.fetchall()}
    assert books["receivable"] == ("asset", 0) and books["dispute"] == ("asset", 0)
    assert books["loss"][0] == "expense" and books["loss"][1] > 0
    assert books["suspense"] == ("liability", 0), "the unlinked refund is paid"


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("payments", "open_minor = open_minor + 1"),
        ("payments", "due_raw = due_raw + 1"),
        ("payments", "legs = '{}'"),
        ("payments", "message = 'nothing'"),
        ("ledger_postings", "book = 'wallet'"),
        ("balances", "card_limits = '{}'"),
        ("balances", "blocks = '{}'"),
    ],
)
def test_whatever_is_changed_is_found(table: str, change: str, databases: Databases, programme: Programme) -> None:
    where = {"payments": "legs <> '{}'", "ledger_postings": "book = 'card'", "balances": "true"}[table]
    key = {"payments": "payment_id", "ledger_postings": "posting_id", "balances": "account_id"}[table]
    with transaction(databases.as_role("read", "owner")) as cursor:
        cursor.execute(
            f"SELECT to_jsonb(t) FROM {table} AS t WHERE account_id = %s AND {where} ORDER BY {key} LIMIT 1",
            (programme.account_id,),
        )
        ((before,),) = cursor.fetchall()
        cursor.execute(f"UPDATE {table} SET {change} WHERE {key} = %s", (before[key],))
    try:
        assert differences(databases, programme)
    finally:
        with transaction(databases.as_role("read", "owner")) as cursor:
            column = change.partition(" ")[0]
            cursor.execute(
                f"UPDATE {table} SET {column} = (jsonb_populate_record(NULL::{table}, %s)).{column} WHERE {key} = %s",
                (_json(before), before[key]),
            )


def test_a_wallets_posting_in_the_card_book_is_found(databases: Databases, programme: Programme) -> None:
    """One that belongs to no payment has no place there at all."""
    where = "account_id = %s AND kind = 'opening'"
    with transaction(databases.as_role("read", "owner")) as cursor:
        cursor.execute(f"UPDATE ledger_postings SET book = 'card' WHERE {where}", (programme.account_id,))
    try:
        assert differences(databases, programme)
    finally:
        with transaction(databases.as_role("read", "owner")) as cursor:
            cursor.execute(f"UPDATE ledger_postings SET book = 'wallet' WHERE {where}", (programme.account_id,))


def _json(row: dict[str, object]) -> str:
    return json.dumps(row, default=str)
