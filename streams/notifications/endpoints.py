"""To whom we tell what happened: endpoints, each with secrets of its own and a filter. Used by `payriver webhook`.

What a person, or the sender, does to one is written down with it (history.py). An address is one endpoint: registered again after it was
removed, it is the same one, with a new secret.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from urllib.parse import urlsplit
from uuid import UUID

from infra.database import Cursor
from infra.errors import BadInput, Conflict, NotFound
from streams.domain import ids
from streams.notifications import history, signing
from streams.notifications.guard import public_if_literal
from streams.notifications.messages import TYPES, wants

MOST_CHARACTERS, SHOWN_CHARACTERS = 2048, 200
MOST_PAUSE_HOURS = 30 * 24
# Whoever makes messages (agent.py) waits until the moment from which an endpoint is told is committed, and we until all runs of before it are.
LOCK = "LOCK TABLE webhook_endpoints IN EXCLUSIVE MODE"
INSERT = "INSERT INTO webhook_endpoints (endpoint_id, url, event_types, state) VALUES (%s, %s, %s, 'enabled')"
AGAIN = """
UPDATE webhook_endpoints SET event_types = %s, state = 'enabled', reason = NULL, paused_until = NULL,
    enabled_at = clock_timestamp(), types_since = clock_timestamp()
WHERE endpoint_id = %s
"""
COLUMNS = "endpoint_id, url, event_types, state, reason, paused_until, created_at"
CHANGE = """
UPDATE webhook_endpoints
SET url = %(url)s, event_types = %(types)s, types_since = CASE WHEN event_types = %(types)s THEN types_since ELSE clock_timestamp() END
WHERE endpoint_id = %(id)s
"""
PAUSE = "UPDATE webhook_endpoints SET paused_until = clock_timestamp() + %s * interval '1 hour', reason = %s WHERE endpoint_id = %s"
DISABLE = "UPDATE webhook_endpoints SET state = 'disabled', reason = %s WHERE endpoint_id = %s AND state = 'enabled'"
PARK = """
UPDATE webhook_messages SET state = 'parked', reason = %s, ended_at = clock_timestamp(), claimed_until = NULL
WHERE endpoint_id = %s AND state = 'waiting'
"""
ENABLE = """
UPDATE webhook_endpoints SET state = 'enabled', reason = NULL, paused_until = NULL, enabled_at = clock_timestamp()
WHERE endpoint_id = %s AND state = 'disabled'
"""
RESUME = "UPDATE webhook_endpoints SET paused_until = NULL, reason = NULL WHERE endpoint_id = %s AND state = 'enabled'"
REMOVE = "UPDATE webhook_endpoints SET state = 'removed', reason = %s, paused_until = NULL WHERE endpoint_id = %s"
DISCARD = """
UPDATE webhook_messages SET state = 'discarded', reason = %s, ended_at = clock_timestamp(), claimed_until = NULL
WHERE endpoint_id = %s AND state IN ('waiting', 'parked')
"""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where webhooks go. `reason`: why it is disabled, paused by a person, or removed. A secret is shown once, when it is made."""

    endpoint_id: UUID
    url: str
    event_types: tuple[str, ...]
    state: str
    reason: str | None
    paused_until: datetime | None
    created_at: datetime


def register(
    cursor: Cursor, url: str, event_types: Sequence[str] = (), *, by: str, allowed_hosts: Collection[str] = ()
) -> tuple[Endpoint, str]:
    """Make an endpoint and its secret (`whsec_...`, Standard Webhooks); it is told of what is recorded from now on.

    `event_types`: each names a type or all below it, as `card.transaction` does; none: everything. Raises BadInput, Conflict.
    """
    check_url(url, allowed_hosts)
    types = _types(event_types)
    cursor.execute(LOCK)
    known = _of_url(cursor, url)
    if known is not None and known.state != "removed":
        raise Conflict(f"{url} is registered already, as {known.endpoint_id}")
    if known is None:
        endpoint_id = _free_id(cursor, url)
        cursor.execute(INSERT, (endpoint_id, url, types))
    else:
        endpoint_id = known.endpoint_id
        cursor.execute(AGAIN, (types, endpoint_id))
    history.note(cursor, endpoint_id, "registered", by, url=url, event_types=types)
    return get(cursor, endpoint_id), signing.make(cursor, endpoint_id)


