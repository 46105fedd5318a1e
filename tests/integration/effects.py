"""A worker for the runtime's tests: writes one row a message, and fails where a message or the environment tells it to.

There is no unique key on its rows, so a message taken twice shows. Run as a process: `python effects.py TOPIC...`.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Sequence

from infra.database import Cursor, engine
from infra.errors import Retry, Undecodable
from infra.settings import Settings
from infra.telemetry import configure_logging
from streams.runtime.records import Record
from streams.runtime.worker import run_worker

TABLES = """
CREATE TABLE effects (at bigserial, id text NOT NULL, key text, partition int NOT NULL, "offset" bigint NOT NULL);
CREATE TABLE healed (id text PRIMARY KEY);
"""
DROP = "DROP TABLE IF EXISTS effects, healed"


class Effects:
    """One row a message. `poison...` cannot be taken before its id stands in `healed`."""

    def __init__(self, *, seconds: float = 0.0, failing: float = 0.0) -> None:
        self._seconds, self._failing = seconds, failing

    def apply(self, cursor: Cursor, records: Sequence[Record]) -> None:
        for record in records:
            self._take(cursor, record)
        time.sleep(self._seconds)
        if random.random() < self._failing:
            raise Retry("this run was told to fail after it wrote")

    def _take(self, cursor: Cursor, record: Record) -> None:
        text = (record.value or b"").decode()
        if text.startswith("poison"):
            cursor.execute("SELECT FROM healed WHERE id = %s", (text,))
            if not cursor.rowcount:
                raise Undecodable(f"{text} is no message of ours")
        cursor.execute(
            'INSERT INTO effects (id, key, partition, "offset") VALUES (%s, %s, %s, %s)',
            (text, record.key_text, record.partition, record.offset),
        )


def main() -> int:
    settings = Settings()
    configure_logging(settings)
    handler = Effects(**json.loads(os.environ.get("EFFECTS", "{}")))
    return run_worker(settings, engine=engine(settings.write_url), topics=sys.argv[1:], handler=handler)


if __name__ == "__main__":
    sys.exit(main())
