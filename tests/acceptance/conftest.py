"""The whole river, two processes of each role, on real servers: started once, played on by every test of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from api.demo.play import play
from api.demo.receiver import Receiver
from api.demo.view import View
from api.demo.world import World
from api.roots.development_chain import prepare
from api.roots.embedded import SENDER
from api.roots.provisioning import River
from connectors.verify.settle import settle
from connectors.verify.verification import verify
from infra.database import transaction
from infra.stack.supervisor import Stack
from streams.notifications import endpoints

PARTITIONS = 4


@pytest.fixture(scope="session")
def river() -> Iterator[Stack]:
    """Everything that `payriver demo` starts, on a chain whose blocks are final after four, not eight."""
    stack = Stack(
        provisioner=River(last=prepare),
        partitions=PARTITIONS,
        settings={"sender": dict(SENDER)},
        slots_in_an_epoch=2,
    )
    with stack:
        yield stack


@pytest.fixture(scope="session")
def day(river: Stack) -> dict[str, object]:
    """The demo's day, played once; its summary."""
    return play(river, View(Console(quiet=True), dict))


@pytest.fixture(scope="session")
def world(river: Stack) -> Iterator[World]:
    """The same river, after its day where that is played, with customers of its own for more."""
    receiver = Receiver()
    made = World(river, receiver)
    with transaction(made.operator.write) as cursor:
        _, receiver.secret = endpoints.register(cursor, receiver.url, allowed_hosts=("127.0.0.1",), by="test")
    accounts = made.chain.create_accounts(8)
    made.chain.mine(10)  # their set-up is final
    made.register_settlement()
    made.chain.interval_mining(1)
    made.customers = [made.register(each, f"card_resilience_{i}") for i, each in enumerate(accounts)]
    made.chain.wait_receipts([made.deposit(each, 300_00) for each in made.customers])
    for each in made.customers:
        made.until("an account is on the API", partial(_known, made, each.account_id))
        made.until("a deposit is final", partial(_has, made, each.account_id, 300_00))
    yield made
    receiver.close()


@pytest.fixture
def agrees(world: World) -> Callable[[], None]:
    """Everything comes to rest and `verify` finds no difference."""

    def check() -> None:
        motion = settle(world.auditor.write, world.auditor.read, 90)
        assert motion.at_rest, f"still in motion: {motion}"
        result = verify(world.auditor.write, world.auditor.read, world.auditor.chain, keys=world.auditor.keys)
        assert result.ok, "\n".join(map(str, result.differences[:10]))

    return check


@pytest.fixture
def still(world: World, agrees: Callable[[], None]) -> Iterator[None]:
    """No block comes any more, all that came is read, carried out and told; nothing moves by itself until the test ends."""
    world.chain.stop_mining()
    final, head = (int(world.chain.w3.eth.get_block(tag)["number"]) for tag in ("finalized", "latest"))
    world.until("the listener is at the head", lambda: _rows(world, CURSOR) == [(head, final)])
    agrees()
    world.until("every webhook is told", lambda: not _rows(world, UNTOLD, world.receiver.url))
    yield
    world.chain.interval_mining(1)


CURSOR = "SELECT seen_number, final_number FROM chain_cursors"
UNTOLD = """
SELECT m.message_id FROM webhook_messages AS m INNER JOIN webhook_endpoints AS e USING (endpoint_id)
WHERE m.state = 'waiting' AND e.url = %s
"""


def _rows(world: World, query: str, *values: object) -> list[tuple[object, ...]]:
    with transaction(world.auditor.write) as cursor:
        cursor.execute(query, values)
        return cursor.fetchall()


def _known(world: World, account_id: object) -> bool:
    return world.http.get(f"/v1/accounts/{account_id}/balance").status_code == 200


def _has(world: World, account_id: object, cents: int) -> bool:
    return spendable(world, account_id) == cents


def spendable(world: World, account_id: object) -> int:
    """What the API says may be spent, minor units."""
    return int(world.get(f"/v1/accounts/{account_id}/balance")["spendable_minor"])


FIRST = ("test_demo.py", "test_foreign_node.py", "test_day.py")
"""What starts a river of its own, while none runs beside it; then the day, which starts that of this folder."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Any test of this folder may take its time: the first one of the river starts everything."""
    here = Path(__file__).parent

    def place(item: pytest.Item) -> int:
        if here not in item.path.parents:
            return -1
        return FIRST.index(item.path.name) if item.path.name in FIRST else len(FIRST)

    for each in items:
        if here in each.path.parents:
            each.add_marker(pytest.mark.timeout(900))
    items.sort(key=place)
