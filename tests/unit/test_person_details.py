"""A person's details are taken by one rule, at the command line as over the API, and shown whoever took them."""

from __future__ import annotations

import io
import json
import sys
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from api.cli.person import _details, person
from api.requests.orders import PersonDetails
from api.routes.persons import _shown
from infra.errors import BadInput
from streams.domain.person import Person, Sealed
from streams.persons.register import Shown
from streams.persons.sealing import Details

ID = UUID("0b1f0a2e-6a52-5d5b-9d0a-2f7f1c3b9c11")
ZOE = Details("Zoë Żyła", "zoe@example.org")


def said(monkeypatch: pytest.MonkeyPatch, text: str) -> Details:
    """What the command line reads."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    return _details()


@pytest.mark.parametrize(
    "told",
    [
        *({}, [], None, "Zoë", {"name": None}, {"name": ""}, {"name": "  "}, {"name": 5}, {"name": "Zoë", "age": 5}),
        *(
            {"name": "Zoë\nŻyła"},
            {"name": "Z" * 141},
            {"name": "Zoë", "email": "\ud800"},
            {"name": "Zoë", "phone": "\x00"},
        ),
    ],
    ids=repr,
)
def test_what_are_no_details_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch, told: Any) -> None:
    with pytest.raises(BadInput) as refused:
        said(monkeypatch, json.dumps(told))
    assert "Zo" not in str(refused.value)


def test_details_are_taken_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(monkeypatch, '{"name": "Zoë Żyła", "email": "zoe@example.org", "phone": null}') == ZOE


def test_details_that_were_taken_under_another_rule_are_shown_over_the_api() -> None:
    sealed = Sealed(ID, 1, ID, "AES-256-GCM", "", "")
    long = Details("Z" * 200, None, "tab\there")
    found = _shown(Shown(Person(ID, ID, 1, sealed), long), []).details
    assert found is not None and (found.name, found.email, found.phone) == ("Z" * 200, None, "tab\there")


@pytest.mark.parametrize("name", ["", "   ", "Z" * 141, "Zoë\n"])
def test_the_api_takes_a_name_by_the_same_rule(name: str) -> None:
    with pytest.raises(ValidationError):
        PersonDetails(name=name)


@pytest.mark.parametrize("reason", ["", "  ", "a\x1b[31m", "x" * 141])
def test_a_reason_is_taken_by_the_apis_rule_at_the_command_line_too(reason: str) -> None:
    """What a terminal would obey, and what no page could show, is in no stream; a legal hold without a reason is none."""
    for words in (("hold", str(ID), "--until", "2999-01-01"), ("release", str(ID))):
        said = CliRunner().invoke(person, [*words, "--reason", reason])
        assert said.exit_code == 2 and "say why in 1 to 140 printable characters" in said.output
