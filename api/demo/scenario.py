"""The scenario, a step a function: read it from top to bottom. Each step does what people do, and demands what must come of it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from uuid import UUID, uuid4

from api.demo.world import Customer, World
from api.roots.audit import anchorer_of, filler_of
from connectors.anchoring.rows import Anchor
from infra.database import transaction
from streams.domain.money import raw_of
from streams.notifications import endpoints
from streams.runtime import replay

CUSTOMERS, SPENDS, AT_ONCE, FUNDED = 20, 50, 100, 37
DEPOSIT_MINOR = 200_00
POISON_KEY = "poison"
SEND = """
SELECT send_commands(ARRAY[%s]::uuid[], ARRAY['payments.events'], ARRAY[%s], ARRAY['PaymentRequested'], ARRAY[%s]::bytea[],
                     ARRAY['00-0-0-00'], ARRAY[%s], ARRAY[%s])
"""


def accounts(world: World) -> str:
    """Twenty Safes with Roles and Delay modifiers, made as account-kit makes them, come under watch; somebody wants webhooks."""
    with transaction(world.operator.write) as cursor:
        _, world.receiver.secret = endpoints.register(
            cursor, world.receiver.url, allowed_hosts=("127.0.0.1",), by="demo"
        )
    made = world.chain.create_accounts(CUSTOMERS)
    world.chain.mine(10)
    world.register_settlement()
    world.customers = [world.register(account, f"card_{secrets.token_hex(6)}") for account in made]
    world.until(
        "all accounts are on the API", lambda: len(world.get("/v1/accounts", limit=100)["accounts"]) > CUSTOMERS
    )
    return f"{CUSTOMERS} accounts"


def deposits(world: World) -> str:
    """Everybody is topped up; the hot one gets funds for exactly 37 euros. A deposit counts when it is final."""
    world.chain.interval_mining(1)
    sent = [world.deposit(each, FUNDED * 100 if each is _hot(world) else DEPOSIT_MINOR) for each in world.customers]
    world.chain.wait_receipts(sent)
    for each in world.customers:
        wanted = FUNDED * 100 if each is _hot(world) else DEPOSIT_MINOR
        world.until("a deposit is final", lambda each=each, wanted=wanted: _spendable(world, each) == wanted)  # type: ignore[misc]
    return f"{len(sent)} deposits final"


def spends(world: World) -> str:
    """Fifty spends through the Roles modules, by another processor: seen, booked, screened, final."""
    payers = world.customers[:15]
    sent = [world.spend(payers[i % len(payers)], 100 + i) for i in range(SPENDS)]
    world.chain.wait_receipts(sent)
    for each in sent:
        world.until_payment(world.payment_of(each), outcome="settled")
    return f"{SPENDS} spends settled"


def answers(world: World) -> str:
    """The network asks: one approved, one declined for want of funds, one for a frozen card."""
    payer, frozen = world.customers[0], _frozen(world)
    approved = world.authorize(payer, 12_34, _key())
    world.must(
        "an authorization with funds is approved", (approved["approved"], approved["response_code"]), (True, "00")
    )
    refused = world.authorize(payer, 99_999_99, _key())
    world.must("one beyond the funds is declined", (refused["approved"], refused["response_code"]), (False, "51"))
    world.post(f"/v1/accounts/{frozen.account_id}/card/freeze", {"reason": "holder"}).raise_for_status()
    blocked = world.authorize(frozen, 1_00, _key())
    world.must("one on a frozen card is declined", (blocked["approved"], blocked["response_code"]), (False, "62"))
    world.until_payment(approved["payment_id"], outcome="settled")
    return "00, 51, 62"


def at_once(world: World) -> str:
    """A hundred authorizations of one euro at once, on one account with funds for 37: exactly 37 are approved."""
    told = world.authorize_all(_hot(world), 100, [_key() for _ in range(AT_ONCE)], deadline_ms=30_000)
    approved = [each["payment_id"] for each in told if each["approved"]]
    world.must("of a hundred at once are approved", len(approved), FUNDED)
    reasons = {each["reason"] for each in told if not each["approved"]}
    world.must("the others are declined for", reasons, {"insufficient_funds"})
    for payment_id in approved:
        world.until_payment(payment_id, seconds=120, outcome="settled")
    world.must("the account is spent to the last cent", _spendable(world, _hot(world)), 0)
    return f"{len(approved)} of {AT_ONCE} approved"


def frozen_spend(world: World) -> str:
    """A spend on the frozen card, made on chain behind our back: booked, refused, and refunded on chain once final."""
    frozen = _frozen(world)
    sent = world.spend(frozen, 5_00)
    world.chain.wait_receipts([sent])
    told = world.until_payment(world.payment_of(sent), seconds=120, outcome="refunded")
    world.must("the refunded payment was declined for", told["reason"], "card_frozen")
    world.must("the refund is on the chain", world.chain.balance(frozen.account.safe), raw_of(DEPOSIT_MINOR, "EUR", 18))
    return "refunded on chain"


def reorg_drops(world: World) -> str:
    """A reorg drops a foreign spend: it ends unseen, and what it would take stays reserved."""
    payer = world.customers[16]
    world.chain.stop_mining()
    sent = world.spend(payer, 7_00)
    world.chain.mine(1)
    world.chain.wait_receipts([sent])
    payment_id = world.payment_of(sent)
    world.until_payment(payment_id, spend_state="seen")
    world.chain.reorg(2)
    world.chain.mine(1)
    world.until_payment(payment_id, outcome="unseen")
    world.must("what may yet be mined stays reserved", _spendable(world, payer), DEPOSIT_MINOR - 7_00)
    return "unseen"


def reorg_moves(world: World) -> str:
    """Another reorg moves a spend to a later block: unseen, seen again, settled once."""
    payer = world.customers[17]
    sent = world.spend(payer, 8_00)
    world.chain.mine(1)
    world.chain.wait_receipts([sent])
    payment_id = world.payment_of(sent)
    first = world.until_payment(payment_id, spend_state="seen")["block_number"]
    world.chain.reorg(2, resend={sent.hash})
    world.chain.mine(1)
    world.chain.wait_receipts([sent])
    world.chain.interval_mining(1)
    told = world.until_payment(payment_id, outcome="settled")
    world.must("it settled in a later block", told["block_number"] > first, True)
    return f"block {first} -> {told['block_number']}"


def poison(world: World) -> str:
    """Broken bytes come through the outbox under a key of their own: parked by every consumer, all else goes on, discarded."""
    message_id, correlation_id = uuid4(), uuid4()
    with transaction(world.operator.write) as cursor:
        cursor.execute(
            SEND, (message_id, POISON_KEY, b"\x00\x00\x00\x00\x01broken", str(message_id), str(correlation_id))
        )
    databases = {
        "sagas": world.operator.write,
        "notifications": world.operator.write,
        "projections": world.operator.read,
    }
    for consumer, database in databases.items():
        parked_id = world.until(f"{consumer} parked it", lambda c=consumer, d=database: _parked(d, c))  # type: ignore[misc]
        replay.discard(database, parked_id, by="operator", reason="broken bytes, sent on purpose by the demo")
    after = world.authorize(world.customers[1], 1_00, _key())
    world.must("payments go on", after["approved"], True)
    world.until_payment(after["payment_id"], outcome="settled")
    return f"parked by {len(databases)}, discarded"


def statements(world: World) -> str:
    """Every customer has a statement, and it ends in what the chain holds."""
    for each in world.customers:
        told = world.get(f"/v1/accounts/{each.account_id}/statement")
        held = str(world.chain.balance(each.account.safe))
        world.must(f"the statement of {each.card_token} closes with", told["closing_raw"], held)
    return f"{len(world.customers)} statements"


def anchor(world: World) -> str:
    """The audit log's root is stated on chain: what anybody changes of the day from now on, `verify` names."""
    filler_of(world.audit).catch_up(30)
    anchorer = anchorer_of(world.audit)
    anchorer.begin()
    anchorer.carry()
    world.chain.mine(10)

    def final() -> Anchor | None:
        anchorer.carry()
        newest = anchorer.newest()
        return newest if newest and newest.state == "final" else None

    return f"{world.until('the anchor is final', final).head.size:,} events"


Step = Callable[[World], str]
STEPS: tuple[tuple[str, Step], ...] = (
    ("accounts", accounts),
    ("deposits", deposits),
    ("spends", spends),
    ("answers", answers),
    ("at once", at_once),
    ("frozen spend", frozen_spend),
    ("reorg drops", reorg_drops),
    ("reorg moves", reorg_moves),
    ("poison", poison),
    ("statements", statements),
    ("anchor", anchor),
)


def _hot(world: World) -> Customer:
    return world.customers[-1]


def _frozen(world: World) -> Customer:
    return world.customers[-2]


def _key() -> str:
    return f"demo-{secrets.token_hex(8)}"


def _spendable(world: World, customer: Customer) -> int:
    return int(world.get(f"/v1/accounts/{customer.account_id}/balance")["spendable_minor"])


def _parked(database: object, consumer: str) -> UUID | None:
    with transaction(database) as cursor:  # type: ignore[arg-type]
        found = replay.find(cursor, consumer=consumer, states=("parked",))
    return next((each.parked_id for each in found if each.record.key_text == POISON_KEY), None)
