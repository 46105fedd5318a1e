"""What `payriver status` says of the event store: who appends for so long that all readers wait, and whether slices lie ready."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy.exc import OperationalError

from infra.database import engine, transaction
from infra.stack import access
from infra.stack.home import Home
from streams.event_store.subscription import appending

LONG_SECONDS = 1.0
BEYOND = "SELECT EXISTS (SELECT FROM events_beyond) OR EXISTS (SELECT FROM outbox_beyond)"


def store_state(folder: Path) -> dict[str, Any]:
    """`long_appends`: each backend that appends for more than a second; `slices_missing`: rows went beyond the last slice. {}: no answer."""
    home = Home(folder)
    home.load()
    source = engine(access.database_url(home, "write", "auditor"), application_name="payriver status")
    try:
        with transaction(source) as cursor:
            slow = [each for each in appending(cursor) if (each.seconds or 0) > LONG_SECONDS]
            cursor.execute(BEYOND)
            (missing,) = cursor.fetchall()[0]
    except OperationalError:
        return {}
    finally:
        source.dispose()
    return {"long_appends": [asdict(each) | {"told": str(each)} for each in slow], "slices_missing": missing}


def warnings(state: dict[str, Any]) -> list[str]:
    """The same for a person: nothing where all is well."""
    told = [
        f"all readers wait: {each['told']}; the server ends it after five minutes, or 20 seconds of rest"
        for each in state.get("long_appends", [])
    ]
    if state.get("slices_missing"):
        told.append("events or outbox rows lie beyond the last slice: run `payriver migrate`, which opens the next")
    return told
