"""The OpenAPI document: what FastAPI draws from the routes, with the two forms of a key and the one shape of a problem."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

from api.models import ProblemAnswer, problem_answers

OPEN = {"/health/live", "/health/ready", "/session"}
SCHEMES = {
    "Bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer KEY`"},
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
}


def describe(app: FastAPI) -> None:
    """Complete the document at its first request."""
    drawn: Callable[[], dict[str, Any]] = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = drawn()
            _complete(found)
            app.openapi_schema = found
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _complete(document: dict[str, Any]) -> None:
    components = document.setdefault("components", {})
    components["securitySchemes"] = SCHEMES
    schemas = components.setdefault("schemas", {})
    shape = ProblemAnswer.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= shape.pop("$defs", {})
    schemas["ProblemAnswer"] = shape
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if "application/json" in operation["responses"].get("422", {}).get("content", {}):  # FastAPI's own
                operation["responses"]["422"] = problem_answers(422)[422]
            if path not in OPEN:
                operation["security"] = [{"Bearer": []}, {"ApiKey": []}]
