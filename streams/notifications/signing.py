"""By which secrets an endpoint's webhooks are signed: the newest, and those of before for as long as their holder may still check by them.

Standard Webhooks: `webhook-signature` holds one signature a secret, apart by blanks, and a receiver takes any that it can check.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from standardwebhooks.webhooks import Webhook

from infra.database import Cursor
from infra.errors import BadInput, Conflict

SECRET_BYTES = 32
MOST_SECRETS = 4
"""That sign at once: a header has bounds, and so has whoever computes them."""
MOST_OVERLAP_HOURS = 30 * 24

ERASE = "UPDATE webhook_secrets SET secret = NULL WHERE signs_until <= clock_timestamp() AND secret IS NOT NULL"
COUNT = "SELECT count(*), min(signs_until) FROM webhook_secrets WHERE endpoint_id = %s AND secret IS NOT NULL"
END = """
UPDATE webhook_secrets SET signs_until = least(signs_until, clock_timestamp() + %s * interval '1 hour')
WHERE endpoint_id = %s AND secret IS NOT NULL
"""
MAKE = """
INSERT INTO webhook_secrets (endpoint_id, number, secret)
SELECT %(id)s, coalesce(max(number), 0) + 1, %(secret)s FROM webhook_secrets WHERE endpoint_id = %(id)s
"""
SIGNING = """
SELECT made_at, signs_until FROM webhook_secrets
WHERE endpoint_id = %s AND (signs_until IS NULL OR signs_until > clock_timestamp()) ORDER BY number DESC
"""


def make(cursor: Cursor, endpoint_id: UUID) -> str:
    """A new secret (`whsec_...`), beside those that sign already; the endpoint's row is locked by the caller. It is shown once."""
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    cursor.execute(MAKE, {"id": endpoint_id, "secret": secret})
    return secret


def rotate(cursor: Cursor, endpoint_id: UUID, overlap_hours: float) -> str:
    """A new secret; those of before sign beside it for so long, or no more where it is 0. Raises BadInput; Conflict where too many sign already."""
    if not 0 <= overlap_hours <= MOST_OVERLAP_HOURS:
        raise BadInput(
            f"an overlap of {overlap_hours} hours: say 0 to {MOST_OVERLAP_HOURS}; 0 ends the secrets of before at once"
        )
    erase(cursor)
    cursor.execute(COUNT, (endpoint_id,))
    ((count, first_end),) = cursor.fetchall()
    if overlap_hours and count >= MOST_SECRETS:
        raise Conflict(
            f"{count} secrets of endpoint {endpoint_id} sign already, the first until {first_end:%Y-%m-%d %H:%M} UTC; wait, or end all of them"
            " at once with an overlap of 0"
        )
    end(cursor, endpoint_id, overlap_hours)
    return make(cursor, endpoint_id)


def end(cursor: Cursor, endpoint_id: UUID, hours: float = 0) -> None:
    """No secret of now signs for longer than that."""
    cursor.execute(END, (hours, endpoint_id))
    erase(cursor)


def erase(cursor: Cursor) -> None:
    """What signs no more is not kept. The sender sees to it, too."""
    cursor.execute(ERASE)


def signing(cursor: Cursor, endpoint_id: UUID) -> list[tuple[datetime, datetime | None]]:
    """Since when and until when each secret signs that signs now, the newest first."""
    cursor.execute(SIGNING, (endpoint_id,))
    return cursor.fetchall()


def signatures(of: Iterable[str], message_id: str, at: datetime, body: str) -> str:
    """The header `webhook-signature`: one signature a secret, in their order."""
    return " ".join(Webhook(secret).sign(message_id, at, body) for secret in of)
