"""Who may call: roles by name, keys that are good for what their role says, and sessions that may only look."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from api.door.security import READ, SESSION_SECONDS, Keys
from infra.errors import Misconfigured

NOW = 1_700_000_000.0


def keys(**told: str) -> Keys:
    return Keys({name.replace("__", "/"): [SecretStr(secret)] for name, secret in told.items()})


def session_of(known: Keys, key: str) -> str:
    session = known.session(key, NOW)
    assert session is not None
    return session


@pytest.fixture
def both() -> Keys:
    return keys(reader="a-key-that-may-read", network__visa="a-key-of-the-network")


def test_a_key_is_found_with_its_role(both: Keys) -> None:
    found = both.find("a-key-of-the-network")
    assert found is not None
    assert (found.name, found.scopes) == ("network/visa", frozenset({"read", "network"}))


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
        Keys({name: [SecretStr(secret)] for name, secret in told.items()})


def test_a_session_may_look_and_nothing_else_whoever_opened_it(both: Keys) -> None:
    found = both.of_session(session_of(both, "a-key-of-the-network"), NOW + 1)
    assert found is not None
    assert (found.name, found.scopes) == ("network/visa", frozenset({READ}))


def test_a_session_ends_after_twelve_hours(both: Keys) -> None:
    session = session_of(both, "a-key-that-may-read")
    assert both.of_session(session, NOW + SESSION_SECONDS) is not None
    assert both.of_session(session, NOW + SESSION_SECONDS + 1) is None


def test_a_session_ends_with_its_key(both: Keys) -> None:
    session = session_of(both, "a-key-that-may-read")
    assert keys(reader="another-key-for-reading").of_session(session, NOW) is None
    assert keys(reader="a-key-that-may-read").of_session(session, NOW) is not None  # at every instance


@pytest.mark.parametrize("made_up", ["", ".", "99999999999.", "-1.ff", "²99999999999.ff", "9" * 40 + ".ff", "x.y.z"])
def test_a_session_cannot_be_made_up(both: Keys, made_up: str) -> None:
    assert both.of_session(made_up, NOW) is None


def test_a_session_cannot_be_made_longer(both: Keys) -> None:
    expires, _, proof = session_of(both, "a-key-that-may-read").partition(".")
    assert both.of_session(f"{int(expires) + 1}.{proof}", NOW) is None


def test_while_a_key_is_changed_both_are_the_same_callers_and_each_session_ends_with_its_own() -> None:
    old, new = SecretStr("the-key-of-yesterday"), SecretStr("the-key-of-tomorrow")
    changing = Keys({"network/visa": [old, new]})
    assert changing.find("the-key-of-yesterday") == changing.find("the-key-of-tomorrow")
    sessions = [session_of(changing, each.get_secret_value()) for each in (old, new)]
    changed = Keys({"network/visa": [new]})
    assert changed.find("the-key-of-yesterday") is None
    assert [changed.of_session(each, NOW) is not None for each in sessions] == [False, True]


def test_what_is_no_key_opens_no_session(both: Keys) -> None:
    assert both.session("not-a-key-of-anybody", NOW) is None
