"""Processes die and freeze while payments flow: afterwards every payment has its right end, once, and verify agrees with the chain.

In every run one process of each role and each server, and a seeded sample of the failpoints; all of them, one after the other, in
the long run. What needs a reorg or an overloaded receiver to be passed at all dies in the tests of its own component.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import zip_longest
from uuid import uuid4

import httpx
import pytest

from api.demo.world import World
from infra.database import transaction
from infra.errors import Misconfigured
from infra.stack.roles import COMPONENTS
from schemas.topics import SUBSCRIPTIONS
from tests.acceptance.traffic import Traffic
from tests.failpoints import in_the_code

ROLES = [each.name for each in COMPONENTS if each.instances > 1]  # the one that anchors dies in tests of its own
GROUPS = [each.component for each in SUBSCRIPTIONS]
SERVERS = ["kafka", "connect", "registry", "write", "read"]
FROZEN_SERVER_SECONDS = {"kafka": 8.0}
"""Longer than a consumer's session (6 s), for the broker; 3 s for any other."""
SEED = 20260301

Agrees = Callable[[], None]

# -- killed


def test_a_killed_process_of_each_role_loses_nothing(world: World, agrees: Agrees) -> None:
    with Traffic(world) as traffic:
        for name in ROLES:
            kill(world, name)
            traffic.goes_on(2)
    traffic.all_end()
    agrees()


def test_a_killed_server_loses_nothing(world: World, agrees: Agrees) -> None:
    with Traffic(world) as traffic:
        for name in ("kafka", "write"):
            kill_server(world, traffic, name)
    traffic.all_end()
    agrees()


@pytest.mark.long
@pytest.mark.parametrize("worker", [1, 2])
@pytest.mark.parametrize("name", ROLES)
def test_any_killed_process_of_ours_loses_nothing(world: World, agrees: Agrees, name: str, worker: int) -> None:
    with Traffic(world) as traffic:
        kill(world, name, worker)
        traffic.goes_on()
    traffic.all_end()
    agrees()


@pytest.mark.long
@pytest.mark.parametrize("name", SERVERS)
def test_any_killed_server_loses_nothing(world: World, agrees: Agrees, name: str) -> None:
    with Traffic(world) as traffic:
        kill_server(world, traffic, name)
    traffic.all_end()
    agrees()


@pytest.mark.long
def test_every_process_of_ours_killed_at_once_loses_nothing(world: World, agrees: Agrees) -> None:
    with Traffic(world) as traffic:
        before = {(name, worker): pid_of(world, name, worker) for name in ROLES for worker in (1, 2)}
        for name, worker in before:
            world.stack.kill(name, worker, stay_down=False)
        world.until("all have been started again", lambda: all(pid_of(world, *p) not in (0, before[p]) for p in before))
        traffic.goes_on()
    traffic.all_end()
    agrees()


@pytest.mark.long
@pytest.mark.usefixtures("still")
def test_a_node_that_ended_in_order_goes_on_with_its_chain(world: World, agrees: Agrees) -> None:
    """It is never killed: only a node that ends in order writes its chain down."""
    head = world.chain.head
    world.stack.restart("node")
    world.chain.resume_clock()
    assert world.chain.head == head
    world.chain.interval_mining(1)
    with Traffic(world) as traffic:
        traffic.goes_on()
    traffic.all_end()
    agrees()


# -- frozen and thawed


def test_a_zombie_of_each_role_does_no_harm_when_it_wakes(world: World, agrees: Agrees) -> None:
    """All at once, and until each one's work has moved to its twin. The gateway's has a test of its own."""
    with Traffic(world) as traffic:
        freeze_until_moved(world, traffic, [name for name in ROLES if name != "api"])
        traffic.goes_on(8)
    traffic.all_end()
    agrees()


def test_a_gateway_frozen_past_its_deadline_approves_nothing_late(world: World, agrees: Agrees) -> None:
    """Twelve requests are under way when it freezes; the network repeats them when it wakes."""
    with Traffic(world) as traffic, ThreadPoolExecutor(12) as pool:
        asked = [(f"frozen-{uuid4()}", n % 6, 20) for n in range(12)]
        taken = [pool.submit(authorize, traffic, *each) for each in asked]
        time.sleep(0.02)  # in the midst of them, wherever that is
        world.stack.freeze("api", 1)
        time.sleep(2.5)  # the deadline is 1.7 s after the request
        world.stack.thaw("api", 1)
        told = [each.result() for each in taken]
        traffic.keys += asked
    traffic.all_end()
    stands = {str(each["payment_id"]): each["approved"] for each in told if each is not None}
    for payment_id, approved in stands.items():
        outcome = world.get(f"/v1/payments/{payment_id}")["outcome"]
        assert (outcome == "settled") == approved, f"{payment_id}: told approved={approved}, the stream says {outcome}"
    agrees()


def test_a_frozen_server_that_wakes_does_no_harm(world: World, agrees: Agrees) -> None:
    with Traffic(world) as traffic:
        for name in ("kafka", "write"):
            freeze_server(world, traffic, name)
    traffic.all_end()
    agrees()


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in ROLES if name != "api"])
def test_any_zombie_does_no_harm_when_it_wakes(world: World, agrees: Agrees, name: str) -> None:
    with Traffic(world) as traffic:
        freeze_until_moved(world, traffic, [name])
        traffic.goes_on(8)
    traffic.all_end()
    agrees()


