"""Processes die and freeze while payments flow: afterwards everything is there once, and verify agrees with the chain."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from api.demo.world import World
from infra.stack.roles import COMPONENTS
from tests.acceptance.traffic import Traffic

pytestmark = pytest.mark.long
OURS = [each.name for each in COMPONENTS]
SERVERS = ["kafka", "connect", "registry", "write", "read"]
ROOT = Path(__file__).parents[2]
SAMPLE = random.Random(20260301)


def failpoints() -> list[str]:
    """Every failpoint in the code, by name; those of the runtime stand once for each of its consumers."""
    found = set()
    for path in (*ROOT.glob("streams/**/*.py"), *ROOT.glob("connectors/**/*.py")):
        for name in re.findall(r'failpoint\(f?"([^"]+)"\)', path.read_text()):
            consumers = ("commands", "sagas", "projections", "notifications", "submitter")
            drivers = ("sagas",)
            if name.startswith("{consumer}"):
                found |= {name.replace("{consumer}", each) for each in consumers}
            elif name.startswith("{self.driver}"):
                found |= {name.replace("{self.driver}", each) for each in drivers}
            else:
                found.add(name)
    return sorted(each for each in found if "rewind" not in each and "unseen" not in each and "pause" not in each)


def component_of(failpoint: str) -> str:
    name = failpoint.partition(".")[0]
    return "api" if name == "gateway" else name


ALL = failpoints()
SAMPLED = sorted(SAMPLE.sample(ALL, 6))


@pytest.mark.parametrize("name", OURS)
def test_a_killed_process_of_ours_loses_nothing(world: World, agrees: Callable[[], None], name: str) -> None:
    with Traffic(world) as traffic:
        time.sleep(1)
        world.stack.kill(name, 1, stay_down=False)
        time.sleep(3)
    traffic.answered_at_last()
    agrees()


@pytest.mark.parametrize("name", SERVERS)
def test_a_killed_server_loses_nothing(world: World, agrees: Callable[[], None], name: str) -> None:
    with Traffic(world, pause_seconds=0.5) as traffic:
        time.sleep(1)
        world.stack.kill(name)
        time.sleep(1)
        world.stack.start_process(name)
        time.sleep(3)
    world.until("the network gets its answers again", lambda: _answers(traffic), seconds=60)
    agrees()


@pytest.mark.parametrize("name", ["listener", "commands", "projections", "kafka"])
def test_a_frozen_process_that_wakes_up_does_no_harm(world: World, agrees: Callable[[], None], name: str) -> None:
    """Longer than a consumer's session: its partitions have moved when it wakes up."""
    with Traffic(world, pause_seconds=0.5) as traffic:
        time.sleep(1)
        world.stack.freeze(name, 1)
        time.sleep(9)
        world.stack.thaw(name, 1)
        time.sleep(2)
    traffic.answered_at_last()
    agrees()


@pytest.mark.parametrize("failpoint", SAMPLED)
def test_a_process_that_dies_between_two_writes_goes_on(
    world: World, agrees: Callable[[], None], failpoint: str
) -> None:
    die_at(world, agrees, failpoint)


@pytest.mark.parametrize("failpoint", sorted(set(ALL) - set(SAMPLED)))
def test_a_process_that_dies_at_any_of_its_failpoints_goes_on(
    world: World, agrees: Callable[[], None], failpoint: str
) -> None:
    die_at(world, agrees, failpoint)


def die_at(world: World, agrees: Callable[[], None], failpoint: str) -> None:
    """Both processes of the role are told to die there; each is started again without having been told."""
    component = component_of(failpoint)
    told = world.stack.settings.setdefault(component, {})
    told["PAYRIVER_FAILPOINT"] = failpoint
    for worker in (1, 2):
        world.stack.restart(component, worker)
    first = [world.stack.pid(component, worker) for worker in (1, 2)]
    del told["PAYRIVER_FAILPOINT"]
    with Traffic(world) as traffic:
        world.until(f"a {component} died at {failpoint}", lambda: _changed(world, component, first), seconds=60)
        time.sleep(2)
    for worker in (1, 2):
        if world.stack.pid(component, worker) == first[worker - 1]:
            world.stack.restart(component, worker)
    world.until("the network gets its answers again", lambda: _answers(traffic), seconds=60)
    agrees()


def _changed(world: World, component: str, first: list[int]) -> bool:
    return any(world.stack.pid(component, worker) not in (first[worker - 1], 0) for worker in (1, 2))


def _answers(traffic: Traffic) -> bool:
    try:
        traffic.answered_at_last()
    except httpx.HTTPError:  # asked again, until the time is up
        return False
    return True
