"""`payriver payment`: what a person may do to a payment, with a reason that its stream keeps."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID, uuid4

import typer
from rich.console import Console

from api.cli.options import HomeOption, by_option, reason_option
from api.roots.root import Root
from connectors.explain.find import find
from infra.database import transaction
from infra.errors import BadInput
from infra.telemetry import new_traceparent
from schemas.messages.payment_commands import GiveUpSpend
from streams.event_store.recorded import Cause
from streams.orders import Order

payment = typer.Typer(no_args_is_help=True, help="What a person may do to a payment.")


@payment.callback()
def _payment() -> None:
    """What a person may do to a payment."""


PaymentArgument = Annotated[
    str, typer.Argument(metavar="PAYMENT", help="Its id, the network's reference, or a transaction.")
]
ByOption = Annotated[str, by_option("Who decides it.")]


@payment.command("give-up")
def give_up(
    wanted: PaymentArgument,
    reason: Annotated[str, reason_option("Why nobody waits for its spend any more; kept in its stream.")],
    by: ByOption,
    home: HomeOption = None,
) -> None:
    """Wait no longer for a spend that stands in no block: its signer takes it back on chain, and when that is final it ends unpaid."""
    root = Root.begin("operator", home=home)
    payment_id = _found(root, wanted)
    order = GiveUpSpend(payment_id=payment_id, reason=reason)
    command_id = uuid4()
    with transaction(root.write) as cursor:
        cause = Cause(command_id, payment_id, new_traceparent(), f"operator {by}")
        (outcome,) = root.handler.handle(cursor, [Order(command_id, order, cause)])
    if not outcome.events:
        raise BadInput(
            f"payment {payment_id} has no spend of ours to give up: it is in a block, has ended, was given up before, or "
            f"somebody else signed it; `payriver explain {payment_id}` tells which"
        )
    Console().print(
        f"the spend of payment [bold]{payment_id}[/] is being taken back; it ends unpaid when that is final"
    )


@payment.command("refund-again")
def refund_again(
    wanted: PaymentArgument,
    reason: Annotated[str, reason_option("Why it can be paid now; kept in its stream.")],
    by: ByOption,
    home: HomeOption = None,
) -> None:
    """Plan a refund anew that ended unpaid, once its cause is out of the way. What is owed back is paid once, however often it is asked."""
    root = Root.begin("operator", home=home)
    payment_id = _found(root, wanted)
    root.gateway.messages.refund_again(payment_id, reason, f"operator {by}")
    Console().print(
        f"the refund of payment [bold]{payment_id}[/] is planned anew; `payriver explain {payment_id}` follows it"
    )


@payment.command("close-spend")
def close_spend(
    wanted: PaymentArgument,
    reason: Annotated[str, reason_option("Why nobody waits for it any more; kept in its stream.")],
    by: ByOption,
    home: HomeOption = None,
) -> None:
    """Wait no longer for a spend by the holder's own hand that a reorg dropped: its debit is given back. Mined after all, it counts."""
    root = Root.begin("operator", home=home)
    payment_id = _found(root, wanted)
    root.gateway.messages.close_spend(payment_id, reason, f"operator {by}")
    Console().print(
        f"the spend of payment [bold]{payment_id}[/] is closed; should a block have it after all, it counts"
    )


def _found(root: Root, wanted: str) -> UUID:
    with transaction(root.write) as write, transaction(root.read) as read:
        return find(write, read, wanted)[0]
