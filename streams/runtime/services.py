"""Loops that run beside a consumer, or alone: each a thread, all supervised. One that ends unasked ends the process."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable
from contextvars import copy_context

import structlog

log = structlog.get_logger(__name__)

Service = Callable[[threading.Event], None]

EXIT_FAILED = 70  # EX_SOFTWARE of sysexits.h: the supervisor starts the process anew
GRACE_SECONDS = 5.0


class Ending:
    """How this process ends: `stop` is set for all loops; the exit code is 0 unless somebody called `fail`."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.code = 0
        self._callbacks: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Call this when the process is to end; from any thread, so it must only hand the news over."""
        self._callbacks.append(callback)

    def fail(self, why: str) -> None:
        """End the process non-zero: in good order if that takes less than the grace time, else at once."""
        with self._lock:
            if self.code:
                return
            self.code = EXIT_FAILED
        log.critical("process_fails", why=why)
        end = threading.Timer(GRACE_SECONDS, os._exit, (EXIT_FAILED,))
        end.daemon = True
        end.start()
        self.request()

    def request(self) -> None:
        """End the process in good order."""
        self.stop.set()
        for callback in self._callbacks:
            callback()


def start(services: Iterable[Service], ending: Ending) -> list[threading.Thread]:
    """Each service in a daemon thread of its own; it returns soon after `ending.stop` is set."""
    threads = [
        threading.Thread(
            target=copy_context().run, args=(_supervised, service, ending), name=_name(service), daemon=True
        )
        for service in services
    ]
    for thread in threads:
        thread.start()
    return threads


def join(threads: Iterable[threading.Thread]) -> None:
    """Wait for the services to return, each for the grace time at most."""
    for thread in threads:
        thread.join(GRACE_SECONDS)
        if thread.is_alive():
            log.warning("service_left_running", service=thread.name)


def run_services(services: Iterable[Service]) -> int:
    """A process that is nothing but loops, until SIGTERM or SIGINT. Gives its exit code."""
    ending = Ending()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.request())
    threads = start(services, ending)
    while not ending.stop.wait(1.0):
        pass
    join(threads)
    return ending.code


def _supervised(service: Service, ending: Ending) -> None:
    try:
        service(ending.stop)
    except Exception as error:
        log.exception("service_crashed", service=_name(service))
        ending.fail(f"{_name(service)} crashed: {type(error).__name__}: {error}")
    else:
        if not ending.stop.is_set():
            ending.fail(f"{_name(service)} ended, though nobody asked it to")


def _name(service: Service) -> str:
    return str(getattr(service, "__name__", type(service).__name__))
