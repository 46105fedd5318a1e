"""A spend that a person had closed and that a block has after all: booked as any other, and told, for its amount may be given away since."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import structlog

from connectors.chain.listening import contradictions
from infra.database import Cursor
from schemas.messages.payment_events import LegSeen
from streams.command_handler import CommandHandler
from streams.orders import Outcome

log = structlog.get_logger(__name__)


def tell(cursor: Cursor, chain_id: int, handler: CommandHandler, outcomes: Sequence[Outcome]) -> None:
    """Count each on W, for the alarm, and write down what is left to its account: below zero, so much was approved that is not covered."""
    found = [told for outcome in outcomes for each in outcome.events if (told := _of_a_closed_one(each.message))]
    if not found:
        return
    accounts = handler.states(cursor, [each.account_id for each in found])
    for each in found:
        log.error(
            "closed_spend_mined",
            payment_id=str(each.payment_id),
            account_id=str(each.account_id),
            tx_hash=each.tx_hash,
            amount_raw=str(each.amount_raw),
            free_raw=str(accounts[each.account_id].free_funds_raw()),
        )
    times = Counter(str(each.payment_id) for each in found)
    contradictions.count(cursor, chain_id, contradictions.CLOSED_SPEND_MINED, times)


def _of_a_closed_one(message: object) -> LegSeen | None:
    """`leg_decisions.seen_again` alone says beside a leg what is due with it."""
    return message if isinstance(message, LegSeen) and message.due_raw is not None else None
