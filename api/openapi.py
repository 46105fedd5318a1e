"""The OpenAPI document: what FastAPI draws from the routes, with the two forms of a key and the one shape of a problem; and its page."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse

from api.answers.models import ProblemAnswer, problem_answers

OPEN = {"/health/live", "/health/ready", "/session"}
SCHEMES = {
    "Bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer KEY`"},
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
}

SENTENCE = re.compile(r"(.+?)\.?(?:(?<=\.)\s|$)", re.S)
"""The first of a route's docstring: what the page shows of it before it is opened."""
FILES = "/static-offline-docs"
"""Where fastapi_offline serves Swagger UI's own files."""
DARK = """
<script>
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
  dark.addEventListener("change", follow);
  follow();
</script>
<style>
.swagger-ui .renderedMarkdown code { padding: 0 4px; }
.dark-mode body { background: #1c2022; } .swagger-ui .info { margin: 30px 0; } .swagger-ui .scheme-container { padding: 16px 0; }</style>
</head>"""
"""Swagger UI has a dark dress, and leaves it to the page to put it on."""


def mount(app: FastAPI) -> None:
    """Serve the page of documentation: Swagger UI, light or dark as the reader's system is."""
    page = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="payriver · API",
        swagger_js_url=f"{FILES}/swagger-ui-bundle.js",
        swagger_css_url=f"{FILES}/swagger-ui.css",
        swagger_favicon_url="/static/mark.svg",
        swagger_ui_parameters=app.swagger_ui_parameters,
    )
    text = bytes(page.body).decode().replace("</head>", DARK)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(text)


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
            operation["tags"] = operation["tags"][-1:]  # a route's own, else its file's
            operation["summary"] = SENTENCE.match(operation["description"])[1].replace("`", "")  # type: ignore[index]
            if "application/json" in operation["responses"].get("422", {}).get("content", {}):  # FastAPI's own
                operation["responses"]["422"] = problem_answers(422)[422]
            if path not in OPEN:
                operation["security"] = [{"Bearer": []}, {"ApiKey": []}]