@pytest.mark.long
@pytest.mark.parametrize("name", [*SERVERS, "node"])
def test_any_frozen_server_that_wakes_does_no_harm(world: World, agrees: Agrees, name: str) -> None:
    with Traffic(world) as traffic:
        freeze_server(world, traffic, name)
    traffic.all_end()
    agrees()


# -- dead between two writes


def rounds(seed: int | None = None) -> list[dict[str, str]]:
    """Component -> the failpoint where a process of it dies; each failpoint of each component is in one round."""
    points = in_the_code(GROUPS)
    if seed is not None:
        for each in points.values():
            random.Random(seed).shuffle(each)
    columns = zip_longest(*points.values())
    return [{name: point for name, point in zip(points, row, strict=True) if point} for row in columns]


@pytest.mark.parametrize("points", rounds(SEED)[:1], ids=lambda points: f"{len(points)} failpoints")
def test_a_process_of_each_role_that_dies_between_two_writes_goes_on(
    world: World, agrees: Agrees, points: dict[str, str]
) -> None:
    die_at(world, points)
    agrees()


@pytest.mark.long
@pytest.mark.parametrize("points", rounds(SEED)[1:], ids=lambda points: f"{len(points)} failpoints")
def test_a_process_that_dies_at_any_of_its_failpoints_goes_on(
    world: World, agrees: Agrees, points: dict[str, str]
) -> None:
    die_at(world, points)
    agrees()


def die_at(world: World, points: dict[str, str]) -> None:
    """The first worker of each component is told to die at its point; started again by its keeper, it is told nothing."""
    with ThreadPoolExecutor(len(points)) as pool:
        if "listener" in points:
            world.stack.stop_process("listener", 2)  # only one works, and it must be the one that dies
        armed = dict(zip(points, pool.map(lambda name: arm(world, name, points[name]), points), strict=True))
        with Traffic(world) as traffic:
            if points.get("listener") == "listener.before_welcome_commit":
                come_under_watch(world)
            world.until(f"they died at {points}", lambda: not still_there(world, armed), seconds=90)
            traffic.goes_on()
        if "listener" in points:
            world.stack.start_process("listener", 2)
        traffic.all_end()


def arm(world: World, component: str, failpoint: str) -> int:
    """Its first worker, started anew and told where to die; gives its process id."""
    world.stack.settings.setdefault(component, {})["PAYRIVER_FAILPOINT"] = failpoint
    try:
        world.stack.restart(component, 1)
        return world.stack.pid(component, 1)
    except Misconfigured:
        return 0  # dead already
    finally:
        del world.stack.settings[component]["PAYRIVER_FAILPOINT"]


def still_there(world: World, armed: dict[str, int]) -> list[str]:
    return [name for name, pid in armed.items() if pid_of(world, name) in (0, pid)]


def come_under_watch(world: World) -> None:
    """A newcomer, for what the listener does with one."""
    (account,) = world.chain.create_accounts(1)
    world.chain.mine(10)
    world.register(account, f"card-{uuid4()}")


# -- how


def kill(world: World, name: str, worker: int = 1) -> None:
    """SIGKILL, and its keeper has started it again."""
    before = world.stack.pid(name, worker)
    world.stack.kill(name, worker, stay_down=False)
    world.until(f"{name} was started again", lambda: pid_of(world, name, worker) not in (0, before))


def kill_server(world: World, traffic: Traffic, name: str) -> None:
    """SIGKILL, payments while it is away, and started again."""
    world.stack.kill(name)
    traffic.goes_on(2)
    world.stack.start_process(name)
    traffic.goes_on(2)


def freeze_server(world: World, traffic: Traffic, name: str) -> None:
    """SIGSTOP and SIGCONT. Nobody can say when its clients have noticed, so the time is fixed."""
    world.stack.freeze(name)
    try:
        time.sleep(FROZEN_SERVER_SECONDS.get(name, 3.0))
    finally:
        world.stack.thaw(name)
    traffic.goes_on(2)


def freeze_until_moved(world: World, traffic: Traffic, names: list[str]) -> None:
    """Freeze a process of each, the one that works; until the work of all has moved to their twins; then thaw them."""
    frozen = [(name, lease_holder(world) if name == "listener" else 1) for name in names]
    for name, worker in frozen:
        world.stack.freeze(name, worker)
    try:
        for group in [name for name in names if name in GROUPS]:
            world.until(f"partitions of {group} moved", partial(works_alone, world, group))
        if "listener" in names:
            world.until("the lease moved", lambda: lease_holder(world) != dict(frozen)["listener"])
        traffic.goes_on(8)
    finally:
        for name, worker in frozen:
            world.stack.thaw(name, worker)


def works_alone(world: World, group: str) -> bool:
    """Whether one worker has the topics of a consumer to itself."""
    return len(world.stack.admin.describe_consumer_groups([group])[group].result().members) == 1


def lease_holder(world: World) -> int:
    """Which listener works; 0 while it is none that runs."""
    with transaction(world.auditor.write) as cursor:
        cursor.execute("SELECT holder FROM chain_cursors WHERE lease_until > clock_timestamp()")
        pids = [int(holder.rpartition("/")[2]) for (holder,) in cursor.fetchall()]
    return next((worker for worker in (1, 2) if pid_of(world, "listener", worker) in pids), 0)


def pid_of(world: World, name: str, worker: int = 1) -> int:
    """Its process id; 0 while it is down."""
    try:
        return world.stack.pid(name, worker)
    except Misconfigured:
        return 0


def authorize(traffic: Traffic, key: str, number: int, cents: int) -> dict[str, object] | None:
    try:
        return traffic.world.authorize(traffic.customers[number], cents, key)
    except httpx.HTTPError:
        return None
