"""Who may call: roles by name, keys that are good for what their role says, and sessions that may only look."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from api.security import READ, SESSION_SECONDS, Keys
from infra.errors import Misconfigured

NOW = 1_700_000_000.0


def keys(**told: str) -> Keys:
    return Keys({name.replace("__", "/"): SecretStr(secret) for name, secret in told.items()})


@pytest.fixture
def both() -> Keys:
    return keys(reader="a-key-that-may-read", network__visa="a-key-of-the-network")


def test_a_key_is_found_with_its_role(both: Keys) -> None:
    found = both.find("a-key-of-the-network")
    assert found is not None
    assert (found.name, found.scopes) == ("network/visa", {"read", "network"})


@pytest.mark.parametrize(
    "given", ["", "a-key-that-may-rea", "a-key-that-may-read ", "A-KEY-THAT-MAY-READ", "é" * 20, "\ud800"]
)
def test_no_other_text_is_a_key(both: Keys, given: str) -> None:
    assert both.find(given) is None


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({}, "is empty"),
        ({"raeder": "a-key-that-may-read"}, "'raeder' has no known role"),
        ({"reader": "short"}, "5 characters"),
        ({"reader": "schlüssel-der-liest"}, "'reader' has a character that no header carries"),
        ({"reader": "a-key-that-may-read "}, "'reader' has a character that no header carries"),
        ({"reader": "a-key-that-may-read", "admin": "a-key-that-may-read"}, "'reader' and 'admin' are the same"),
    ],
)
def test_a_door_that_would_stand_open_or_shut_for_all_is_refused_at_the_start(told: dict[str, str], says: str) -> None:
    with pytest.raises(Misconfigured, match=says):
        Keys({name: SecretStr(secret) for name, secret in told.items()})


def test_a_session_may_look_and_nothing_else_whoever_opened_it(both: Keys) -> None:
    caller = both.find("a-key-of-the-network")
    assert caller is not None
    found = both.of_session(both.session(caller, NOW), NOW + 1)
    assert found is not None
    assert (found.name, found.scopes) == ("network/visa", {READ})


def test_a_session_ends_after_twelve_hours(both: Keys) -> None:
    caller = both.find("a-key-that-may-read")
    assert caller is not None
    session = both.session(caller, NOW)
    assert both.of_session(session, NOW + SESSION_SECONDS) is not None
    assert both.of_session(session, NOW + SESSION_SECONDS + 1) is None


def test_a_session_ends_with_its_key(both: Keys) -> None:
    caller = both.find("a-key-that-may-read")
    assert caller is not None
    session = both.session(caller, NOW)
    assert keys(reader="another-key-for-reading").of_session(session, NOW) is None
    assert keys(reader="a-key-that-may-read").of_session(session, NOW) is not None  # at every instance


@pytest.mark.parametrize("made_up", ["", ".", "99999999999.", "-1.ff", "²99999999999.ff", "9" * 40 + ".ff", "x.y.z"])
def test_a_session_cannot_be_made_up(both: Keys, made_up: str) -> None:
    assert both.of_session(made_up, NOW) is None


def test_a_session_cannot_be_made_longer(both: Keys) -> None:
    caller = both.find("a-key-that-may-read")
    assert caller is not None
    expires, _, proof = both.session(caller, NOW).partition(".")
    assert both.of_session(f"{int(expires) + 1}.{proof}", NOW) is None
