"""How what was said in an older shape is said today: a table of pure functions, (type, schema_version) -> that payload one version on.

A payload is a message as JSON values (`definition.to_json`): what is stored, and what bytes of an old schema are made into. It goes
through the rows from its own version to today's, wherever it comes from; what is stored, and its hash, stay as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import msgspec

from infra.errors import UnknownType
from schemas.definition import Message, from_json, message_class, text_reader

Payload = dict[str, Any]
Upcaster = Callable[[Payload], Payload]
Table = Mapping[tuple[str, int], Upcaster]


def adds(**fields: Any) -> Upcaster:
    """The shape after has these fields more; of an old message this is what they say, as JSON values."""
    return lambda payload: fields | payload


def _all_due(payload: Payload) -> Payload:
    """An approval was of one amount, and that was due."""
    return {"stand_in": False, "due_raw": payload["amount_raw"]} | payload


UPCASTERS: Table = {
    ("PaymentRequested", 1): adds(message="authorization", transaction_type="purchase", partial_approval=False),
    ("PaymentAuthorized", 1): _all_due,
    ("PaymentVerified", 1): adds(spendable_minor=None),
    ("PaymentCaptured", 1): adds(final=True, forced=False, due_raw=None),
    ("PaymentReversed", 1): adds(due_raw="0"),
    ("PaymentExpired", 1): adds(due_raw="0"),
    ("LegSeen", 1): adds(due_raw=None),
    ("LegEndedUnpaid", 1): adds(because=None, closed_by=None, due_raw=None),
    ("TransferFinalized", 1): adds(at_first_sight=False, log_index=None),
    ("FundsHeld", 1): adds(cause="approval", amount_minor=None, cash=False, held_at=None),
    ("RequestPayment", 1): adds(message="authorization", transaction_type="purchase", partial_approval=False),
    ("CapturePayment", 1): adds(final=True, account_id=None),
    ("ReversePayment", 1): adds(amount_minor=None, card_token=None, currency=None),
}
"""(type, schema_version it has) -> the payload as `schema_version` + 1 says it. A row for each version ever left behind."""


def upcast(kind: str, schema_version: int, payload: Payload, today: int, table: Table = UPCASTERS) -> Payload:
    """The payload of `schema_version` as the shape of `today` says it.

    Raises UnknownType for one that is newer than today's class: half of what was said is no ground to decide on.
    """
    if schema_version > today:
        raise UnknownType(
            f"{kind} was written with schema_version {schema_version}, this payriver knows {today}: upgrade it before it reads on"
        )
    for version in range(schema_version, today):
        payload = table[kind, version](payload)
    return payload


def message_of(kind: str, schema_version: int, payload: Payload) -> Message:
    """The typed value of a stored payload of any version. Raises UnknownType, ValueError."""
    cls = message_class(kind)
    return from_json(cls, upcast(kind, schema_version, payload, cls.schema_version))


def message_of_text(kind: str, schema_version: int, text: msgspec.Raw) -> Message:
    """The same of a payload that is JSON text still."""
    return _text_reader(kind, schema_version)(text)


@cache
def _text_reader(kind: str, schema_version: int) -> Callable[[msgspec.Raw], Message]:
    """For all payloads of one shape, found once."""
    if schema_version == message_class(kind).schema_version:
        return text_reader(message_class(kind))
    return lambda text: message_of(kind, schema_version, msgspec.json.decode(text))


def problems(messages: Iterable[type[Message]], table: Table = UPCASTERS) -> list[str]:
    """Versions that no row leads on from, and rows that lead nowhere."""
    wanted = {(cls.__name__, version) for cls in messages for version in range(1, cls.schema_version)}
    return [
        *(f"{kind}: no upcaster leads from schema_version {version} to {version + 1}: add a row to schemas/upcasters.py"
          for kind, version in sorted(wanted - table.keys())),
        *(f"{kind}: the upcaster from schema_version {version} leads nowhere: take its row out of schemas/upcasters.py"
          for kind, version in sorted(table.keys() - wanted)),
    ]  # fmt: skip
