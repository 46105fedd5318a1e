"""Who may call: API keys with a role each, compared in constant time; and the page's session, which may only look.

Keys come from the settings, name -> key, or keys while one takes another's place. The name says the role: `network`, or `network/visa-eu`
where several share one; it is who calls, whichever of its keys is sent: the actor of what is ordered, and whose the idempotency keys are.
A name whose role nobody knows is refused at the start, so that a misspelt key is not a key to everything.

The page needs a key too. It is typed into a form, or follows `#key=` in the address: what stands after `#` never leaves the
browser, so no log and no referrer holds it. The page exchanges it for a cookie (HttpOnly, SameSite=Strict, twelve hours) that
carries an expiry under the key's own HMAC, is good for reading only, ends with the key, and holds at every instance.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from fastapi import Request
from pydantic import SecretStr

from api.door.problems import Forbidden, Unauthenticated
from infra.errors import Misconfigured

READ, NETWORK, OPERATE, PERSONS = "read", "network", "operate", "persons"
ROLES: Mapping[str, frozenset[str]] = {
    "reader": frozenset({READ}),
    "network": frozenset({READ, NETWORK}),
    "operator": frozenset({READ, OPERATE}),
    "privacy": frozenset({READ, PERSONS}),
    "admin": frozenset({READ, NETWORK, OPERATE, PERSONS}),
    "demo": frozenset({READ, NETWORK, OPERATE, PERSONS}),  # the embedded stack's one key
}
COOKIE = "payriver_session"
SESSION_SECONDS = 12 * 3600
LEAST_CHARACTERS = 16


@dataclass(frozen=True)
class Caller:
    """Who calls: the key's name, which is the actor of what is ordered and owns its idempotency keys, and what it may do."""

    name: str
    scopes: frozenset[str]


@dataclass(frozen=True)
class Key:
    """One key: whose it is, and its digest, so that keys of any length compare alike."""

    caller: Caller
    digest: bytes
    secret: bytes


class Keys:
    """All keys of this API."""

    def __init__(self, told: Mapping[str, Sequence[SecretStr]]) -> None:
        if not told:
            raise Misconfigured("PAYRIVER_API_KEYS is empty, so nobody could call; set it to JSON: role to key")
        self._keys = tuple(_key(name, each.get_secret_value()) for name, held in told.items() for each in held)
        for one, other in combinations(self._keys, 2):
            if one.digest == other.digest:
                raise Misconfigured(
                    f"API keys {one.caller.name!r} and {other.caller.name!r} are the same: nobody could tell who calls; give each its own"
                )

    def find(self, given: str) -> Caller | None:
        """Whose key this is. Every key is compared, and each in constant time."""
        key = self._find(given)
        return key.caller if key else None

    def session(self, given: str, now: float) -> str | None:
        """A cookie's value: until when, and the proof, by the key that was given; None where that is none of ours."""
        key, expires = self._find(given), str(int(now) + SESSION_SECONDS)
        return f"{expires}.{_proof(key, expires)}" if key else None

    def _find(self, given: str) -> Key | None:
        digest = hashlib.sha256(given.encode("utf-8", "surrogatepass")).digest()  # JSON can say half a character
        found = [key for key in self._keys if hmac.compare_digest(key.digest, digest)]
        return found[0] if found else None

    def of_session(self, value: str, now: float) -> Caller | None:
        """Who opened this session, with nothing but the right to read; None when it is over or was made up."""
        expires, _, proof = value.partition(".")
        if not expires.isdecimal() or not expires.isascii() or len(expires) > 12 or int(expires) < now:
            return None
        given = proof.encode()
        found = [key.caller for key in self._keys if hmac.compare_digest(_proof(key, expires).encode(), given)]
        return Caller(found[0].name, frozenset({READ})) if found else None


def _key(name: str, secret: str) -> Key:
    role = name.partition("/")[0]
    if role not in ROLES:
        raise Misconfigured(f"API key {name!r} has no known role; begin its name with one of {', '.join(ROLES)}")
    if len(secret) < LEAST_CHARACTERS:
        raise Misconfigured(f"API key {name!r} has {len(secret)} characters; give it at least {LEAST_CHARACTERS}")
    if not all("!" <= character <= "~" for character in secret):
        raise Misconfigured(
            f"API key {name!r} has a character that no header carries as it is; use printable ASCII without blanks"
        )
    return Key(Caller(name, ROLES[role]), hashlib.sha256(secret.encode()).digest(), secret.encode())


def _proof(key: Key, expires: str) -> str:
    return hmac.new(key.secret, f"payriver session {key.caller.name} {expires}".encode(), hashlib.sha256).hexdigest()


def require(scope: str) -> Callable[[Request], Awaitable[Caller]]:
    """A dependency: the caller, if its key is good for `scope`. Raises Unauthenticated or Forbidden."""

    async def caller(request: Request) -> Caller:  # async: so it takes no thread of its own
        found = _caller(request)
        if scope not in found.scopes:
            raise Forbidden(f"key {found.name!r} may {', '.join(sorted(found.scopes))}; this needs {scope}")
        return found

    return caller


def _caller(request: Request) -> Caller:
    keys: Keys = request.app.state.keys
    given = _given(request)
    if given is not None:
        found = keys.find(given)
        if found is None:
            raise Unauthenticated("the key that was sent is not one of ours")
        return found
    session = request.cookies.get(COOKIE)
    found = keys.of_session(session, time.time()) if session else None
    if found is None:
        raise Unauthenticated("the session is over" if session else "no key was sent")
    return found


def _given(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return request.headers.get("x-api-key")
