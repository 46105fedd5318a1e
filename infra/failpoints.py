"""Places where a process can be told to die, so that tests can kill it between any two of its writes.

A place says `failpoint("sender.after_send")`: the component, a dot, the place. Unarmed it costs one comparison. A composition
root arms it once with `settings.failpoint`: NAME dies at the first pass, NAME:n at the n-th. Death is SIGKILL: nothing is
flushed, closed, rolled back or logged, exactly as when the machine is lost.
"""

from __future__ import annotations

import os
import signal
import threading

from infra.errors import Misconfigured

_name: str | None = None
_passes_left = 0
_counting = threading.Lock()


def arm(spec: str) -> None:
    """Name the place where this process dies; an empty text disarms. Raises Misconfigured for a count that is no number above zero."""
    global _name, _passes_left
    name, _, count = spec.partition(":")
    if count and not (count.isdecimal() and int(count) > 0):
        raise Misconfigured(f"failpoint {spec!r}: say NAME or NAME:n with n = 1, 2, 3, ...")
    _name, _passes_left = name or None, int(count or 1)


def failpoint(name: str) -> None:
    """Die here, if this place was named and this is the pass."""
    if _name is not None and name == _name:
        _pass()


def _pass() -> None:
    global _passes_left
    with _counting:
        _passes_left -= 1
        if _passes_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
