"""In which order the servers of a stack come up, told by who was asked for what."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from infra.errors import Unreachable
from infra.stack.start_order import SERVERS, STOP_ORDER, ServersStart

BEFORE = [
    ("write", "databases"),
    ("read", "databases"),
    ("read", "registry"),
    ("registry", "vocabulary"),
    ("databases", "vocabulary"),
    ("kafka", "broker"),
    ("broker", "consumers"),
    ("databases", "consumers"),
    ("consumers", "connect"),
]
STEPS = ("databases", "vocabulary", "broker", "consumers")


class Told:
    """What was begun and what was done, in order; servers that fail are named."""

    def __init__(self, failing: Sequence[str] = ()) -> None:
        self.failing = failing
        self.done: list[str] = []
        self.given_up = threading.Event()

    def take(self, name: str) -> None:
        if name in self.failing:
            raise Unreachable(f"{name} does not start")
        self.done.append(name)

    def start(self, servers: Sequence[str]) -> list[str]:
        ServersStart(servers, self.take, self.take, self.given_up.set).run()
        return self.done


def test_each_server_starts_and_each_step_is_taken_after_what_it_needs() -> None:
    done = Told().start(SERVERS)
    assert sorted(done) == sorted((*SERVERS, *STEPS))
    assert [pair for pair in BEFORE if done.index(pair[0]) > done.index(pair[1])] == []


@pytest.mark.parametrize(
    ("servers", "steps"),
    [
        (("write",), []),
        (("write", "read", "node"), ["databases"]),
        (("read", "registry"), ["vocabulary"]),
        (("kafka",), ["broker"]),
        (("write", "read", "kafka", "registry"), ["broker", "databases", "vocabulary"]),
    ],
)
def test_of_some_servers_only_the_steps_that_they_allow_are_taken(servers: Sequence[str], steps: list[str]) -> None:
    assert sorted(Told().start(servers)) == sorted([*servers, *steps])


@pytest.mark.parametrize("name", [*SERVERS, *STEPS])
def test_what_fails_is_raised_and_all_is_given_up(name: str) -> None:
    told = Told(failing=[name])
    with pytest.raises(Unreachable, match=name):
        told.start(SERVERS)
    assert told.given_up.is_set()
    after = {later for earlier, later in BEFORE if earlier == name}
    assert after & set(told.done) == set()


def test_whoever_is_stopped_stands_on_nobody_who_was_stopped_before() -> None:
    order = [name for group in STOP_ORDER for name in group]
    assert sorted(order) == sorted(SERVERS)
    assert [(a, b) for a, b in BEFORE if {a, b} <= set(SERVERS) and order.index(a) < order.index(b)] == []
