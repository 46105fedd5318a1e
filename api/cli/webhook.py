"""`payriver webhook`: to whom we tell what happened. An endpoint is registered with its address, and shown its secret once."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.text import Text

from api.cli.options import HomeOption, JsonOption, reason_option
from api.roots.root import Root
from infra.database import transaction
from streams.notifications import endpoints
from streams.notifications.endpoints import Endpoint

out = Console()
IdArgument = Annotated[UUID, typer.Argument(metavar="ID", help="As `payriver webhook list` names it.")]

webhook = typer.Typer(no_args_is_help=True, help="Endpoints that are told what happened, by signed webhooks.")


@webhook.command()
def register(
    url: Annotated[str, typer.Argument(metavar="URL", help="https://host/path.")],
    types: Annotated[
        list[str] | None,
        typer.Option("--type", help="Only this type, or all below it (card.transaction); may be given again."),
    ] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Tell this address of all that is recorded from now on. Its secret is shown once: it checks our signatures (Standard Webhooks)."""
    root = Root.begin("operator", home=home)
    with transaction(root.write) as cursor:
        made, secret = endpoints.register(
            cursor, url, tuple(types or ()), allowed_hosts=root.settings.webhook_allowed_hosts
        )
    if as_json:
        out.print_json(json.dumps(_as_json(made) | {"secret": secret}))
        return
    out.print(f"endpoint  {made.endpoint_id}", highlight=False)
    out.print(f"secret    {secret}", highlight=False, soft_wrap=True)
    out.print("It is not shown again.", style="yellow")


@webhook.command("list")
def list_(as_json: JsonOption = False, home: HomeOption = None) -> None:
    """All endpoints, and why one is told nothing just now."""
    with transaction(Root.begin("operator", home=home).write) as cursor:
        found = endpoints.find(cursor)
    if as_json:
        out.print_json(json.dumps([_as_json(each) for each in found]))
        return
    if not found:
        out.print("nobody is told anything; `payriver webhook register URL` adds an endpoint", highlight=False)
        return
    for each in found:
        types = ", ".join(each.event_types) or "of everything"
        out.print(str(each.endpoint_id), _state(each), f"since {each.created_at:%Y-%m-%d}", highlight=False)
        out.print(Text(f"    {each.url}  {types}"), soft_wrap=True)


@webhook.command()
def disable(
    endpoint_id: IdArgument,
    reason: Annotated[str, reason_option("Why, in a word; kept with it.")] = "asked",
    home: HomeOption = None,
) -> None:
    """Tell it no more. What still waits for it is parked, and can be replayed once it is enabled again."""
    with transaction(Root.begin("operator", home=home).write) as cursor:
        endpoints.disable(cursor, endpoint_id, reason)
    out.print(f"endpoint {endpoint_id} is told no more", highlight=False)


@webhook.command()
def enable(endpoint_id: IdArgument, home: HomeOption = None) -> None:
    """Tell it again, of what is recorded from now on; also one that asked us to slow down."""
    with transaction(Root.begin("operator", home=home).write) as cursor:
        endpoints.enable(cursor, endpoint_id)
    out.print(
        f"endpoint {endpoint_id} is told again; what was parked meanwhile: `payriver parked list`", highlight=False
    )


def _state(endpoint: Endpoint) -> Text:
    if endpoint.state == "disabled":
        return Text(f"disabled: {endpoint.reason}", style="red")
    if endpoint.paused_until is not None and endpoint.paused_until > datetime.now(UTC):
        return Text(f"enabled; asked us to wait until {endpoint.paused_until:%Y-%m-%d %H:%M} UTC", style="yellow")
    return Text("enabled", style="green")


def _as_json(endpoint: Endpoint) -> dict[str, object]:
    return {
        name: value if isinstance(value, tuple | str | None) else str(value) for name, value in asdict(endpoint).items()
    }
