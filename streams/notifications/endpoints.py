"""To whom we tell what happened: endpoints, each with a secret of its own and a filter. Used by `payriver webhook`."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit
from uuid import UUID

from infra.database import Cursor
from infra.errors import BadInput, Conflict, NotFound
from streams.domain import ids
from streams.notifications.guard import public_if_literal
from streams.notifications.messages import TYPES, wants

SECRET_BYTES = 32
MOST_CHARACTERS, SHOWN_CHARACTERS = 2048, 200
# Whoever makes messages (agent.py) waits until the moment from which an endpoint is told is committed, and we until all runs of before it are.
LOCK = "LOCK TABLE webhook_endpoints IN EXCLUSIVE MODE"
INSERT = """
INSERT INTO webhook_endpoints (endpoint_id, url, secret, event_types, state) VALUES (%s, %s, %s, %s, 'enabled')
ON CONFLICT DO NOTHING
"""
COLUMNS = "endpoint_id, url, event_types, state, reason, paused_until, created_at"
DISABLE = "UPDATE webhook_endpoints SET state = 'disabled', reason = %s WHERE endpoint_id = %s AND state = 'enabled'"
PARK = """
UPDATE webhook_messages SET state = 'parked', reason = %s, ended_at = clock_timestamp(), claimed_until = NULL
WHERE endpoint_id = %s AND state = 'waiting'
"""
ENABLE = """
UPDATE webhook_endpoints SET state = 'enabled', reason = NULL, paused_until = NULL, enabled_at = clock_timestamp()
WHERE endpoint_id = %s AND state = 'disabled'
"""

RESUME = "UPDATE webhook_endpoints SET paused_until = NULL WHERE endpoint_id = %s AND state = 'enabled'"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where webhooks go. Its secret is shown once, when it is registered."""

    endpoint_id: UUID
    url: str
    event_types: tuple[str, ...]
    state: str
    reason: str | None
    paused_until: datetime | None
    created_at: datetime


def register(
    cursor: Cursor, url: str, event_types: Sequence[str] = (), *, allowed_hosts: Collection[str] = ()
) -> tuple[Endpoint, str]:
    """Make an endpoint and its secret (`whsec_...`, Standard Webhooks); it is told of what is recorded from now on.

    `event_types`: each names a type or all below it, as `card.transaction` does; none: everything. Raises BadInput, Conflict.
    """
    check_url(url, allowed_hosts)
    for each in event_types:
        if not any(wants((each,), name) for name in TYPES):
            raise BadInput(f"event type {each!r} names none of: {', '.join(sorted(TYPES))}")
    endpoint_id = ids.derived("webhook endpoint", url)
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    cursor.execute(LOCK)
    cursor.execute(INSERT, (endpoint_id, url, secret, sorted(set(event_types))))
    if cursor.rowcount != 1:
        raise Conflict(f"{url} is registered already, as {endpoint_id}")
    return get(cursor, endpoint_id), secret


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


def find(cursor: Cursor) -> list[Endpoint]:
    """All endpoints, oldest first."""
    return _select(cursor, "ORDER BY created_at, endpoint_id", ())


def disable(cursor: Cursor, endpoint_id: UUID, reason: str) -> None:
    """Tell it no more. What still waits for it is parked, and can be replayed when it is enabled again. Raises NotFound."""
    cursor.execute(DISABLE, (reason, endpoint_id))
    get(cursor, endpoint_id)
    cursor.execute(PARK, (f"endpoint_{reason}", endpoint_id))


def enable(cursor: Cursor, endpoint_id: UUID) -> Endpoint:
    """Tell it of what is recorded from now on; one that is enabled, and asked us to wait, of all that waits. Raises NotFound."""
    cursor.execute(LOCK)
    cursor.execute(RESUME, (endpoint_id,))
    cursor.execute(ENABLE, (endpoint_id,))
    return get(cursor, endpoint_id)


def _select(cursor: Cursor, rest: str, values: tuple[object, ...]) -> list[Endpoint]:
    cursor.execute(f"SELECT {COLUMNS} FROM webhook_endpoints {rest}", values)
    return [Endpoint(row[0], row[1], tuple(row[2]), *row[3:]) for row in cursor.fetchall()]
