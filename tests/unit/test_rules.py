"""Settings that are passed on: rules alone, as they were told, and never where or who a process is."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from infra.settings import RULES, Settings, rules, settings_from

TOLD = {
    "PAYRIVER_BLOCKED_MCCS": '["7995","6011"]',
    "PAYRIVER_ANCHOR_SECONDS": "5",
    "PAYRIVER_POLL_SECONDS": "0.5",
    "PAYRIVER_LOG_LEVEL": "debug",
    "PAYRIVER_WRITE_URL": "postgresql://owner:secret@elsewhere/payriver",
    "PAYRIVER_COMPONENT": "listener",
}


def test_rules_are_what_another_process_reads_them_as() -> None:
    told = settings_from(TOLD)
    passed = settings_from(rules(told))
    assert {name for name in RULES if getattr(passed, name) != getattr(told, name)} == set()
    assert (passed.blocked_mccs, passed.anchor_seconds, passed.poll_seconds) == (("7995", "6011"), 5, 0.5)


def test_what_was_not_told_is_left_to_who_reads_it_and_no_address_is_passed_on() -> None:
    assert rules(settings_from({})) == {}
    assert set(rules(settings_from(TOLD))) == {
        "PAYRIVER_BLOCKED_MCCS", "PAYRIVER_ANCHOR_SECONDS", "PAYRIVER_POLL_SECONDS", "PAYRIVER_LOG_LEVEL",
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(RULES))
def test_no_rule_is_a_secret(name: str) -> None:
    assert not isinstance(Settings.model_fields[name].default, SecretStr)
    assert Settings.model_fields[name].description
