"""Whether trying again may help: the world was in the way, and not what was asked. One answer for whoever waits, retries or parks."""

from __future__ import annotations

import psycopg2
import sqlalchemy.exc

from infra.errors import Retry

# What may pass by itself, by SQLSTATE or by its class (the first two characters): PostgreSQL's appendix A.
TRANSIENT_STATES = frozenset({
    "40001",  # serialization_failure
    "40P01",  # deadlock_detected
    "55P03",  # lock_not_available
    "25006",  # read_only_sql_transaction: the server is a standby for a moment
    "57P01",  # admin_shutdown
    "57P02",  # crash_shutdown
    "57P03",  # cannot_connect_now
    "57P05",  # idle_session_timeout
    "25P03",  # idle_in_transaction_session_timeout
})  # fmt: skip
TRANSIENT_CLASSES = frozenset({
    "08",  # connection exceptions
    "28",  # a password or role that is being changed: nobody's message is at fault
    "53",  # out of disk, memory, connections
    "58",  # the server's own system errors
})  # fmt: skip


def is_transient(error: BaseException) -> bool:
    """True for our own Retry, for a connection that broke or could not be had, and for what PostgreSQL says may pass."""
    if isinstance(error, sqlalchemy.exc.DBAPIError) and error.orig is not None:
        return is_transient(error.orig)
    if isinstance(error, (Retry, psycopg2.InterfaceError, sqlalchemy.exc.TimeoutError)):
        return True
    if not isinstance(error, psycopg2.Error):
        return False
    if error.pgcode is None:  # the connection broke, or there was none
        return isinstance(error, psycopg2.OperationalError) or error.__class__ is psycopg2.DatabaseError
    return error.pgcode in TRANSIENT_STATES or error.pgcode[:2] in TRANSIENT_CLASSES
