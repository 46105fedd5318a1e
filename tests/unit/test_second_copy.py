"""What is made anew and what is kept: every table of R is one or the other; and by which code a copy was filled."""

from __future__ import annotations

import re

from infra.migrations import dump
from streams.event_store import fingerprint
from streams.projections import second_copy


def test_every_table_of_r_is_made_anew_or_kept() -> None:
    tables = set(re.findall(r"^CREATE TABLE (\w+)", dump.path_of("read").read_text(), re.MULTILINE))
    assert set(second_copy.MODELS) | set(second_copy.KEPT) == tables
    assert not set(second_copy.MODELS) & set(second_copy.KEPT)


def test_no_table_that_is_made_anew_is_named_by_one_that_is_kept() -> None:
    """It could not be dropped."""
    named = re.findall(r"REFERENCES (\w+)", dump.path_of("read").read_text())
    assert not set(named) & set(second_copy.MODELS)


def test_a_copy_is_of_the_code_that_folds_and_of_the_steps_that_make_its_tables() -> None:
    modules = fingerprint.reached(["streams.projections.projector", *fingerprint.ALWAYS], ("streams.", "schemas."))
    folds = {
        f"streams.projections.{each}" for each in ("payments", "balances", "ledger", "card_ledger", "persons", "gaps")
    }
    assert (
        folds | {"streams.domain.states.allowance", "schemas.upcasters", "streams.set_aside", "schemas.codec"}
        <= modules
    )
    assert len(second_copy.code()) == 32
