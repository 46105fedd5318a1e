"""What is wrong gets its named answer or is parked, what is odd but legal is taken for what it is, and nothing else stops."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from eth_account import Account
from sqlalchemy import Engine

from api.demo.scenario import SEND
from api.demo.world import World
from connectors.chain.accounts.request import Request
from connectors.chain.contracts.events import TOPICS, Transfer
from connectors.chain.settings import Token
from infra.database import transaction
from infra.errors import BadInput
from streams.runtime import replay


def test_a_malformed_log_of_a_watched_topic_stops_nothing(world: World, agrees: Callable[[], None]) -> None:
    """A contract logs Transfer's topic with one byte of data: the constructor below, LOG3 over one byte."""
    topic = TOPICS[Transfer].removeprefix("0x")
    code = bytes.fromhex("600060007f" + topic + "60016000a300")
    sender = Account.from_key(world.chain.deployment.outsider_key)
    sent = world.chain.w3.eth.account.sign_transaction(
        {
            "type": 2, "chainId": 100, "nonce": world.chain.w3.eth.get_transaction_count(sender.address, "pending"),
            "data": code, "value": 0, "gas": 200_000, "maxFeePerGas": 10**11, "maxPriorityFeePerGas": 10**9,
        },
        sender.key,
    )  # fmt: skip
    tx_hash = world.chain.w3.eth.send_raw_transaction(sent.raw_transaction)
    (receipt,) = world.chain.wait_receipts([world.chain.w3.to_hex(tx_hash)])
    assert len(receipt["logs"]) == 1
    after = world.spend(world.customers[0], 11)
    world.until_payment(world.payment_of(after), outcome="settled")
    agrees()


def test_a_transfer_of_nothing_is_legal_and_says_nothing(world: World, agrees: Callable[[], None]) -> None:
    account = world.customers[0]
    before = _version(world, account.account_id)
    (receipt,) = world.chain.wait_receipts([world.chain.transfer(account.account.owner_key, account.account.safe, 0)])
    world.until("the block is final", lambda: _final_block(world) >= receipt["blockNumber"])
    agrees()
    assert _version(world, account.account_id) == before


def test_an_amount_beyond_two_to_the_255_is_booked_to_the_last_unit(world: World, agrees: Callable[[], None]) -> None:
    huge = 2**255 + 1
    (account,) = world.chain.create_accounts(1)
    world.chain.mine(10)
    rich = world.register(account, "card_rich")
    world.chain.wait_receipts([world.chain.mint(account.safe, huge)])
    world.until("the huge deposit is final", lambda: _balance(world, rich.account_id) == huge)
    agrees()


def test_a_zero_amount_asks_whether_the_card_is_good(world: World) -> None:
    told = world.authorize(world.customers[0], 0, f"zero-{uuid4()}")
    assert (told["approved"], told["response_code"], told["state"]) == (True, "00", "verified")


def test_an_unknown_card_is_declined_and_stays_on_record(world: World, agrees: Callable[[], None]) -> None:
    body = {"card_token": "card_nobody", "amount_minor": 100, "currency": "EUR"}
    answer = world.post("/v1/authorizations", body, **{"Idempotency-Key": f"unknown-{uuid4()}"}).json()
    assert (answer["approved"], answer["response_code"], answer["reason"]) == (False, "14", "account_unknown")
    world.until_payment(answer["payment_id"], outcome="declined")
    agrees()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"swipe!", 400),
        (b'{"card_token": "x", "amount_minor": "12.34", "currency": "EUR"}', 422),
        (b'{"card_token": "x", "amount_minor": 12.34, "currency": "EUR"}', 422),
        (b'{"card_token": "x", "amount_minor": %d, "currency": "EUR"}' % 2**255, 422),
        (b'{"card_token": "x", "amount_minor": -1, "currency": "EUR"}', 422),
        (b'{"card_token": "x", "amount_minor": 1, "currency": "euro"}', 422),
    ],
)
def test_a_body_that_cannot_be_taken_is_a_named_problem(world: World, body: bytes, status: int) -> None:
    headers = {"Idempotency-Key": f"bad-{uuid4()}", "Content-Type": "application/json"}
    answer = world.http.post("/v1/authorizations", content=body, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json()["title"] and answer.json()["detail"]


def test_an_account_nobody_knows_is_not_found(world: World) -> None:
    answer = world.http.get(f"/v1/accounts/{uuid4()}")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_a_wallet_of_a_token_we_do_not_follow_cannot_be_registered(world: World) -> None:
    stranger = world.chain.deployment.multicall
    token = Token(address=stranger, symbol="XXX", currency="EUR", decimals=18, twin=None)
    account = world.customers[0].account
    with pytest.raises(BadInput, match="does not answer"):
        world.operator.registrar.register(
            Request(account.safe, token, "customer", account.roles, account.delay, "card_x"), "operator"
        )


@pytest.mark.parametrize("record", [b"", b"{}", b"\x00\x00\x0f\xff\xff", b"\x01\x02\x03\x04\x05\x06"])
def test_bytes_that_are_no_message_are_parked_and_can_be_discarded(
    world: World, agrees: Callable[[], None], record: bytes
) -> None:
    key = f"broken-{uuid4()}"
    with transaction(world.operator.write) as cursor:
        cursor.execute(SEND, (uuid4(), key, record, str(uuid4()), str(uuid4())))
    for consumer in ("sagas", "notifications", "projections"):
        database = world.operator.read if consumer == "projections" else world.operator.write

        def parked(database: Engine = database, consumer: str = consumer) -> UUID | None:
            with transaction(database) as cursor:
                found = replay.find(cursor, consumer=consumer, states=("parked",))
            return next((each.parked_id for each in found if each.record.key_text == key), None)

        parked_id = world.until(f"{consumer} parked {key}", parked)
        replay.discard(database, parked_id, by="operator", reason="no message")
    agrees()


def _balance(world: World, account_id: UUID) -> int:
    return int(world.get(f"/v1/accounts/{account_id}/balance")["total_raw"])


def _version(world: World, stream_id: UUID) -> int:
    with transaction(world.auditor.write) as cursor:
        cursor.execute("SELECT version FROM streams WHERE stream_id = %s", (stream_id,))
        ((version,),) = cursor.fetchall()
    return int(version)


def _final_block(world: World) -> int:
    with transaction(world.auditor.write) as cursor:
        cursor.execute("SELECT final_number FROM chain_cursors")
        ((number,),) = cursor.fetchall()
    return int(number)
