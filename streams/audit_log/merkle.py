"""The arithmetic of the log: which subtrees a root, an inclusion proof or a consistency proof is made of (RFC 6962, 2.1). Pure.

A whole subtree is named (level, index): 2^level leaves, the first of which is index * 2^level. What checks proofs is not here but
in infra/audit/check.py, which auditors run: both are held against each other, against the RFC's vectors and against a foreign library.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from infra.audit.check import fold, node_hash, widths

EMPTY = hashlib.sha256(b"").digest()
Whole = Callable[[int, int], bytes]
"""(level, index) -> the hash of that whole subtree."""


def subtrees(start: int, end: int) -> list[tuple[int, int]]:
    """The whole subtrees between two leaves, from the left, each as large as can be: at most 2 log2(end) of them."""
    found = []
    for width in widths(start, end):
        found.append((width.bit_length() - 1, start // width))
        start += width
    return found


def root(size: int, whole: Whole) -> bytes:
    """The root of the first `size` leaves."""
    return _range(0, size, whole) if size else EMPTY


def inclusion(index: int, size: int, whole: Whole) -> list[bytes]:
    """The path of the leaf at `index` in the log of `size`, from the leaf up (RFC 9162, 2.1.3.1)."""
    start, end, path = 0, size, []
    while end - start > 1:
        middle = start + _half(end - start)
        if index < middle:
            path.append(_range(middle, end, whole))
            end = middle
        else:
            path.append(_range(start, middle, whole))
            start = middle
    return path[::-1]


def consistency(first: int, second: int, whole: Whole) -> list[bytes]:
    """That the log of `second` leaves begins with the log of `first` (RFC 9162, 2.1.4.1)."""
    start, end, path, complete = 0, second, [], True
    while first != end:
        middle = start + _half(end - start)
        if first <= middle:
            path.append(_range(middle, end, whole))
            end = middle
        else:
            path.append(_range(start, middle, whole))
            start, complete = middle, False
    if not complete:
        path.append(_range(start, end, whole))
    return path[::-1]


def _half(width: int) -> int:
    """The largest power of two below `width`."""
    return 1 << (width - 1).bit_length() - 1


def _range(start: int, end: int, whole: Whole) -> bytes:
    """The hash of leaves [start, end), where start is where a subtree of this width begins."""
    return fold([whole(*each) for each in subtrees(start, end)])


@dataclass
class Frontier:
    """A log that grows leaf by leaf and remembers no more than one hash a level: for filling it, and for making it again."""

    size: int = 0
    stack: list[tuple[int, bytes]] = field(default_factory=list)

    @classmethod
    def at(cls, size: int, whole: Whole) -> Frontier:
        """Where a log of this size goes on."""
        return cls(size, [(level, whole(level, index)) for level, index in subtrees(0, size)])

    def push(self, leaf: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Take the next leaf's hash; gives the subtrees that became whole by it: (level, index, hash), itself first."""
        level, digest = 0, leaf
        yield level, self.size, digest
        while self.stack and self.stack[-1][0] == level:
            digest, level = node_hash(self.stack.pop()[1], digest), level + 1
            yield level, self.size >> level, digest
        self.stack.append((level, digest))
        self.size += 1

    def take(self, leaves: Iterable[bytes]) -> None:
        """Take leaves, and tell nothing."""
        for leaf in leaves:
            for _ in self.push(leaf):
                pass

    @property
    def root(self) -> bytes:
        """The root of what was taken."""
        return fold([digest for _, digest in self.stack]) if self.stack else EMPTY
