"""A listener that dies between any two of its writes, in the process of the test that kills it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from connectors.chain import listening


class Killed(BaseException):
    """The process is gone: nothing catches this."""


@dataclass
class Death:
    """Dies at the n-th failpoint that the listener passes, once."""

    passes: int = 0

    def __call__(self, name: str) -> None:
        if self.passes:
            self.passes -= 1
            if not self.passes:
                raise Killed(name)

    def strikes(self, passes: int, work: Callable[[], object]) -> bool:
        """Whether this work was ended at the n-th failpoint; it may pass fewer."""
        self.passes = passes
        try:
            work()
        except Killed:
            return True
        finally:
            self.passes = 0
        return False


@contextmanager
def mortal(death: Death) -> Iterator[None]:
    """Every failpoint of the listener leads to this death."""
    names = [f"{listening.__name__}.{each.name}" for each in pkgutil.iter_modules(listening.__path__)]
    with pytest.MonkeyPatch.context() as patch:
        passing = [module for module in map(importlib.import_module, names) if hasattr(module, "failpoint")]
        assert passing
        for module in passing:
            patch.setattr(module, "failpoint", death)
        yield
