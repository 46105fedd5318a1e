"""What a node, or a proxy before it, may answer outside all rules: none of it ends the process that asked, or lasts for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from connectors.chain.node.endpoint import FAILURES_TO_OPEN, LONGEST_REST_SECONDS, Endpoint, Question
from connectors.chain.node.transport import Http, NoAnswer

BLOCK_NUMBER: Question = ("eth_blockNumber", [])


class Rude(ThreadingHTTPServer):
    """Answers everything with this."""

    said: tuple[int, dict[str, str], bytes] = (200, {}, b"")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def rude() -> Iterator[Rude]:
    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            status, headers, body = made.said
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    made = Rude(("127.0.0.1", 0), Answering)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.mark.parametrize(
    "said",
    [
        (200, {"content-encoding": "gzip"}, b"this is no gzip"),
        (503, {"retry-after": "\u00b2"}, b""),
        (503, {"retry-after": "1.5e9999"}, b""),
        (503, {"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, b""),
        (429, {"retry-after": "." * 3}, b""),
    ],
    ids=["no gzip", "a digit that is no decimal", "no number", "a date", "dots"],
)
def test_an_answer_that_cannot_be_read_is_none(rude: Rude, said: tuple[int, dict[str, str], bytes]) -> None:
    rude.said = said
    with pytest.raises(NoAnswer):
        Endpoint(rude.url, Http(rude.url, 5)).ask([BLOCK_NUMBER])


@pytest.mark.parametrize("status", [429, 503])
def test_no_node_rests_for_longer_than_the_longest_rest_whatever_it_asks_for(rude: Rude, status: int) -> None:
    rude.said = status, {"retry-after": "9" * 12}, b""
    endpoint = Endpoint(rude.url, Http(rude.url, 5))
    for _ in range(FAILURES_TO_OPEN):
        with pytest.raises(NoAnswer):
            endpoint.ask([BLOCK_NUMBER])
    assert 0 < endpoint.rests_until - time.monotonic() <= LONGEST_REST_SECONDS
