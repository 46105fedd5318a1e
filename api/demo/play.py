"""Plays the scenario on a running stack and verifies it: the demo's heart, and the acceptance test's."""

from __future__ import annotations

from typing import Any

from api.demo.receiver import Receiver
from api.demo.scenario import STEPS
from api.demo.summary import summary
from api.demo.view import View
from api.demo.world import BlockClock, World
from connectors.verify.settle import settle
from connectors.verify.verification import verify
from infra.stack.supervisor import Stack

SETTLE_SECONDS = 60


def play(stack: Stack, view: View) -> dict[str, Any]:
    """Every step, then everything at rest, then verify. Gives the summary. Raises ScenarioFailed at the first step that does not come true."""
    receiver = Receiver()
    world = World(stack, receiver)
    clock = BlockClock(world.chain)
    clock.start()
    seconds = dict(stack.seconds)
    try:
        for name, step in STEPS:
            view.begin(name)
            told = step(world)
            seconds[name] = view.end(told)
        view.begin("verify")
        settle(world.auditor.write, world.auditor.read, SETTLE_SECONDS)
        verified = verify(world.auditor.write, world.auditor.read, world.auditor.chain, keys=world.auditor.keys)
        seconds["verify"] = view.end("no difference" if verified.ok else f"{len(verified.differences)} differences")
        world.must("every webhook was signed rightly", receiver.refused, 0)
        return summary(world, seconds, clock.first_seen, verified)
    finally:
        clock.end()
        receiver.close()
