"""A customer's server in a process of its own, so that taking webhooks does not slow down whoever measures. It takes whatever comes."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection


class Taking(BaseHTTPRequestHandler):
    """Every webhook is well received. Whether signatures are right, the demo says."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the sender keeps every attempt."""


@contextmanager
def listening() -> Iterator[str]:
    """The address to which webhooks may be sent, for as long as the block lasts."""
    spawning = multiprocessing.get_context("spawn")
    here, there = spawning.Pipe()
    process = spawning.Process(target=_serve, args=(there,), name="webhook receiver", daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}/webhooks"
    finally:
        process.terminate()
        process.join()


def _serve(told: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the bench, which ends this process
    server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
    told.send(server.server_address[1])
    server.serve_forever()
