"""What an account holds and may spend, as shown: the read model's row, and the domain's own arithmetic at the newest block known."""

from __future__ import annotations

from datetime import UTC, datetime

from api.answers.chain_view import Seen
from api.answers.models import Allowance, Balance
from streams.domain.money import minor_of
from streams.projections.balances import BalanceRow, allowances, spendable_raw


def balance(row: BalanceRow, seen: Seen | None, stale_seconds: int) -> Balance:
    """The balance at the newest block; where none is known, at the time that the allowance was stored."""
    known = allowances(row)
    block_time = max(seen.block_time if seen else 0, known.final.timestamp)
    counting = known.counting(block_time)
    refill = counting.next_refill(block_time)
    amounts = {
        "total": row.final_raw,
        "spendable": spendable_raw(row, block_time),
        "pending": row.pending_out_raw,
        "pending_in": row.pending_in_raw,
        "held": row.held_raw,
    }
    minors = {name: minor_of(raw, row.currency, row.decimals) for name, raw in amounts.items()}
    return Balance.model_validate(
        {
            "account_id": row.account_id,
            "currency": row.currency,
            "decimals": row.decimals,
            **{f"{name}_raw": raw for name, raw in amounts.items()},
            **{f"{name}_minor": minor for name, minor in minors.items()},
            "blocked_by": blocked_by(row, seen, stale_seconds),
            "allowance": Allowance.model_validate(
                {
                    "balance_raw": counting.balance,
                    "max_refill_raw": counting.max_refill,
                    "refill_raw": counting.refill,
                    "period_seconds": counting.period_seconds,
                    "next_refill_at": datetime.fromtimestamp(refill, UTC) if refill is not None else None,
                }
            ),
            "block_number": row.block_number,
            "block_time": block_time,
            "version": row.version,
        }
    )


def blocked_by(row: BalanceRow, seen: Seen | None, stale_seconds: int) -> str | None:
    """Why nothing would be approved now, in the words of a refusal; None where nothing stands in the way."""
    if seen is None or seen.age_seconds > stale_seconds:
        return "chain_stale"
    if row.integrity != "Ok":
        return "account_integrity"
    if not row.queue_empty:
        return "withdrawal_pending"
    return "card_frozen" if row.card_state == "frozen" else None
