"""What a caller is told when it cannot be done: RFC 9457 problem details, from the one error tree and from what does not validate.

A problem's `type` is `/problems/REASON`, with the reason's word as parks, logs and metrics use it; that address explains it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import psycopg2
import sqlalchemy.exc
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from infra.errors import (
    BadInput,
    Conflict,
    NotFound,
    PayriverError,
    Retry,
    Stop,
    TooLate,
    Unreachable,
)

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
SHOWN_CHARACTERS = 80


@dataclass(frozen=True)
class Kind:
    """A kind of problem: its HTTP status, its title, and what a caller can do about it."""

    status: int
    title: str
    remedy: str


class Unauthenticated(PayriverError):
    """No key, or one that nobody was given."""

    reason = "unauthenticated"


class Forbidden(PayriverError):
    """The key is good, but not for this."""

    reason = "forbidden"


KINDS: Mapping[str, Kind] = {
    "malformed_json": Kind(400, "The body is not JSON", "Send one JSON value, encoded in UTF-8."),
    "bad_input": Kind(422, "A value cannot be taken", "Send the named value as the detail wants it."),
    "undecodable": Kind(422, "Bytes are not what they claim to be", "Send the bytes as the documentation says."),
    "unknown_type": Kind(422, "A type nobody has told us of", "Use a type of the vocabulary."),
    "unauthenticated": Kind(401, "No key that we know", "Send `Authorization: Bearer KEY` or `X-Api-Key: KEY`."),
    "forbidden": Kind(403, "The key may not do this", "Use a key whose role allows it."),
    "not_found": Kind(404, "There is no such thing", "Check the id; what was just accepted shows up within a second."),
    "method_not_allowed": Kind(405, "Not with this method", "Use a method that the header Allow names."),
    "not_acceptable": Kind(406, "Not in that form", "Ask for application/json or text/csv."),
    "conflict": Kind(409, "The world moved on", "Look again, then decide again."),
    "not_covered": Kind(
        409, "No anchor covers it yet", "Ask again after the next anchor; /v1/audit/anchors lists them."
    ),
    "event_id_reused": Kind(409, "The event id came before with other content", "Use a new id for a new event."),
    "command_id_reused": Kind(
        409,
        "The key came before with other business fields",
        "Send the same fields to get the first answer, or a new Idempotency-Key for a new request.",
    ),
    "too_large": Kind(413, "The body is too large", "Send at most 65536 bytes."),
    "unsupported_media_type": Kind(415, "The body is not declared as JSON", "Send `Content-Type: application/json`."),
    "retry": Kind(503, "Rivals were faster", "Send the same request again; it has the same effect once."),
    "version_conflict": Kind(503, "Rivals were faster", "Send the same request again; it has the same effect once."),
    "not_answered": Kind(
        503, "The payment has no answer yet", "Send the same message again; it has the same effect once."
    ),
    "unreachable": Kind(503, "A server of ours does not answer", "Send the same request again after a pause."),
    "deadline_passed": Kind(504, "The deadline passed", "Ask again under the same key: the stream holds the answer."),
    "stopped": Kind(500, "We cannot go on without a person", "Tell us the problem's instance and time."),
    "misconfigured": Kind(500, "Our settings cannot work", "Tell us the problem's instance and time."),
    "failed": Kind(500, "We made a mistake", "Tell us the problem's instance and time."),
}
"""Each reason that can be answered, by its word."""

FALLBACKS: tuple[tuple[type[PayriverError], str], ...] = (
    (BadInput, "bad_input"),
    (NotFound, "not_found"),
    (Conflict, "conflict"),
    (TooLate, "deadline_passed"),
    (Unreachable, "unreachable"),
    (Retry, "retry"),
    (Stop, "stopped"),
)
"""For an error whose own word is not among the kinds: the word of the branch of the tree that it hangs on."""

STATUS_REASONS = {401: "unauthenticated", 403: "forbidden", 404: "not_found", 405: "method_not_allowed",
                  413: "too_large", 415: "unsupported_media_type"}  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """One answer that is a problem. `errors`: where several values are wrong, each with its place, value and remedy."""

    reason: str
    detail: str
    instance: str
    errors: Sequence[Mapping[str, Any]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """The answer, as application/problem+json."""
        kind = KINDS[self.reason]
        body: dict[str, Any] = {
            "type": f"/problems/{self.reason}",
            "title": kind.title,
            "status": kind.status,
            "detail": self.detail,
            "instance": self.instance,
            "remedy": kind.remedy,
        }
        if self.errors:
            body["errors"] = list(self.errors)
        return Response(orjson.dumps(body), kind.status, dict(self.headers), MEDIA_TYPE)


def of_error(error: PayriverError, instance: str) -> Problem:
    """A named error as a problem. What lies within (`Stop` and below) is not told outside."""
    branches = (word for branch, word in FALLBACKS if isinstance(error, branch))
    reason = error.reason if error.reason in KINDS else next(branches, "failed")
    detail = "It is written in our log." if KINDS[reason].status == 500 else str(error)
    headers = {401: {"WWW-Authenticate": 'Bearer realm="payriver"'}, 503: {"Retry-After": "1"}}
    return Problem(reason, detail, instance, headers=headers.get(KINDS[reason].status, {}))


def of_validation(error: RequestValidationError, request: Request) -> Problem:
    """What does not fit the documented shape: which value, where, and what is wanted."""
    found = error.errors()
    broken = next((each for each in found if each["type"] == "json_invalid"), None)
    if broken is not None:
        said = broken.get("ctx", {}).get("error", "it cannot be read")
        return Problem("malformed_json", f"{said}, at character {broken['loc'][-1]}.", request.url.path)
    told = request.headers.get("content-type") or "nothing"
    if not _is_json(told) and any(each["loc"] == ("body",) for each in found):
        return Problem("unsupported_media_type", f"Content-Type says {told!r}.", request.url.path)
    errors = [_entry(each) for each in found]
    detail = "; ".join(f"{each['at']}: {each['problem']}" for each in errors[:3])
    return Problem("bad_input", detail, request.url.path, errors)


def _is_json(content_type: str) -> bool:
    """As the framework reads it: `application/json`, or a type that is written in it (RFC 6839)."""
    kind, _, form = content_type.partition(";")[0].strip().lower().partition("/")
    return kind == "application" and (form == "json" or form.endswith("+json"))


def _entry(found: Mapping[str, Any]) -> dict[str, Any]:
    where, *path = found["loc"]
    at = "".join(f"/{shown(str(part))}" for part in path) if where == "body" else f"{where} {'.'.join(map(str, path))}"
    entry = {"at": at or "/", "problem": _sentence(found)}
    if found["type"] not in ("missing", "repeated"):
        entry["value"] = shown(found.get("input"))
    return entry


def _sentence(found: Mapping[str, Any]) -> str:
    match found["type"]:
        case "extra_forbidden":
            return "nobody knows this field; leave it out"
        case "missing":
            return "is missing; send it"
        case "value_error":
            return str(found["ctx"]["error"])
        case _:
            text = str(found["msg"])
            return text[:1].lower() + text[1:]


def shown(value: object) -> str:
    """A value as it may be repeated to its sender: short, and without what is not to be printed."""
    text = value if isinstance(value, str) else repr(value)[: SHOWN_CHARACTERS * 2]
    text = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}… ({len(text)} characters)"


def of_http(error: HTTPException, request: Request) -> Problem:
    """What the framework refuses by itself: unknown paths and methods. A named error of ours that it wrapped comes out again."""
    if isinstance(error.__cause__, PayriverError):
        return of_error(error.__cause__, request.url.path)
    if isinstance(error.__cause__, RequestValidationError):
        return of_validation(error.__cause__, request)
    reason = STATUS_REASONS.get(error.status_code, "malformed_json" if error.status_code == 400 else "failed")
    detail = f"{request.method} {request.url.path}: {error.detail}."
    return Problem(reason, detail, request.url.path, headers=error.headers or {})


def install(app: FastAPI) -> None:
    """Answer every error that has a name as a problem; those that have none are the door's."""

    @app.exception_handler(PayriverError)
    async def named(request: Request, error: PayriverError) -> Response:
        if isinstance(error, Stop):
            log.error("request_failed", path=request.url.path, reason=error.reason, error=str(error))
        return of_error(error, request.url.path).response()

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return of_validation(error, request).response()

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        return of_http(error, request).response()

    @app.exception_handler(sqlalchemy.exc.TimeoutError)
    @app.exception_handler(sqlalchemy.exc.OperationalError)
    @app.exception_handler(psycopg2.OperationalError)
    async def unreachable(request: Request, error: Exception) -> Response:
        away = Unreachable("the database does not answer; nothing was decided that the same request would not find")
        return of_error(away, request.url.path).response()
