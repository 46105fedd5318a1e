"""The same order twice is carried out once: what an order says that counts, what was answered to it, and whether a second one agrees."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from infra.errors import CommandIdReused
from schemas.definition import Message, to_json
from streams.event_store.canonical import canonical
from streams.event_store.recorded import Cause, NewEvent
from streams.event_store.recorder import Answer


@dataclass(frozen=True)
class Order:
    """A command or a fact, with the id that makes it happen once and the cause that explains it.

    `business`: `business_of` the message, where whoever gives the order has it at hand. `kept`: whether it is stored with the answer; not
    where the one event that the order leads to says as much.
    """

    command_id: UUID
    message: Any
    cause: Cause
    business: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)
    kept: bool = field(default=True, repr=False, compare=False)


class Outcome(NamedTuple):
    """What an order led to: its events (empty: nothing to do), or the first answer when it had come before."""

    command_id: UUID
    events: tuple[NewEvent, ...]
    answer: Mapping[str, Any]
    repeated: bool = False
    not_after: datetime | None = None


def answered(orders: Sequence[Order], answers: Sequence[Sequence[Any]]) -> dict[UUID, Outcome]:
    """The first answers to orders that came before, out of what is stored of them. Raises CommandIdReused."""
    wanted = {order.command_id: order for order in orders}
    found = {}
    for told, kind, fingerprint, answer in answers:
        order = wanted[UUID(told)]
        same = bytes.fromhex(fingerprint) in map(fingerprint_of, (_business(order), UNKNOWN))
        if kind != type(order.message).__name__ or not same:
            raise _reused(order.command_id, kind)
        found[order.command_id] = Outcome(order.command_id, (), answer, repeated=True)
    return found


def must_agree(orders: Sequence[Order]) -> None:
    """The same id twice in one call is the same order twice. Raises CommandIdReused."""
    known: dict[UUID, Any] = {}
    for order in orders:
        first = known.setdefault(order.command_id, order.message)
        if first is order.message:
            continue
        if type(first) is not type(order.message) or business_of(first) != business_of(order.message):
            raise _reused(order.command_id, type(first).__name__)


def _reused(command_id: UUID, kind: str) -> CommandIdReused:
    return CommandIdReused(
        f"command {command_id} came before as {kind} with other business fields; "
        "send the same fields to get the first answer, or a new id for a new order"
    )


def answer_to(order: Order, outcome: Outcome) -> Answer:
    """As it is stored under the order's id."""
    business, kind = dict(_business(order)) if order.kept else UNKNOWN, type(order.message).__name__
    fingerprint = fingerprint_of(business) if order.kept else FINGERPRINT_OF_UNKNOWN
    return Answer(outcome.command_id, kind, business, fingerprint, outcome.answer)


def _business(order: Order) -> Mapping[str, Any]:
    return business_of(order.message) if order.business is None else order.business


def business_of(message: Any) -> dict[str, Any]:
    """The fields of an order that must be the same when it comes a second time; all fields of a fact."""
    if isinstance(message, Message):
        return {name: value for name, value in to_json(message).items() if _is_business(message, name)}
    return {name: _told(value) for name, value in message.__dict__.items()}


AS_IT_IS, AS_TEXT = frozenset({str, bool, type(None)}), frozenset({UUID, int})
UNKNOWN: Mapping[str, Any] = {}
"""The business fields of an order of which its events alone say what it was: it came back from them (connectors/recovery), or was not kept."""


def fingerprint_of(business: Mapping[str, Any]) -> bytes:
    """sha256 over the RFC 8785 form of the business fields."""
    return hashlib.sha256(canonical(dict(business))).digest()


FINGERPRINT_OF_UNKNOWN = fingerprint_of(UNKNOWN)


def _is_business(message: Message, name: str) -> bool:
    """Whether the field counts. One that came later counts where it says something: older answers stay comparable."""
    declared = type(message).__dataclass_fields__[name]  # type: ignore[attr-defined]
    says_nothing_new = declared.metadata["since"] > 1 and getattr(message, name) == declared.default
    return bool(declared.metadata["business"]) and not says_nothing_new


def _told(value: Any) -> Any:
    """A fact's value in JSON: amounts do not fit a JSON number, so integers are told as text. A value of several is told by its fields."""
    kind = type(value)
    if kind in AS_IT_IS:
        return value
    if kind in AS_TEXT or not is_dataclass(value):
        return str(value)
    return {name: each if type(each) in AS_IT_IS else _told(each) for name, each in value.__dict__.items()}
