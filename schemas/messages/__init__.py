"""Every message of the river, by topic. Importing this package fills the vocabulary."""

from schemas.messages import (
    account_commands,
    account_events,
    card_controls,
    chain_commands,
    payment_adjustment_commands,
    payment_adjustment_events,
    payment_commands,
    payment_events,
    person_events,
)

__all__ = [
    "account_commands",
    "account_events",
    "card_controls",
    "chain_commands",
    "payment_adjustment_commands",
    "payment_adjustment_events",
    "payment_commands",
    "payment_events",
    "person_events",
]
