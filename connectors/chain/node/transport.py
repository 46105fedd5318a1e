"""How one node is asked: JSON-RPC over HTTP, or over a WebSocket that also tells of each new head."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx
import orjson
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

MAX_ANSWER_BYTES = 256 * 1024 * 1024
SUBSCRIBE = {"jsonrpc": "2.0", "id": "heads", "method": "eth_subscribe", "params": ["newHeads"]}


class NoAnswer(Exception):
    """A node did not answer well this time; `retry_after` seconds where it said so, `busy` where it only wants to be asked less.

    `refusal`: what it said, where that is all that may be had. `lacks`: it is well, and does not know what was asked.
    """

    def __init__(
        self,
        why: str,
        retry_after: float | None = None,
        *,
        busy: bool = False,
        refusal: Exception | None = None,
        lacks: bool = False,
    ) -> None:
        super().__init__(why)
        self.retry_after, self.busy, self.refusal, self.lacks = retry_after, busy, refusal, lacks


class Transport(Protocol):
    """Carries a JSON-RPC body to one node and its parsed answer back. Safe to use from several threads."""

    def post(self, body: Any) -> Any:
        """The answer. Raises NoAnswer."""

    def close(self) -> None:
        """Let the connection go."""


class Http:
    """A pool of kept-alive connections."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url = url
        self._client = httpx.Client(
            timeout=timeout_seconds,
            trust_env=False,
            headers={"content-type": "application/json"},
            limits=httpx.Limits(max_keepalive_connections=8),
        )

    def post(self, body: Any) -> Any:
        """The answer. Raises NoAnswer."""
        try:
            response = self._client.post(self._url, content=orjson.dumps(body))
        except httpx.RequestError as error:
            raise NoAnswer(f"{type(error).__name__} {error}") from None
        if response.status_code != 200:
            why, busy = f"HTTP {response.status_code}", response.status_code == httpx.codes.TOO_MANY_REQUESTS
            raise NoAnswer(why, _retry_after(response), busy=busy)
        return _parsed(response.content)

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()


class WebSocket:
    """One connection, opened when it is needed, and again when it broke or answers nothing.

    `on_head` is called with each new head's JSON, from a thread.
    """

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url, self._timeout = url, timeout_seconds
        self._lock = threading.Lock()
        self._connection: ClientConnection | None = None
        self._waiting: dict[Any, Future[Any]] = {}
        self._on_head: Callable[[dict[str, Any]], None] | None = None
        self._answered = 0.0

    def post(self, body: Any) -> Any:
        """The answer. Raises NoAnswer."""
        key, future, asked = _key(body), Future[Any](), time.monotonic()
        connection: ClientConnection | None = None
        try:
            with self._lock:
                connection = self._connection or self._open()
                self._waiting[key] = future
                connection.send(orjson.dumps(body), text=True)
            return future.result(self._timeout)
        except Late:
            # Nobody's question was answered, though it may answer pings and tell of heads; or it does not even open.
            if connection is not None and self._answered < asked:
                self._drop("silent", connection)
            raise NoAnswer(f"no answer within {self._timeout} s") from None
        except (OSError, WebSocketException) as error:
            self._drop(f"{type(error).__name__} {error}")
            raise NoAnswer(f"{type(error).__name__} {error}") from None
        finally:
            self._waiting.pop(key, None)

    def heads(self, on_head: Callable[[dict[str, Any]], None]) -> None:
        """Be told of new heads from now on, also after the connection had to be opened again. Raises NoAnswer."""
        with self._lock:
            self._on_head = on_head
            try:
                if self._connection is None:
                    self._open()
                else:
                    self._connection.send(orjson.dumps(SUBSCRIBE), text=True)
            except (OSError, WebSocketException) as error:
                raise NoAnswer(f"{type(error).__name__} {error}") from None

    @property
    def connected(self) -> bool:
        """Whether heads may come."""
        return self._connection is not None

    def close(self) -> None:
        """Let the connection go."""
        self._drop("closed")

    def _open(self) -> ClientConnection:
        made = connect(
            self._url,
            open_timeout=self._timeout,
            max_size=MAX_ANSWER_BYTES,
            compression=None,
            legacy=True,
            proxy=None,
            close_timeout=1,
        )
        self._connection = made
        threading.Thread(
            target=self._listen, args=(made,), name=f"ws {urlsplit(self._url).hostname}", daemon=True
        ).start()
        if self._on_head is not None:
            made.send(orjson.dumps(SUBSCRIBE), text=True)
        return made

    def _listen(self, connection: ClientConnection) -> None:
        try:
            for message in connection:
                self._take(_parsed(message))
            self._drop("the node closed the connection", connection)
        except (OSError, WebSocketException, NoAnswer) as error:
            self._drop(f"{type(error).__name__} {error}", connection)

    def _take(self, told: Any) -> None:
        if isinstance(told, dict) and told.get("method") == "eth_subscription":
            params = told.get("params")
            head = params.get("result") if isinstance(params, dict) else None
            if self._on_head is not None and isinstance(head, dict):
                self._on_head(head)
            return
        future = self._waiting.get(_key(told))
        if future is not None and not future.done():
            self._answered = time.monotonic()
            future.set_result(told)

    def _drop(self, why: str, only: ClientConnection | None = None) -> None:
        """The connection is of no use: whoever waits for an answer is told so, and the next question opens another."""
        connection = self._connection
        if only is not None and connection is not only:
            return
        self._connection = None
        for future in list(self._waiting.values()):
            if not future.done():
                future.set_exception(ConnectionError(why))
        if connection is not None:
            connection.close()


def transport_for(url: str, timeout_seconds: float) -> Transport:
    """By the URL's scheme: http, https, ws, wss."""
    return (WebSocket if urlsplit(url).scheme in ("ws", "wss") else Http)(url, timeout_seconds)


def _key(body: Any) -> Any:
    """By what a question and its answer are brought together: the ids, in whatever order they come back."""
    if isinstance(body, list):
        return frozenset(_key(each) for each in body)
    number = body.get("id") if isinstance(body, dict) else None
    return number if isinstance(number, int | str) else None


def _parsed(content: bytes | str) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        raise NoAnswer(f"answered {len(content)} bytes that are no JSON") from None


def _retry_after(response: httpx.Response) -> float | None:
    said = response.headers.get("retry-after", "")
    return float(said) if said.replace(".", "", 1).isdecimal() else None
