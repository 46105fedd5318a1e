"""`payriver webhook`: to whom we tell what happened. An endpoint is registered with its address, and shown its secret once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.cli.options import HomeOption, JsonOption, by_option, reason_option
from api.roots.root import Root
from infra.database import transaction
from infra.errors import BadInput
from streams.notifications import endpoints, history, outgoing, signing
from streams.notifications.endpoints import Endpoint

out = Console()
IdArgument = Annotated[UUID, typer.Argument(metavar="ID", help="As `payriver webhook list` names it.")]
ByOption = Annotated[str, by_option("Who decides it; kept.")]
TypesOption = Annotated[
    list[str] | None,
    typer.Option("--type", help="Only this type, or all below it (card.transaction); may be given again."),
]

webhook = typer.Typer(no_args_is_help=True, help="Endpoints that are told what happened, by signed webhooks.")


@webhook.command()
def register(
    url: Annotated[str, typer.Argument(metavar="URL", help="https://host/path.")],
    by: ByOption,
    types: TypesOption = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Tell this address of all that is recorded from now on. Its secret is shown once: it checks our signatures (Standard Webhooks)."""
    root = Root.begin("operator", home=home)
    with transaction(root.write) as cursor:
        made, secret = endpoints.register(
            cursor, url, tuple(types or ()), by=by, allowed_hosts=root.settings.webhook_allowed_hosts
        )
    _show_secret(made, secret, as_json=as_json)


