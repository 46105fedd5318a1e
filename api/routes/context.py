"""What the routes work with: built once by the factory, handed to each request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from anyio import CapacityLimiter, fail_after, to_thread
from fastapi import Depends, Request

from api.answers.audit_view import AuditView
from api.answers.chain_view import ChainView
from api.answers.health import Health
from api.answers.live import Feed
from api.answers.metrics import AnswerTimes
from api.answers.past import Past
from api.answers.queries import Queries
from api.door.security import NETWORK, OPERATE, PERSONS, READ, Caller, require
from connectors.gateway.gateway import Gateway
from infra.errors import Unreachable
from infra.settings import Settings
from streams.persons.register import PersonRegister

T = TypeVar("T")
LOOKS, FOLDS, ORDERS = 2, 1, 32
"""Questions at once, about the present and about the past: they share one interpreter with the orders, and more at once get no more answers out
of it (0003-the-answer-path.md). Orders at once: those that wait for the transaction under way, to share the next one, need no connection."""

QUESTION_SECONDS: float = 30
"""For a question. A server that is frozen, and not gone, breaks no connection: whoever asks would wait for as long as it is."""


@dataclass(frozen=True)
class Context:
    """One application's parts. Orders have threads of their own, so that readers never make the card network wait."""

    settings: Settings
    gateway: Gateway
    persons: PersonRegister
    queries: Queries
    past: Past
    chain: ChainView
    audit: AuditView
    feed: Feed
    health: Health
    times: AnswerTimes
    orders: CapacityLimiter
    looks: CapacityLimiter
    folds: CapacityLimiter

    async def order(self, work: Callable[[], T]) -> T:
        """Run an order to the gateway in one of its threads."""
        return await to_thread.run_sync(work, limiter=self.orders)

    async def ask(self, work: Callable[[], T]) -> T:
        """Run a question to the read side in one of its threads. Raises Unreachable."""
        return await answered(work, self.looks)

    async def look_back(self, work: Callable[[], T]) -> T:
        """Run a question about the past, which folds events, in its thread. Raises Unreachable."""
        return await answered(work, self.folds)


async def answered(work: Callable[[], T], limiter: CapacityLimiter) -> T:
    """A question's answer, its turn included. Raises Unreachable after `QUESTION_SECONDS`; its thread is left behind, and holds a connection of
    the pool until the server answers or is gone: so there are only so many.
    """
    try:
        with fail_after(QUESTION_SECONDS):
            return await to_thread.run_sync(work, abandon_on_cancel=True, limiter=limiter)
    except TimeoutError:
        raise Unreachable(f"a database has not answered within {QUESTION_SECONDS:g} s; nothing was changed") from None


async def context(request: Request) -> Context:
    """A dependency: the application's parts."""
    found: Context = request.app.state.context
    return found


Parts = Annotated[Context, Depends(context)]
Reader = Annotated[Caller, Depends(require(READ))]
Network = Annotated[Caller, Depends(require(NETWORK))]
Operator = Annotated[Caller, Depends(require(OPERATE))]
PersonKeeper = Annotated[Caller, Depends(require(PERSONS))]
