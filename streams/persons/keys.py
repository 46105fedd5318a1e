"""The database of keys: one row a person, apart from everything that they open, so that a backup of the one does not bring back the other.

It is a database of its own on R, which nobody needs a long-lived backup of: read models are made anew from events. The row of a
destroyed key stays without its secret, so that the id never gets another.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from psycopg2.errors import LockNotAvailable
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from infra.database import transaction
from infra.errors import Retry

# The server draws the secret (366 random bits, hashed to 256), so that no statement, and no log of one, ever holds it.
MAKE = """
INSERT INTO person_keys (key_id, person_id, secret)
VALUES (gen_random_uuid(), %s, sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())))
ON CONFLICT (person_id) DO NOTHING
"""
FIND = "SELECT key_id, secret FROM person_keys WHERE person_id = %s"
DESTROY = """
UPDATE person_keys SET secret = NULL, destroyed_at = clock_timestamp() WHERE person_id = ANY(%s::uuid[]) AND secret IS NOT NULL
"""
CLEAN = "VACUUM (FULL) person_keys"
PATIENCE_SECONDS = 2


@dataclass(frozen=True)
class Key:
    """A person's key; `secret` is None once it is destroyed."""

    key_id: UUID
    secret: bytes | None = field(repr=False)


@dataclass(frozen=True)
class KeyStore:
    """The keys, as role keeper."""

    database: Engine

    def find(self, person_id: UUID) -> Key | None:
        """The person's key, if there ever was one."""
        with transaction(self.database) as cursor:
            cursor.execute(FIND, (person_id,))
            row = cursor.fetchone()
        return None if row is None else Key(row[0], None if row[1] is None else bytes(row[1]))

    def make(self, person_id: UUID) -> Key:
        """The person's key; a fresh one for who never had one."""
        with transaction(self.database) as cursor:
            cursor.execute(MAKE, (person_id,))
        found = self.find(person_id)
        assert found is not None, "a row of person_keys is never deleted"
        return found

    def destroy(self, persons: Iterable[UUID]) -> int:
        """Destroy the keys of these persons; gives how many there still were.

        The table is then written anew: an update leaves the old bytes in their page. Raises Retry while somebody has the table open (a dump,
        say): nobody opens anything with these keys any more, and destroying again writes the table anew.
        """
        with transaction(self.database) as cursor:
            cursor.execute(DESTROY, (list(persons),))
            destroyed = cursor.rowcount
        with self.database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            # Whoever waits for the table has all others wait behind.
            connection.exec_driver_sql(f"SET lock_timeout = '{PATIENCE_SECONDS}s'")
            try:
                connection.exec_driver_sql(CLEAN)
            except DBAPIError as error:
                if not isinstance(error.orig, LockNotAvailable):
                    raise
                raise Retry(
                    "the key is destroyed, and somebody has the table of keys open, so that its file was not written anew: ask for the same "
                    "once more when they are done, or say `payriver person sweep`"
                ) from error
            finally:
                connection.exec_driver_sql("RESET lock_timeout")
        return destroyed
