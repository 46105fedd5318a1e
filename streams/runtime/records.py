"""What a consumer is handed: the next messages of one partition, and where they stand in Kafka."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TypeVar

from infra.errors import Undecodable

T = TypeVar("T")
KEY_CHARACTERS, SHOWN_CHARACTERS = 300, 200


@dataclass(frozen=True, slots=True)
class Place:
    """One partition of one topic of one cluster. A topic made anew under the same name is another place."""

    cluster: str
    topic_id: str
    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Record:
    """One message. Headers without a value are left out; bytes of a header or key that are no UTF-8 show as `\\xNN`."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, str]
    timestamp_ms: int

    def header(self, name: str, read: Callable[[str], T]) -> T:
        """A header as `read` makes it of its text (UUID, int). Raises Undecodable where there is none, or none such."""
        value = self.headers.get(name)
        try:
            return read(value or "")
        except ValueError as error:
            raise Undecodable(f"header {name} is {value!r}; the message did not come through our outbox") from error

    @property
    def key_text(self) -> str | None:
        """The key as it stands in the parked messages' table, whose index holds it: of one message kind, keys are stream ids.

        One that is longer than any of ours is told by its beginning and its hash.
        """
        if self.key is None:
            return None
        text = as_text(self.key)
        return text if len(text) <= KEY_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}... {sha256(self.key).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Run:
    """`records` holds every visible message of `[start, end)`: true whatever becomes of the run afterwards.

    Offsets between them belong to transaction markers and to aborted messages, so never compare counts with offsets.
    """

    place: Place
    start: int
    end: int
    records: tuple[Record, ...]

    def since(self, offset: int) -> Run:
        """The part of the run at and after `offset`."""
        start = min(max(self.start, offset), self.end)
        return replace(self, start=start, records=tuple(r for r in self.records if r.offset >= start))

    def singly(self) -> Iterator[Run]:
        """The same run as runs of one message each, without a hole between them."""
        start = self.start
        for record in self.records:
            yield Run(self.place, start, record.offset + 1, (record,))
            start = record.offset + 1


def as_text(raw: bytes) -> str:
    """UTF-8, with what PostgreSQL's text cannot hold (broken bytes, NUL) written as `\\xNN`."""
    return without_nul(raw.decode("utf-8", "backslashreplace"))


def without_nul(text: str) -> str:
    """PostgreSQL's text and jsonb cannot hold NUL: written as `\\x00`."""
    return text.replace("\x00", "\\x00")


def as_headers(raw: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    """Kafka's header list as a mapping; the last of two of one name wins, and an absent value is an absent header."""
    return {name: value.decode("utf-8", "backslashreplace") for name, value in raw if value is not None}
