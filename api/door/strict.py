"""What is said twice is refused, and a question's parameter that nobody knows: the answer would look as if it had been heard.

Of a name that a JSON object has twice, of a parameter, of an idempotency key others would read the first, we the last: RFC 8259, 4 leaves
open what two members of one name mean; of ours none means several. Whoever asks for `as-of=7` must not be told how it is now.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

TWICE = "is given more than once; send it once"
ONCE = ("idempotency-key",)
"""Headers of ours that are no lists."""
QUESTIONS = "/v1/"
"""Below it a parameter means something; what asks for a page or for our health may add what its proxy likes."""


class Strict(APIRoute):
    """A route whose request says each thing once, and asks nothing unknown. Raises RequestValidationError, which names what is amiss."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The framework's handler, behind the look for what is amiss."""
        handler, known = super().get_route_handler(), [each.alias for each in self.dependant.query_params]

        async def handle(request: Request) -> Response:
            unknown = [each for each in request.query_params.items() if each[0] not in known]
            if unknown and self.path.startswith(QUESTIONS):
                raise _unheard(unknown, known)
            twice = [("query", name) for name in _repeated(request.query_params.multi_items()) if name in known]
            twice += [("header", name) for name in ONCE if len(request.headers.getlist(name)) > 1]
            if twice:
                raise _refused(twice)
            return await handler(_Once(request.scope, request.receive))

        return handle


class _Once(Request):
    """A request whose JSON says each thing once."""

    async def json(self) -> Any:
        """As the framework's own, which asks once. Raises RequestValidationError, which that passes on as a cause."""
        marked: list[_Members] = []
        body = json.loads(await self.body(), object_pairs_hook=lambda pairs: _members(pairs, marked))
        if marked:
            raise _refused([("body", *place) for place in _places(body)])
        return body


class _Members(dict[str, Any]):
    """A JSON object some of whose names came twice: those."""

    twice: list[str]


def _members(pairs: list[tuple[str, Any]], marked: list[_Members]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    found = _Members(made)
    found.twice = _repeated(pairs)
    marked.append(found)
    return found


def _repeated(pairs: Iterable[tuple[str, Any]]) -> list[str]:
    return [name for name, times in Counter(name for name, _ in pairs).items() if times > 1]


def _places(value: Any) -> Iterator[tuple[str, ...]]:
    """Each name that came twice, with the way to it."""
    if isinstance(value, _Members):
        yield from ((name,) for name in value.twice)
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inner:
        yield from ((str(name), *rest) for rest in _places(each))


def _refused(places: Iterable[tuple[str, ...]]) -> RequestValidationError:
    return RequestValidationError([{"type": "repeated", "loc": each, "msg": TWICE} for each in places])


def _unheard(parameters: Iterable[tuple[str, str]], known: Sequence[str]) -> RequestValidationError:
    wanted = "nobody knows this parameter; leave it out" + (f", or take one of {', '.join(known)}" if known else "")
    return RequestValidationError(
        [{"type": "unheard", "loc": ("query", name), "msg": wanted, "input": value} for name, value in parameters]
    )