def check_url(url: str, allowed_hosts: Collection[str]) -> None:
    """https, to a host, without a login in it; http only to a host that the settings allow. Raises BadInput.

    What a parser would pass over in silence (blanks, line ends, an empty login) is refused, as is a name that no resolver takes, and an address
    that is not public. Where a name leads, the sender looks each time.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host.encode("idna")  # RFC 1035 2.3.4: no label is empty, none has more than 63 characters
    except ValueError as error:
        raise BadInput(f"webhook URL {url[:SHOWN_CHARACTERS]!r}: {error}") from error
    plain = re.fullmatch(r"[!-~]+", url) and len(url) <= MOST_CHARACTERS
    if not plain or parts.scheme not in ("http", "https") or not host or port == 0 or "@" in parts.netloc or "#" in url:
        raise BadInput(
            f"webhook URL {url[:SHOWN_CHARACTERS]!r}: say https://host/path, in ASCII without blanks, at most {MOST_CHARACTERS} "
            "characters, without a login and without a fragment"
        )
    if parts.scheme == "http" and host not in allowed_hosts:
        raise BadInput(f"webhook URL {url!r}: only https, unless the host is named in PAYRIVER_WEBHOOK_ALLOWED_HOSTS")
    if host not in allowed_hosts and not public_if_literal(host):
        raise BadInput(
            f"webhook URL {url!r}: {host} is not a public address; name it in PAYRIVER_WEBHOOK_ALLOWED_HOSTS if webhooks may go there"
        )


def get(cursor: Cursor, endpoint_id: UUID) -> Endpoint:
    """One endpoint. Raises NotFound."""
    for endpoint in _select(cursor, "WHERE endpoint_id = %s", (endpoint_id,)):
        return endpoint
    raise NotFound(f"no webhook endpoint {endpoint_id}")


def find(cursor: Cursor, *, removed: bool = False) -> list[Endpoint]:
    """All endpoints, oldest first; also those that were removed, if asked for."""
    return _select(cursor, "WHERE state <> 'removed' OR %s ORDER BY created_at, endpoint_id", (removed,))


def change(
    cursor: Cursor,
    endpoint_id: UUID,
    *,
    by: str,
    url: str | None = None,
    event_types: Sequence[str] | None = None,
    reason: str | None = None,
    allowed_hosts: Collection[str] = (),
) -> Endpoint:
    """Another address, to which what waits goes too, or another filter, for what is delivered to us from now on; its secrets stay.

    Raises BadInput, NotFound; Conflict for an address that is another endpoint's, or an endpoint that was removed.
    """
    if url is not None:
        check_url(url, allowed_hosts)
        cursor.execute(LOCK)
    before = _standing(cursor, endpoint_id)
    types = before.event_types if event_types is None else tuple(_types(event_types))
    wanted = url or before.url
    if (wanted, types) == (before.url, before.event_types):
        return before
    other = _of_url(cursor, wanted)
    if other is not None and other.endpoint_id != endpoint_id:
        raise Conflict(f"{wanted} is registered already, as {other.endpoint_id} ({other.state})")
    cursor.execute(CHANGE, {"url": wanted, "types": list(types), "id": endpoint_id})
    was = {"url": before.url, "event_types": list(before.event_types)}
    history.note(cursor, endpoint_id, "changed", by, reason, url=wanted, event_types=list(types), was=was)
    return get(cursor, endpoint_id)


def rotate(cursor: Cursor, endpoint_id: UUID, overlap_hours: float, *, by: str, reason: str | None = None) -> str:
    """A new secret, shown once; those of before sign beside it for so long. Raises BadInput, NotFound, Conflict."""
    _standing(cursor, endpoint_id)
    secret = signing.rotate(cursor, endpoint_id, overlap_hours)
    history.note(cursor, endpoint_id, "rotated", by, reason, overlap_hours=overlap_hours)
    return secret


def pause(cursor: Cursor, endpoint_id: UUID, hours: float, reason: str, *, by: str) -> Endpoint:
    """Nothing is sent to it for so long, and all that comes waits for it. Raises BadInput, NotFound; Conflict where it is told nothing anyway."""
    if not 0 < hours <= MOST_PAUSE_HOURS:
        raise BadInput(
            f"a pause of {hours} hours: say more than 0, and at most {MOST_PAUSE_HOURS}; after that, disable or remove it"
        )
    if _standing(cursor, endpoint_id).state != "enabled":
        raise Conflict(
            f"endpoint {endpoint_id} is disabled: it is told nothing, and nothing waits for it; enable it first"
        )
    cursor.execute(PAUSE, (hours, reason, endpoint_id))
    history.note(cursor, endpoint_id, "paused", by, reason, hours=hours)
    return get(cursor, endpoint_id)


def disable(cursor: Cursor, endpoint_id: UUID, reason: str, *, by: str) -> None:
    """Tell it no more. What still waits for it is parked, and can be replayed when it is enabled again. Raises NotFound.

    One that was removed meanwhile stays so.
    """
    cursor.execute(DISABLE, (reason, endpoint_id))
    if cursor.rowcount:
        history.note(cursor, endpoint_id, "disabled", by, reason)
    get(cursor, endpoint_id)
    cursor.execute(PARK, (f"endpoint_{reason}", endpoint_id))


def enable(cursor: Cursor, endpoint_id: UUID, *, by: str) -> Endpoint:
    """Tell it of what is recorded from now on; one that is enabled, and was paused or asked us to wait, of all that waits.

    Raises NotFound, Conflict.
    """
    cursor.execute(LOCK)
    before = _standing(cursor, endpoint_id)
    cursor.execute(RESUME, (endpoint_id,))
    cursor.execute(ENABLE, (endpoint_id,))
    if before.state != "enabled" or before.paused_until is not None:
        history.note(cursor, endpoint_id, "enabled", by, was=before.state)
    return get(cursor, endpoint_id)


def remove(cursor: Cursor, endpoint_id: UUID, reason: str, *, by: str) -> int:
    """Tell it no more, for good. What waits for it, or is parked, ends with the reason; gives how much. Its secrets are not kept.

    Removed already, nothing changes. Raises NotFound.
    """
    if _locked(cursor, endpoint_id).state == "removed":
        return 0
    cursor.execute(REMOVE, (reason, endpoint_id))
    cursor.execute(DISCARD, (f"endpoint_removed: {reason}", endpoint_id))
    discarded = cursor.rowcount
    signing.end(cursor, endpoint_id)
    history.note(cursor, endpoint_id, "removed", by, reason, discarded=discarded)
    return discarded


def _standing(cursor: Cursor, endpoint_id: UUID) -> Endpoint:
    """Locked until the transaction's end. Raises NotFound; Conflict for one that was removed."""
    found = _locked(cursor, endpoint_id)
    if found.state == "removed":
        raise Conflict(f"endpoint {endpoint_id} was removed ({found.reason}); register its address again")
    return found


