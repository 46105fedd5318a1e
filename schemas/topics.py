"""Every topic, who reads it, and where that reader keeps its checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PAYMENT_EVENTS = "payments.events"
ACCOUNT_EVENTS = "accounts.events"
PERSON_EVENTS = "persons.events"
PAYMENT_COMMANDS = "payments.commands"
ACCOUNT_COMMANDS = "accounts.commands"
CHAIN_COMMANDS = "chain.commands"

FOR_EVER = -1
SEVEN_DAYS_MS = 7 * 24 * 3600 * 1000


@dataclass(frozen=True)
class Topic:
    """A business topic: keyed by stream id, written by the connector alone."""

    name: str
    retention_ms: int
    doc: str


@dataclass(frozen=True)
class Subscription:
    """A component reads topics, and keeps its checkpoints beside what it writes: on W or on R."""

    component: str
    topics: tuple[str, ...]
    server: Literal["write", "read"]


TOPICS = (
    Topic(PAYMENT_EVENTS, FOR_EVER, "What happened to payments, in each payment's order."),
    Topic(ACCOUNT_EVENTS, FOR_EVER, "What happened to accounts, in each account's order."),
    Topic(PERSON_EVENTS, FOR_EVER, "What happened to persons, in each person's order; their data as ciphertext alone."),
    Topic(PAYMENT_COMMANDS, SEVEN_DAYS_MS, "What the sagas order of payments."),
    Topic(ACCOUNT_COMMANDS, SEVEN_DAYS_MS, "What is ordered of accounts."),
    Topic(CHAIN_COMMANDS, SEVEN_DAYS_MS, "What the sagas order of the chain submitter."),
)

SUBSCRIPTIONS = (
    Subscription("commands", (PAYMENT_COMMANDS, ACCOUNT_COMMANDS), "write"),
    Subscription("sagas", (PAYMENT_EVENTS,), "write"),
    Subscription("notifications", (PAYMENT_EVENTS, ACCOUNT_EVENTS), "write"),
    Subscription("submitter", (CHAIN_COMMANDS,), "write"),
    Subscription("projections", (PAYMENT_EVENTS, ACCOUNT_EVENTS, PERSON_EVENTS), "read"),
)
