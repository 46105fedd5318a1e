"""A node that takes its time."""

from __future__ import annotations

import time


class SlowNode:
    """Takes whatever it is sent, each after a while."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.got = seconds, list[bytes]()

    def send_raw(self, raw: bytes) -> str:
        time.sleep(self.seconds)
        self.got.append(raw)
        return ""