def _locked(cursor: Cursor, endpoint_id: UUID) -> Endpoint:
    for endpoint in _select(cursor, "WHERE endpoint_id = %s FOR UPDATE", (endpoint_id,)):
        return endpoint
    raise NotFound(f"no webhook endpoint {endpoint_id}; `payriver webhook list` names those that there are")


def _of_url(cursor: Cursor, url: str) -> Endpoint | None:
    return next(iter(_select(cursor, "WHERE url = %s", (url,))), None)


def _free_id(cursor: Cursor, url: str) -> UUID:
    """It follows from the address, so that after a restore its webhooks bear their old ids; unless that endpoint has moved elsewhere since."""
    for number in count():
        endpoint_id = ids.derived("webhook endpoint", f"{url} {number}" if number else url)
        if not _select(cursor, "WHERE endpoint_id = %s", (endpoint_id,)):
            return endpoint_id
    raise AssertionError("counting does not end")


def _types(told: Sequence[str]) -> list[str]:
    for each in told:
        if not any(wants((each,), name) for name in TYPES):
            raise BadInput(f"event type {each!r} names none of: {', '.join(sorted(TYPES))}")
    return sorted(set(told))


def _select(cursor: Cursor, rest: str, values: tuple[object, ...]) -> list[Endpoint]:
    cursor.execute(f"SELECT {COLUMNS} FROM webhook_endpoints {rest}", values)
    return [Endpoint(row[0], row[1], tuple(row[2]), *row[3:]) for row in cursor.fetchall()]
