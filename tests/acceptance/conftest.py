"""The whole river, two processes of each role, on real servers: started once, played on by every test of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from api.cli.chain_setup import prepare
from api.cli.demo import SENDER
from api.cli.provisioning import River
from api.demo.play import play
from api.demo.receiver import Receiver
from api.demo.view import View
from api.demo.world import World
from connectors.verify.settle import settle
from connectors.verify.verification import verify
from infra.database import transaction
from infra.stack.supervisor import Stack

PARTITIONS = 4


@pytest.fixture(scope="session")
def river() -> Iterator[Stack]:
    """Everything that `payriver demo` starts."""
    stack = Stack(provisioner=River(last=prepare), partitions=PARTITIONS, settings={"sender": dict(SENDER)})
    with stack:
        yield stack


@pytest.fixture(scope="session")
def day(river: Stack) -> dict[str, object]:
    """The demo's day, played once; its summary."""
    return play(river, View(Console(quiet=True), dict))


@pytest.fixture(scope="session")
def world(river: Stack, day: dict[str, object]) -> Iterator[World]:
    """The same river after its day, with customers of its own for more."""
    receiver = Receiver()
    made = World(river, receiver)
    with transaction(made.operator.write) as cursor:
        from streams.notifications import endpoints

        _, receiver.secret = endpoints.register(cursor, receiver.url, allowed_hosts=("127.0.0.1",))
    accounts = made.chain.create_accounts(8)
    made.chain.mine(10)  # their set-up is final
    made.chain.interval_mining(1)
    made.customers = [made.register(each, f"card_resilience_{i}") for i, each in enumerate(accounts)]
    made.chain.wait_receipts([made.deposit(each, 300_00) for each in made.customers])
    for each in made.customers:
        made.until("a deposit is final", lambda each=each: spendable(made, each.account_id) == 300_00)  # type: ignore[misc]
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


def spendable(world: World, account_id: object) -> int:
    """What the API says may be spent, minor units."""
    return int(world.get(f"/v1/accounts/{account_id}/balance")["spendable_minor"])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The day comes first, and may take its time: the first test of this folder starts everything."""
    here = Path(__file__).parent
    for each in items:
        if here in each.path.parents:
            each.add_marker(pytest.mark.timeout(900))
    items.sort(key=lambda each: here in each.path.parents and each.path.name != "test_day.py")
