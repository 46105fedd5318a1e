"""Rows of a read model on their way between PostgreSQL and the pure folds: one query to load a run's rows, one to write them back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, Generic, TypeVar
from uuid import UUID

import orjson

from infra.database import Cursor
from infra.errors import BadInput
from schemas.definition import Message
from streams.delivered import Delivered

R = TypeVar("R")
Apply = Callable[[Any, Any, Delivered], R]
"""(row or None, message, its delivery) -> row."""


@dataclass(frozen=True)
class RowModel(Generic[R]):
    """A table whose rows are folds of one stream each. `row`: a dataclass of its columns; its first field is the key, the stream.

    `opening`: the event that begins a stream. `renewed`: columns that take their default again at every write.
    """

    table: str
    row: type[R]
    opening: type[Message]
    folds: Mapping[type[Message], Apply[R]]
    renewed: tuple[str, ...] = ()

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """In the order of the row's fields."""
        return tuple(field.name for field in dataclasses.fields(self.row))  # type: ignore[arg-type]

    def fold(self, row: R | None, event: Delivered) -> R:
        """The row after one more event. Raises BadInput for an event that needs a row where there is none."""
        if row is None and not isinstance(event.message, self.opening):
            raise BadInput(
                f"{event.type} {event.event_id}, version {event.version} of {event.stream_id}, finds no row in {self.table};"
                f" a stream begins with {self.opening.__name__}"
            )
        return self.folds[type(event.message)](row, event.message, event)

    def project(self, cursor: Cursor, events: Sequence[Delivered]) -> dict[UUID, R]:
        """Fold the events into their rows, in order, and write these back. Gives the rows by key."""
        mine = [event for event in events if type(event.message) in self.folds]
        if not mine:
            return {}
        rows = self.load(cursor, {event.stream_id for event in mine if event.version > 1})
        for event in mine:
            rows[event.stream_id] = self.fold(rows.get(event.stream_id), event)
        self.save(cursor, rows.values())
        return rows

    def load(self, cursor: Cursor, keys: Iterable[UUID]) -> dict[UUID, R]:
        """The rows that there are, by key."""
        wanted = list(keys)
        if not wanted:
            return {}
        cursor.execute(
            f"SELECT {', '.join(self.columns)} FROM {self.table} WHERE {self.columns[0]} = ANY(%s)",
            (wanted,),
        )
        return {found[0]: self.row(*map(from_sql, found)) for found in cursor.fetchall()}

    def save(self, cursor: Cursor, rows: Iterable[R]) -> None:
        """Insert or replace."""
        changes = [f"{name} = excluded.{name}" for name in self.columns[1:]] + [
            f"{name} = DEFAULT" for name in self.renewed
        ]
        cursor.postpone_values(
            f"INSERT INTO {self.table} ({', '.join(self.columns)}) VALUES %s"
            f" ON CONFLICT ({self.columns[0]}) DO UPDATE SET {', '.join(changes)}",
            [tuple(to_sql(getattr(row, name)) for name in self.columns) for row in rows],
        )


def from_sql(value: Any) -> Any:
    """numeric(78,0) comes as Decimal, exactly; an amount is an int here."""
    return int(value) if type(value) is Decimal else value


def to_sql(value: Any) -> Any:
    """jsonb goes as text."""
    return orjson.dumps(value).decode() if type(value) in (dict, list) else value
