"""Watches the head of the chain so densely that the moment of a block is known to a few milliseconds."""

from __future__ import annotations

import json
import threading
import time
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

QUESTION = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []}).encode()
PAUSE_SECONDS = 0.005


class HeadWatch(threading.Thread):
    """`first_seen`: block number -> Unix time of the last answer that did not know of it yet, so nothing is told too short."""

    def __init__(self, node_url: str) -> None:
        super().__init__(name="head-watch", daemon=True)
        self._node = HTTPConnection(urlsplit(node_url).netloc, timeout=10)
        self._ended = threading.Event()
        self.first_seen: dict[int, float] = {}

    def __enter__(self) -> HeadWatch:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()
        self._node.close()

    def run(self) -> None:
        """Ask until the end."""
        head, answered = self._head(), time.time()
        while not self._ended.wait(PAUSE_SECONDS):
            try:
                found = self._head()
            except (OSError, HTTPException):  # the node was busy: the next answer tells
                self._node.close()
                continue
            self.first_seen |= dict.fromkeys(range(head + 1, found + 1), answered)
            head, answered = found, time.time()

    def _head(self) -> int:
        self._node.request("POST", "/", QUESTION, {"Content-Type": "application/json"})
        return int(json.loads(self._node.getresponse().read())["result"], 16)
