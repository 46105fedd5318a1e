"""A customer's server: takes webhooks, checks each signature with the standard library of the trade, and counts them by id."""

from __future__ import annotations

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


class Receiver:
    """Listens on a free loopback port until `close`. Tell it the endpoint's secret once it is known."""

    def __init__(self) -> None:
        self.secret = ""
        self.received: Counter[str] = Counter()
        self.refused = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(receiver.take(body, dict(self.headers.items())))
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: the sender keeps every attempt."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="receiver", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/webhooks"

    def take(self, body: bytes, headers: dict[str, str]) -> int:
        """The HTTP status for one webhook."""
        lower = {name.lower(): value for name, value in headers.items()}
        try:
            Webhook(self.secret).verify(body, lower)
        except WebhookVerificationError:
            self.refused += 1
            return 401
        self.received[lower["webhook-id"]] += 1
        return 204

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
