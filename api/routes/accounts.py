"""Accounts as the read side has them: what they are, hold and may spend, their statements; and the orders to their cards."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse

from api.answers.balance import balance
from api.answers.models import Account, AccountPage, Balance, EventPage, Statement, problem_answers
from api.answers.past import AsOf, Diff, From, To
from api.answers.statement import Period, as_csv, statement
from api.door.strict import Strict
from api.requests.card_orders import CardLimits, MerchantBlock
from api.requests.orders import CardOrder
from api.requests.parameters import After, Limit, Moment, PageCursor
from api.routes.context import Operator, Parts, Reader
from schemas.messages.card_controls import BlockCountry, BlockMcc, SetCardLimits, UnblockCountry, UnblockMcc

router = APIRouter(route_class=Strict, prefix="/v1/accounts", tags=["Accounts"])

CSV = "text/csv"
FREEZING = problem_answers(400, 401, 403, 404, 413, 415, 422, 503)


@router.get("", responses=problem_answers(401, 403, 422, 503))
async def list_accounts(
    parts: Parts,
    caller: Reader,
    kind: Literal["customer", "settlement"] | None = None,
    cursor: PageCursor = None,
    limit: Limit = 50,
) -> AccountPage:
    """Accounts, by id."""
    return await parts.ask(lambda: parts.queries.accounts(kind, cursor, limit))


@router.get("/{account_id}", responses=problem_answers(401, 403, 404, 422, 503))
async def get_account(parts: Parts, caller: Reader, account_id: UUID, as_of: AsOf = None) -> Account:
    """One account, as it is or as it was."""
    if as_of is not None:
        return await parts.look_back(lambda: parts.past.account(account_id, as_of))
    return await parts.ask(lambda: parts.queries.account(account_id))


@router.get("/{account_id}/balance", responses=problem_answers(401, 403, 404, 422, 503))
async def get_balance(parts: Parts, caller: Reader, account_id: UUID, as_of: AsOf = None) -> Balance:
    """What the account holds, what is on its way or set aside, and what may be spent at the newest block; now, or as it was."""
    if as_of is not None:
        return await parts.look_back(lambda: parts.past.balance(account_id, as_of))
    stale = parts.settings.chain_stale_seconds
    return await parts.ask(lambda: balance(parts.queries.balance(account_id), parts.chain.seen(), stale))


@router.get(
    "/{account_id}/statement",
    response_model=Statement,
    responses={200: {"content": {CSV: {"schema": {"type": "string"}}}}, **problem_answers(401, 403, 404, 422, 503)},
)
async def get_statement(
    parts: Parts,
    caller: Reader,
    account_id: UUID,
    start: Annotated[Moment | None, Query(alias="from", description="Booked at or after, RFC 3339.")] = None,
    end: Annotated[Moment | None, Query(alias="to", description="Booked before, RFC 3339.")] = None,
    accept: Annotated[str, Header(description="application/json or text/csv.")] = "*/*",
) -> Statement | Response:
    """Opening balance, each booking with the balance after it, closing balance. CSV by `Accept: text/csv`."""
    told = await parts.ask(lambda: statement(parts.queries, account_id, Period(start, end)))
    if not _prefers_csv(accept):
        return told
    name = f'attachment; filename="statement-{account_id}.csv"'
    return StreamingResponse(as_csv(told), media_type=CSV, headers={"Content-Disposition": name, "Vary": "Accept"})


def _prefers_csv(accept: str) -> bool:
    """The first of the two that is named, or JSON."""
    named = (part.partition(";")[0].strip().lower() for part in accept.split(","))
    return next((name for name in named if name in (CSV, "application/json")), "") == CSV


@router.get("/{account_id}/events", responses=problem_answers(401, 403, 404, 422, 503))
async def list_account_events(
    parts: Parts, caller: Reader, account_id: UUID, after: After = 0, limit: Limit = 100
) -> EventPage:
    """Everything that happened to the account, in order, with when and where each event was delivered."""
    return await parts.ask(lambda: parts.queries.events(account_id, "account", after, limit))


@router.get("/{account_id}/diff", responses=problem_answers(401, 403, 404, 422, 503))
async def diff_account(parts: Parts, caller: Reader, account_id: UUID, start: From, end: To) -> Diff:
    """What happened to the account between two points, and what it changed."""
    return await parts.look_back(lambda: parts.past.diff(account_id, "account", start, end))


@router.post("/{account_id}/card/freeze", status_code=204, responses=FREEZING)
async def freeze_card(parts: Parts, caller: Operator, account_id: UUID, order: CardOrder) -> None:
    """Freeze the account's card: nothing is approved, and a spend made on chain is refunded. Frozen already is no error."""
    await parts.order(lambda: parts.gateway.freeze_card(account_id, order.reason, caller.name))


@router.post("/{account_id}/card/unfreeze", status_code=204, responses=FREEZING)
async def unfreeze_card(parts: Parts, caller: Operator, account_id: UUID, order: CardOrder) -> None:
    """Make the account's card active again. Active already is no error."""
    await parts.order(lambda: parts.gateway.unfreeze_card(account_id, order.reason, caller.name))


@router.put("/{account_id}/card/limits", status_code=204, responses=FREEZING)
async def set_card_limits(parts: Parts, caller: Operator, account_id: UUID, wanted: CardLimits) -> None:
    """Set all of the card's limits: what is left out is unlimited from now on. The same again changes nothing."""
    order = SetCardLimits(account_id=account_id, **wanted.model_dump())
    await parts.order(lambda: parts.gateway.control_card(order, caller.name))


@router.post("/{account_id}/card/blocks", status_code=204, responses=FREEZING)
async def block_merchants(parts: Parts, caller: Operator, account_id: UUID, block: MerchantBlock) -> None:
    """Let the card pay no merchant of a kind, or none in a country. Blocked already is no error."""
    order = (
        BlockMcc(account_id=account_id, mcc=block.mcc, reason=block.reason)
        if block.mcc
        else BlockCountry(account_id=account_id, country=block.country or "", reason=block.reason)
    )
    await parts.order(lambda: parts.gateway.control_card(order, caller.name))


@router.post("/{account_id}/card/unblocks", status_code=204, responses=FREEZING)
async def unblock_merchants(parts: Parts, caller: Operator, account_id: UUID, block: MerchantBlock) -> None:
    """Let the card pay them again, as far as the programme does. Not blocked is no error."""
    order = (
        UnblockMcc(account_id=account_id, mcc=block.mcc, reason=block.reason)
        if block.mcc
        else UnblockCountry(account_id=account_id, country=block.country or "", reason=block.reason)
    )
    await parts.order(lambda: parts.gateway.control_card(order, caller.name))
