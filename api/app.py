"""The API as one application: questions to the read side, orders to the gateway, the page that shows payments moving.

`create_app` is given everything; it reads no environment. `serve` runs it on loopback until SIGTERM.
"""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version

import uvicorn
from anyio import CapacityLimiter
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from sqlalchemy import Engine

from api.answers.audit_view import AuditView
from api.answers.chain_view import ChainView
from api.answers.health import Health
from api.answers.live import Feed
from api.answers.metrics import AnswerTimes
from api.answers.past import Past
from api.answers.queries import Queries
from api.door import problems
from api.door.head import KEEP_ALIVE_SECONDS, HeadProtocol
from api.door.layer import Door
from api.door.security import Keys
from api.openapi import describe, mount
from api.routes import accounts, audit, authorizations, card, live, operations, payments, persons
from api.routes.context import FOLDS, LOOKS, ORDERS, Context
from connectors.gateway.gateway import Gateway
from infra import nesting  # noqa: F401  (bounds what callers may send)
from infra.settings import Settings
from streams.persons.keys import KeyStore
from streams.persons.register import PersonRegister

ROUTES = (
    payments,
    accounts,
    authorizations,
    card,
    audit,
    persons,
    live,
    operations,
)
DESCRIPTION = """
A card swipe on Gnosis Chain becomes a payment: seen, decided, booked, announced. The [live page](/) shows them move.

**Keys.** Send `Authorization: Bearer KEY` or `X-Api-Key: KEY`. A key's role says what it may do: *reader* reads, *network* also asks
for authorizations, *operator* also orders cards frozen, limited and blocked, *privacy* also keeps the register of persons.

**Amounts.** `…_minor` is an integer of minor units of the currency. `…_raw` is a base-10 string of raw token units. Nothing is a float.

**Problems.** What cannot be done is told as `application/problem+json` (RFC 9457), naming the value and the remedy.

**Repeats.** Every order may be sent again: the same `Idempotency-Key`, presentment, reversal, refund or dispute has its effect once.
What a caller names so is its own: the caller is the name that its key was given under, which stays when the key is changed.
"""


def create_app(settings: Settings, *, read: Engine, write: Engine, keys: Engine, gateway: Gateway) -> FastAPI:
    """The application. `read`: R as role queries; `write`: W as role gateway, for health, the chain's newest block, and the past.

    `keys`: the database of persons' keys as role keeper.
    """
    parts = Context(
        settings=settings,
        gateway=gateway,
        persons=PersonRegister(write, KeyStore(keys), gateway.handler),
        queries=Queries(read),
        past=Past(write),
        chain=ChainView(write),
        audit=AuditView(write),
        feed=Feed(read),
        health=Health(write, read, settings),
        times=AnswerTimes(),
        orders=CapacityLimiter(ORDERS),
        looks=CapacityLimiter(LOOKS),
        folds=CapacityLimiter(FOLDS),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        parts.feed.start()
        yield
        parts.feed.stop()

    app: FastAPI = FastAPIOffline(
        title="payriver",
        version=version("payriver"),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # ours, of the same files
        redoc_url=None,  # one page of documentation will do, and that one's asks for a picture from outside
        swagger_ui_parameters={"tryItOutEnabled": True, "persistAuthorization": False, "defaultModelsExpandDepth": 0},
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.context, app.state.keys = parts, Keys(settings.api_keys)
    for module in ROUTES:
        app.include_router(module.router)
    live.mount(app)
    problems.install(app)
    describe(app)
    mount(app)
    app.add_middleware(Door)
    return app


class Server(uvicorn.Server):
    """uvicorn, which waits for open requests when it ends: so the pages, whose requests never end by themselves, are let go first."""

    def __init__(self, app: FastAPI, settings: Settings) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=settings.api_host,
                port=settings.api_port,
                http=HeadProtocol,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                log_config=None,  # structlog has the one log
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=5,
                backlog=512,
            )
        )
        self._feed: Feed = app.state.context.feed

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End in order."""
        self._feed.stop()
        await super().shutdown(sockets)


def serve(app: FastAPI, settings: Settings) -> None:
    """Answer at the settings' address until SIGTERM or SIGINT."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn ends in order, then raises the signal once more
    with suppress(KeyboardInterrupt):
        Server(app, settings).run()
