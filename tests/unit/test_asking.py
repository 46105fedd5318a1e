"""Who asks the API is told in time, also while a database is frozen: neither gone, so that a connection would break, nor answering."""

from __future__ import annotations

import threading
import time

import anyio
import pytest
from anyio import CapacityLimiter

from api.routes import context
from api.routes.context import answered
from infra.errors import NotFound, Unreachable


@pytest.fixture
def frozen() -> threading.Event:
    return threading.Event()


def test_a_question_that_nobody_answers_ends_by_name_and_so_do_those_behind_it(
    monkeypatch: pytest.MonkeyPatch, frozen: threading.Event
) -> None:
    monkeypatch.setattr(context, "QUESTION_SECONDS", 0.2)

    async def ask_often() -> list[str]:
        looks, told = CapacityLimiter(1), list[str]()

        async def ask() -> None:
            try:
                await answered(lambda: frozen.wait(10), looks)
            except Unreachable as error:
                told.append(str(error))

        async with anyio.create_task_group() as all_of_them:
            for _ in range(3):
                all_of_them.start_soon(ask)
        return told

    began = time.monotonic()
    try:
        told = anyio.run(ask_often)
    finally:
        frozen.set()
    assert time.monotonic() - began < 2
    assert told == ["a database has not answered within 0.2 s; nothing was changed"] * 3


def test_an_answer_and_an_error_come_through_as_they_are() -> None:
    def fails() -> int:
        raise NotFound("no payment")

    async def ask() -> int:
        with pytest.raises(NotFound, match="no payment"):
            await answered(fails, CapacityLimiter(1))
        return await answered(lambda: 7, CapacityLimiter(1))

    assert anyio.run(ask) == 7