@webhook.command("list")
def list_(
    removed: Annotated[bool, typer.Option("--all", help="Also those that were removed.")] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """All endpoints, and why one is told nothing just now."""
    with transaction(Root.begin("operator", home=home).write) as cursor:
        found = endpoints.find(cursor, removed=removed)
    if as_json:
        out.print_json(json.dumps([_as_json(each) for each in found]))
        return
    if not found:
        out.print("nobody is told anything; `payriver webhook register URL` adds an endpoint", highlight=False)
        return
    for each in found:
        _print(each)


@webhook.command()
def show(endpoint_id: IdArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """One endpoint: what was sent to it and what waits, until when which secret signs, and who did what to it, and why."""
    with transaction(Root.begin("operator", home=home).write) as cursor:
        found, counts = endpoints.get(cursor, endpoint_id), outgoing.counts(cursor, endpoint_id)
        signs, done = signing.signing(cursor, endpoint_id), history.find(cursor, endpoint_id)
    if as_json:
        secrets = [{"made_at": made, "signs_until": until} for made, until in signs]
        told = {"messages": counts, "secrets": secrets, "actions": [asdict(each) for each in done]}
        out.print_json(json.dumps(_as_json(found) | told, default=str))
        return
    _print(found)
    out.print("    " + (", ".join(f"{count:,} {state}" for state, count in counts.items()) or "never told anything"))
    for made, until in signs:
        out.print(
            f"    a secret of {made:%Y-%m-%d %H:%M} signs" + (f" until {until:%Y-%m-%d %H:%M} UTC" if until else ""),
            highlight=False,
        )
    table = Table("when, UTC", "what", "by", "why", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for each in done:
        table.add_row(
            f"{each.done_at.astimezone(UTC):%Y-%m-%d %H:%M}", each.action, Text(each.done_by), Text(each.reason or "")
        )
    out.print(table)


@webhook.command()
def change(
    endpoint_id: IdArgument,
    by: ByOption,
    url: Annotated[str | None, typer.Option(help="Another address; what waits goes there too.")] = None,
    types: TypesOption = None,
    all_types: Annotated[
        bool, typer.Option("--all-types", help="Of everything, whatever it was told of before.")
    ] = False,
    reason: Annotated[str | None, reason_option("Why; kept with it.")] = None,
    home: HomeOption = None,
) -> None:
    """Give it another address, or tell it of other types from now on. Its secrets stay."""
    if all_types and types:
        raise BadInput("say either --type or --all-types")
    if url is None and not types and not all_types:
        raise BadInput("say what changes: --url, --type or --all-types")
    root = Root.begin("operator", home=home)
    wanted: Sequence[str] | None = () if all_types else types
    with transaction(root.write) as cursor:
        changed = endpoints.change(
            cursor, endpoint_id, by=by, url=url, event_types=wanted, reason=reason,
            allowed_hosts=root.settings.webhook_allowed_hosts,
        )  # fmt: skip
    _print(changed)


@webhook.command()
def rotate(
    endpoint_id: IdArgument,
    by: ByOption,
    overlap_hours: Annotated[
        float,
        typer.Option(help="So long the secrets of before sign beside the new one; 0 where one is known to others."),
    ] = 24.0,
    reason: Annotated[str | None, reason_option("Why; kept with it.")] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Make it a new secret, shown once. Until the overlap ends both sign, so its holder changes over when he likes (Standard Webhooks)."""
    with transaction(Root.begin("operator", home=home).write) as cursor:
        secret = endpoints.rotate(cursor, endpoint_id, overlap_hours, by=by, reason=reason)
        made = endpoints.get(cursor, endpoint_id)
    _show_secret(made, secret, as_json=as_json)


@webhook.command()
def pause(
    endpoint_id: IdArgument,
    by: ByOption,
    hours: Annotated[float, typer.Option(help="For so long; `payriver webhook enable` ends it before.")] = 24.0,
    reason: Annotated[str, reason_option("Why; kept with it.")] = "asked",
    home: HomeOption = None,
) -> None:
    """Send it nothing for a while. What comes meanwhile waits, and is sent then."""
    with transaction(Root.begin("operator", home=home).write) as cursor:
        _print(endpoints.pause(cursor, endpoint_id, hours, reason, by=by))


@webhook.command()
def disable(
    endpoint_id: IdArgument,
    by: ByOption,
    reason: Annotated[str, reason_option("Why, in a word; kept with it.")] = "asked",
    home: HomeOption = None,
) -> None:
    """Tell it no more. What still waits for it is parked, and can be replayed once it is enabled again."""
    with transaction(Root.begin("operator", home=home).write) as cursor:
        endpoints.disable(cursor, endpoint_id, reason, by=by)
        found = endpoints.get(cursor, endpoint_id)
    out.print(f"endpoint {endpoint_id} is told no more: {found.state}", highlight=False)


@webhook.command()
def enable(endpoint_id: IdArgument, by: ByOption, home: HomeOption = None) -> None:
    """Tell it again, of what is recorded from now on; one that was paused, or asked us to slow down, of all that waits."""
    with transaction(Root.begin("operator", home=home).write) as cursor:
        endpoints.enable(cursor, endpoint_id, by=by)
    out.print(
        f"endpoint {endpoint_id} is told again; what was parked meanwhile: `payriver parked list`", highlight=False
    )


@webhook.command()
def remove(
    endpoint_id: IdArgument,
    by: ByOption,
    reason: Annotated[str, reason_option("Why; kept with it, and with what it is not told any more.")],
    home: HomeOption = None,
) -> None:
    """Tell it no more, for good. What waits for it, or is parked, ends with the reason; what it was told stays on record."""
    with transaction(Root.begin("operator", home=home).write) as cursor:
        discarded = endpoints.remove(cursor, endpoint_id, reason, by=by)
    out.print(
        f"endpoint {endpoint_id} is removed; {discarded} webhooks that waited for it are discarded", highlight=False
    )


def _show_secret(endpoint: Endpoint, secret: str, *, as_json: bool) -> None:
    if as_json:
        out.print_json(json.dumps(_as_json(endpoint) | {"secret": secret}))
        return
    out.print(f"endpoint  {endpoint.endpoint_id}", highlight=False)
    out.print(f"secret    {secret}", highlight=False, soft_wrap=True)
    out.print("It is not shown again.", style="yellow")


def _print(endpoint: Endpoint) -> None:
    types = ", ".join(endpoint.event_types) or "of everything"
    out.print(str(endpoint.endpoint_id), _state(endpoint), f"since {endpoint.created_at:%Y-%m-%d}", highlight=False)
    out.print(Text(f"    {endpoint.url}  {types}"), soft_wrap=True)


def _state(endpoint: Endpoint) -> Text:
    if endpoint.state != "enabled":
        return Text(f"{endpoint.state}: {endpoint.reason}", style="red")
    if endpoint.paused_until is not None and endpoint.paused_until > datetime.now(UTC):
        words = f"paused ({endpoint.reason})" if endpoint.reason else "asked us to wait"
        return Text(f"enabled; {words} until {endpoint.paused_until:%Y-%m-%d %H:%M} UTC", style="yellow")
    return Text("enabled", style="green")


def _as_json(endpoint: Endpoint) -> dict[str, Any]:
    return {
        name: value if isinstance(value, tuple | str | None) else str(value) for name, value in asdict(endpoint).items()
    }
