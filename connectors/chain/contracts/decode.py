"""Logs become typed events here, purely: text in, value out. What is unknown is counted, what is malformed is named.

A layout is one (topic0, number of topics). Most have words of fixed size only and are read straight from the hex;
those with arrays or bytes go through the ABI library.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from connectors.chain.contracts.events import SHAPES, ChainEvent, Shape
from connectors.chain.node.abi import answers, argument_types
from connectors.chain.node.logs import Log
from infra.errors import Undecodable

Reader = Callable[[str], Any]
Seen = tuple[Log, ChainEvent]
"""A log and what it says."""
WORD = 64
_PADDING = "0" * 24


def _address(word: str) -> str:
    if not word.startswith(_PADDING):
        raise ValueError(f"{word} is no address")
    return "0x" + word[24:]


def _bytes32(word: str) -> str:
    return "0x" + word


def _uint(bits: int) -> Reader:
    limit = 1 << bits

    def read(word: str) -> int:
        value = int(word, 16)
        if value >= limit:
            raise ValueError(f"{value} is more than uint{bits} holds")
        return value

    return read


READERS: dict[str, Reader] = {
    "address": _address,
    "bytes32": _bytes32,
    **{f"uint{bits}": _uint(bits) for bits in (8, 64, 128, 256)},
}


@dataclass(frozen=True)
class Layout:
    """How to read one event from a log with a given number of topics."""

    shape: Shape
    places: tuple[tuple[bool, int], ...]  # of each argument: is it a topic, and the which-th topic or word of data
    types: tuple[str, ...]
    data_types: tuple[str, ...]
    static: bool

    @classmethod
    def of(cls, shape: Shape, indexed: tuple[int, ...]) -> Layout:
        types = argument_types(shape.signature)
        rest = [i for i in range(len(types)) if i not in indexed]
        places = tuple(
            (True, 1 + indexed.index(i)) if i in indexed else (False, rest.index(i)) for i in range(len(types))
        )
        data_types = tuple(types[i] for i in rest)
        return cls(shape, places, types, data_types, all(t in READERS for t in data_types))

    def read(self, log: Log) -> ChainEvent:
        """The event of `log`. Raises ValueError or `Undecodable` when its topics or data do not fit."""
        data = self._words(log.data) if self.static else self._values(log.data)
        values = [
            READERS[kind](log.topics[place][2:]) if is_topic else data[place]
            for kind, (is_topic, place) in zip(self.types, self.places, strict=True)
        ]
        return self.shape.event(*values)

    def _words(self, data: str) -> list[Any]:
        if len(data) != 2 + WORD * len(self.data_types):
            raise ValueError(f"{(len(data) - 2) // 2} bytes of data, {32 * len(self.data_types)} expected")
        return [READERS[kind](data[2 + WORD * i : 2 + WORD * (i + 1)]) for i, kind in enumerate(self.data_types)]

    def _values(self, data: str) -> list[Any]:
        return [_plain(value) for value in answers(self.data_types, bytes.fromhex(data[2:]))]


def _plain(value: Any) -> Any:
    """The ABI library's bytes as 0x-text, its sequences as tuples."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, list | tuple):
        return tuple(_plain(one) for one in value)
    return value


LAYOUTS: dict[str, dict[int, Layout]] = {
    shape.topic0: {1 + len(indexed): Layout.of(shape, indexed) for indexed in shape.indexed} for shape in SHAPES
}
"""topic0 and number of topics -> how to read it."""


def decode(log: Log) -> ChainEvent | None:
    """The event of `log`, or None when its topic0 is none of ours. Raises `Undecodable` when it is ours and malformed."""
    layouts = LAYOUTS.get(log.topics[0]) if log.topics else None
    if layouts is None:
        return None
    layout = layouts.get(len(log.topics))
    if layout is None:
        name = next(iter(layouts.values())).shape.signature
        raise Undecodable(f"{_where(log)}: {name} with {len(log.topics)} topics is a layout we do not know")
    try:
        return layout.read(log)
    except (ValueError, Undecodable) as error:
        raise Undecodable(f"{_where(log)}: malformed {layout.shape.signature}: {error}") from None


def _where(log: Log) -> str:
    return f"log {log.index} of block {log.block_number} ({log.transaction_hash}, by {log.address})"


@dataclass
class Decoded:
    """What came of many logs: events in their order, topics that nobody knows with their count, and the malformed ones."""

    events: list[Seen] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)
    malformed: list[tuple[Log, Undecodable]] = field(default_factory=list)


def decode_all(logs: Iterable[Log]) -> Decoded:
    """Decodes every log; none stops the others."""
    done = Decoded()
    for log in logs:
        try:
            event = decode(log)
        except Undecodable as error:
            done.malformed.append((log, error))
            continue
        if event is None:
            done.unknown[log.topics[0] if log.topics else "none"] += 1
        else:
            done.events.append((log, event))
    return done
