"""What the environment says and cannot be taken is named by its variable, and a secret is never repeated."""

from __future__ import annotations

import pytest

from infra.database import engine
from infra.errors import Misconfigured
from infra.settings import MachineSettings, ProvisionSettings, Settings

SECRET = "hunter2-is-a-secret"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("API_PORT", "abc", r"PAYRIVER_API_PORT is 'abc': input should be a valid integer"),
        ("RUN_RECORDS", "0", r"PAYRIVER_RUN_RECORDS is '0': input should be greater than or equal to 1"),
        ("WEBHOOK_TIMEOUT_SECONDS", "0", r"PAYRIVER_WEBHOOK_TIMEOUT_SECONDS is '0': input should be greater than 0"),
        ("API_PORT", "65536", r"PAYRIVER_API_PORT is '65536': input should be less than or equal to 65535"),
        (
            "HOLD_EXPIRY_SECONDS",
            "99999999999",
            r"PAYRIVER_HOLD_EXPIRY_SECONDS is '99999999999': .* less than or equal to",
        ),
        ("SAGA_PATIENCE_SECONDS", "99999999999", r"PAYRIVER_SAGA_PATIENCE_SECONDS is '99999999999'"),
        ("AUTHORIZATION_DEADLINE_MS", "99999999999", r"PAYRIVER_AUTHORIZATION_DEADLINE_MS is '99999999999'"),
        ("WEBHOOK_TIMEOUT_SECONDS", "99999999999", r"PAYRIVER_WEBHOOK_TIMEOUT_SECONDS is '99999999999'"),
        ("POLL_SECONDS", "inf", r"PAYRIVER_POLL_SECONDS is 'inf'"),
        ("LOG_LEVEL", "loud", r"PAYRIVER_LOG_LEVEL is 'loud': input should be 'debug', 'info'"),
        ("API_KEYS", f'["{SECRET}"]', r"PAYRIVER_API_KEYS: input should be a valid dictionary"),
        ("API_KEYS", f'{{"reader": [["{SECRET}"]]}}', r"PAYRIVER_API_KEYS: input should be a valid string"),
        ("API_KEYS", '{"reader": []}', r"PAYRIVER_API_KEYS: value should have at least 1 item"),
        ("API_KEYS", SECRET, r"PAYRIVER_API_KEYS is no JSON"),
        ("WEBHOOK_ALLOWED_HOSTS", "localhost", r"PAYRIVER_WEBHOOK_ALLOWED_HOSTS is no JSON"),
    ],
)
def test_a_setting_that_cannot_be_taken_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(f"PAYRIVER_{name}", value)
    with pytest.raises(Misconfigured, match=says) as refused:
        Settings()
    assert SECRET not in str(refused.value) and refused.value.__cause__ is None


def test_every_kind_of_settings_names_what_it_cannot_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYRIVER_CDC_PORT", "abc")
    with pytest.raises(Misconfigured, match="PAYRIVER_CDC_PORT"):
        ProvisionSettings()
    monkeypatch.setenv("PAYRIVER_OFFLINE", "perhaps")
    with pytest.raises(Misconfigured, match="PAYRIVER_OFFLINE is 'perhaps'"):
        MachineSettings()


def test_a_level_of_the_log_may_be_written_in_capitals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYRIVER_LOG_LEVEL", "WARNING")
    assert Settings().log_level == "warning"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql//role:{SECRET}@host/db",
        f"postgresql://role:{SECRET}@host:port/db",
        f"postgresql://role:p@ss:{SECRET}/x@host:5432/db",
    ],
)
def test_a_databases_address_that_cannot_be_read_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(Misconfigured, match="postgresql://role:password@host:port/database") as refused:
        engine(url)
    assert SECRET not in str(refused.value) and refused.value.__suppress_context__
