"""Commands that came over Kafka: decoded, decided in the run's transaction, appended. Faust runs it, per partition in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from infra.database import Cursor
from infra.errors import Retry, TooLate
from schemas.codec import Codec
from streams.command_handler import CommandHandler
from streams.event_store.recorded import Cause
from streams.orders import Order
from streams.runtime.records import Record


@dataclass(frozen=True)
class CommandAgent:
    """The handler of payments.commands and accounts.commands."""

    codec: Codec
    handler: CommandHandler

    def apply(self, cursor: Cursor, records: Sequence[Record]) -> None:
        """Decide the run's commands in order, all in one append.

        Raises Retry where one of them came too late just now: decided again it is nothing, and holds up none of the others.
        """
        try:
            self.handler.handle(cursor, [order_of(self.codec, record, "commands") for record in records])
        except TooLate as error:
            raise Retry(f"{error}; the run is decided again") from error


def order_of(codec: Codec, record: Record, actor: str) -> Order:
    """A command as it came, with the id and the cause that its headers carry. Raises Undecodable where they carry none."""
    command_id = record.header("ce_id", UUID)
    cause = Cause(
        causation_id=command_id,
        correlation_id=record.header("correlation_id", UUID),
        traceparent=record.headers.get("traceparent", ""),
        actor=actor,
    )
    return Order(command_id, codec.decode(record.value), cause)
