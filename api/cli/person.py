"""`payriver person` and `payriver forget`: who is behind an account, as an operator keeps it."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID, uuid4

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.cli.options import HomeOption, JsonOption, reason_option
from api.requests.orders import PersonDetails
from api.roots.root import Root
from infra.database import transaction
from infra.errors import BadInput
from streams.persons.register import Shown
from streams.persons.sealing import Details

ACTOR = "operator"
ACCOUNTS = "SELECT account_id FROM account_holders WHERE person_id = %s ORDER BY account_id"
Id = Annotated[UUID, typer.Argument(metavar="ID", help="The person's id.")]
Reason = Annotated[str, reason_option("Why, in words that say nothing about the person.")]

person = typer.Typer(no_args_is_help=True, help="Persons behind accounts.")


@person.command()
def register(
    person_id: Annotated[UUID | None, typer.Option("--id", help="An id of your own; without one it is drawn.")] = None,
    home: HomeOption = None,
) -> None:
    """Take a person into the register. Details come as JSON on standard input, so that no argument list or shell history has them:
    {"name": "...", "email": "...", "phone": "..."}."""
    made = Root.begin("operator", home=home).persons.register(person_id or uuid4(), _details(), ACTOR)
    typer.echo(str(made))


@person.command()
def correct(person_id: Id, home: HomeOption = None) -> None:
    """Other details for a person, as JSON on standard input."""
    Root.begin("operator", home=home).persons.correct(person_id, _details(), ACTOR)
    typer.echo("corrected")


@person.command()
def show(
    person_id: Id,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """A person's details, opened with the key, the legal hold, and the accounts."""
    root = Root.begin("operator", home=home)
    told = _told(root.persons.show(person_id)) | {"accounts": _accounts(root, person_id)}
    if as_json:
        typer.echo(json.dumps(told, indent=2, default=str))
        return
    table = Table(box=None, show_header=False)
    for name, value in told.items():
        lines = value if isinstance(value, list) else [value]
        table.add_row(name, Text("\n".join("" if each is None else str(each) for each in lines)))
    Console().print(table)


@person.command()
def hold(
    person_id: Id,
    until: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], help="Until this day, UTC, nobody may forget the person.")
    ],
    reason: Reason,
    home: HomeOption = None,
) -> None:
    """Place a legal hold: data that the law wants kept cannot be forgotten before that day."""
    Root.begin("operator", home=home).persons.hold(person_id, until.replace(tzinfo=UTC), reason, ACTOR)
    typer.echo(f"held until {until:%Y-%m-%d}")


@person.command()
def release(person_id: Id, reason: Reason, home: HomeOption = None) -> None:
    """Lift the legal hold before its day."""
    Root.begin("operator", home=home).persons.lift(person_id, reason, ACTOR)
    typer.echo("released")


@person.command()
def sweep(home: HomeOption = None) -> None:
    """Destroy every key of a forgotten person that is there: after a restore of the keys, or a crash."""
    typer.echo(f"{Root.begin('operator', home=home).persons.sweep()} keys destroyed")


def forget(
    person_id: Id,
    reason: Reason = "asked for by the person",
    home: HomeOption = None,
) -> None:
    """Make a person's data unreadable everywhere, for good: the key is destroyed. A legal hold refuses it."""
    Root.begin("operator", home=home).persons.forget(person_id, reason, ACTOR)
    typer.echo("forgotten")


def _details() -> Details:
    """What standard input says. Raises BadInput, without repeating what was said."""
    try:
        told = PersonDetails.model_validate_json(sys.stdin.read())
    except ValueError:
        raise BadInput(
            "standard input is no JSON object with a name, and an email and a phone if known, each a text of 1 to 140 printable "
            "characters, and nothing else"
        ) from None
    return Details(**told.model_dump())


def _told(shown: Shown) -> dict[str, object]:
    person, details = shown.person, shown.details
    return {
        "person": person.person_id,
        "state": "forgotten" if person.forgotten else "known",
        "name": details.name if details else None,
        "email": details.email if details else None,
        "phone": details.phone if details else None,
        "held until": person.held_until,
        "because of": person.hold_reason,
    }


def _accounts(root: Root, person_id: UUID) -> list[str]:
    with transaction(root.read) as cursor:
        cursor.execute(ACCOUNTS, (person_id,))
        return [str(row[0]) for row in cursor.fetchall()]
