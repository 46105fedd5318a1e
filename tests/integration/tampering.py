"""Changes one value or one row of a table behind everybody's back, as role superuser, and puts it back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2

CHANGED = {
    "uuid": "(left({0}::text, 35) || CASE right({0}::text, 1) WHEN '0' THEN '1' ELSE '0' END)::uuid",
    "text": "left({0}, -1) || chr(ascii(right({0}, 1)) # 1)",
    "integer": "{0} + 1",
    "bigint": "{0} + 1",
    "smallint": "{0} + 1",
    "numeric": "{0} + 1",
    "boolean": "NOT {0}",
    "timestamp with time zone": "{0} + interval '1 second'",
    "bytea": "set_bit({0}, 4 * length({0}), 1 - get_bit({0}, 4 * length({0})))",
    "jsonb": "CASE WHEN {0}::text ~ '[0-8]' THEN regexp_replace({0}::text, '[0-8]', '9')::jsonb ELSE '{{\"x\": 1}}'::jsonb END",
    "xid8": "({0}::text::bigint + 1000000)::text::xid8",
}
GIVEN = {
    "uuid": "'00000000-0000-0000-0000-000000000001'::uuid",
    "text": "'x'",
    "integer": "1",
    "bigint": "1",
    "numeric": "1",
    "boolean": "true",
    "timestamp with time zone": "now()",
    "jsonb": "'{}'::jsonb",
}
TABLES = """
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
"""
COLUMNS = """
SELECT column_name, data_type, udt_name FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = %s ORDER BY ordinal_position
"""
PLACE = "tableoid::text || ' ' || ctid::text"  # where a row stands; each partition has its own count
CHECKS = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c' AND conrelid = %s::regclass"


@dataclass(frozen=True)
class Column:
    """A column: its name, its type, and the words that the table allows in it, where it says which."""

    name: str
    type: str
    udt: str
    words: tuple[str, ...]


def tables(cursor: Any) -> list[str]:
    """All tables of the server; partitions are looked at through their table."""
    cursor.execute(TABLES)
    return sorted(name for (name,) in cursor.fetchall())


def columns(cursor: Any, table: str) -> list[Column]:
    """The table's columns."""
    cursor.execute(CHECKS, (table,))
    checks = [text for (text,) in cursor.fetchall()]
    cursor.execute(COLUMNS, (table,))
    return [Column(name, kind, udt, _words(name, checks)) for name, kind, udt in cursor.fetchall()]


def _words(name: str, checks: list[str]) -> tuple[str, ...]:
    fitting = [text for text in checks if re.match(rf"CHECK \(\({name} = ANY", text)]
    return tuple(re.findall(r"'(\w+)'::text", fitting[0])) if fitting else ()


def a_row(cursor: Any, table: str, where: str, place: int) -> str | None:
    """Where the `place`-th row (counted round) stands; None for a table without such rows."""
    cursor.execute(f"SELECT {PLACE} FROM {table} WHERE {where} ORDER BY {table}::text")
    found = [row[0] for row in cursor.fetchall()]
    return found[place % len(found)] if found else None


def each_change(cursor: Any, table: str, column: Column, where: str, place: int) -> Iterator[str]:
    """Every change of the column that the table takes, one after the other: what it is, while it stands."""
    for number in range(len(rows_of_each_word(cursor, table, column, where, place))):
        ctid = rows_of_each_word(cursor, table, column, where, place)[number]  # a row put back stands elsewhere
        for value in others(cursor, table, column, ctid):
            ctid = rows_of_each_word(cursor, table, column, where, place)[number]
            with changed(cursor, table, column, ctid, value) as what:
                if what is not None:
                    yield what


def rows_of_each_word(cursor: Any, table: str, column: Column, where: str, place: int) -> list[str]:
    """Where a row of each word in this column stands; one row where the column holds no words."""
    if not column.words:
        return [ctid] if (ctid := a_row(cursor, table, where, place)) else []
    found = (a_row(cursor, table, f"({where}) AND \"{column.name}\" = '{word}'", place) for word in column.words)
    return [ctid for ctid in found if ctid]


def others(cursor: Any, table: str, column: Column, ctid: str) -> list[str]:
    """What may be written there instead, as SQL: every other word of the column, or one other value."""
    cursor.execute(f'SELECT "{column.name}"::text FROM {table} WHERE {PLACE} = %s', (ctid,))
    (old,) = cursor.fetchone()
    if column.words:
        return [f"'{word}'" for word in column.words if word != old]
    if old is None:
        return [GIVEN[column.type]] if column.type in GIVEN else []
    return [CHANGED[column.type].format(f'"{column.name}"')] if column.type in CHANGED else []


@contextmanager
def changed(cursor: Any, table: str, column: Column, ctid: str, value: str) -> Iterator[str | None]:
    """The row with one value of it changed; gives what was changed, or None where the table itself refuses it."""
    name = f'"{column.name}"'
    cursor.execute(f"SELECT {name}::text FROM {table} WHERE {PLACE} = %s", (ctid,))
    (old,) = cursor.fetchone()
    try:
        cursor.execute(
            f"UPDATE {table} SET {name} = {value} WHERE {PLACE} = %s RETURNING {PLACE}, {name}::text", (ctid,)
        )
    except (psycopg2.IntegrityError, psycopg2.DataError):
        yield None
        return
    new, now = cursor.fetchone()
    assert now != old, f"{table}.{column.name} is still {old}"
    try:
        yield f"{table}.{column.name}: {old} -> {now}"
    finally:
        cursor.execute(f"UPDATE {table} SET {name} = %s::{column.udt} WHERE {PLACE} = %s RETURNING {PLACE}", (old, new))
        assert cursor.rowcount == 1


@contextmanager
def deleted(cursor: Any, table: str, ctid: str) -> Iterator[None]:
    """The table without one of its rows."""
    cursor.execute(f"CREATE TEMP TABLE kept AS SELECT * FROM {table} WHERE {PLACE} = %s", (ctid,))
    cursor.execute(f"DELETE FROM {table} WHERE {PLACE} = %s", (ctid,))
    try:
        yield
    finally:
        cursor.execute(f"INSERT INTO {table} SELECT * FROM kept")
        cursor.execute("DROP TABLE kept")
