"""What watches us names figures that we have, and every alarm leads to what a person does about it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from api.answers.health_models import Readiness
from api.answers.metrics import AnswerTimes, exposition
from tests.architecture.test_docs import anchors
from tests.architecture.tree import ROOT

ALARMS: list[dict[str, Any]] = yaml.safe_load((ROOT / "infra/dashboards/alarms.yml").read_text())["groups"][0]["rules"]
PANELS: list[dict[str, Any]] = json.loads((ROOT / "infra/dashboards/grafana/river.json").read_text())["panels"]
RUNBOOK = ROOT / "infra/runbooks/alarms.md"
NAME = re.compile(r"payriver_\w+")


def asked() -> dict[str, list[str]]:
    """Alarm or panel -> its expressions."""
    panels = {panel["title"]: [target["expr"] for target in panel["targets"]] for panel in PANELS}
    return {each["alert"]: [each["expr"]] for each in ALARMS} | panels


def told() -> set[str]:
    """Every series that the API tells once it has answered, where nothing is unknown."""
    times = AnswerTimes()
    times.took(0.1, "00")
    optional: dict[str, Any] = {name: 0 for name, field in Readiness.model_fields.items() if not field.is_required()}
    text = exposition(times, 0, Readiness(status="ready", servers=[], **optional))
    return {match.group() for line in text.splitlines() if not line.startswith("#") and (match := NAME.match(line))}


@pytest.mark.parametrize("name", asked())
def test_an_alarm_or_a_panel_asks_for_what_the_api_tells(name: str) -> None:
    wanted = {each for expression in asked()[name] for each in NAME.findall(expression)}
    assert wanted and wanted <= told()


def test_every_figure_that_is_told_is_on_the_dashboard() -> None:
    shown = {each for panel in PANELS for target in panel["targets"] for each in NAME.findall(target["expr"])}
    pieces = {"payriver_authorization_seconds_sum", "payriver_authorization_seconds_count"}
    assert told() - shown == pieces


@pytest.mark.parametrize("figure", ["read_lag", "chain_age", "unanchored"])
def test_a_limit_that_is_a_rule_is_told_by_the_process_and_copied_nowhere(figure: str) -> None:
    (expression,) = [each["expr"] for each in ALARMS if f"payriver_{figure}_seconds" in each["expr"]]
    assert re.fullmatch(rf"payriver_{figure}_seconds > payriver_\w+_(late|stale)_seconds", expression)
    page = (ROOT / "api/static/health.js").read_text()
    assert not re.search(r"_seconds\s*>\s*\d|\bLATE\b", page)


@pytest.mark.parametrize("alarm", ALARMS, ids=lambda each: each["alert"])
def test_every_alarm_leads_to_its_place_in_the_runbook(alarm: dict[str, Any]) -> None:
    path, _, place = alarm["annotations"]["runbook"].partition("#")
    assert (ROOT / path == RUNBOOK, place) == (True, alarm["alert"].lower())
    assert place in anchors(RUNBOOK)
