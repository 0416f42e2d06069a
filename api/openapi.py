"""The OpenAPI page: what FastAPI cannot know of itself is added here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from api.auth import scopes_of
from api.glossary import describe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastapi import APIRouter, FastAPI

TITLE = "Perdure"
VERSION = "0.1.0"
DESCRIPTION = """\
Skills that finish: every run is a durable workflow that can be inspected, paused, resumed, and
picked up again from the step where it went wrong.

**Keys.** Send one as `X-API-Key` or as `Authorization: Bearer`. A workspace's key reaches that
workspace alone, as far as its scopes go (`read`, `run`, `approve`, `manage`); an admin key reaches
everything. What belongs to somebody else is 404, a missing scope 403, no key or a bad one 401.

**JSON** is snake_case; field names of requests may also be written in camelCase. A field or
parameter that is not known is 422, with the nearest right name.

**Lists** take `limit` (1–1000, 50 where nothing is said) and `cursor`, and answer `items` and
`next_cursor`, which is null on the last page.

**Refusals** are `application/problem+json` (RFC 9457) with a stable `code`, and `errors` that name
each field. While Temporal or Postgres is away, what needs them is 503 `unavailable` with
`Retry-After`.
"""
TAGS = [
    {"name": "runs", "description": "Start them, watch them, act on them."},
    {"name": "skills", "description": "What can be run: built in, or uploaded."},
    {"name": "webhooks", "description": "For other systems: start a skill, be told its end."},
    {"name": "events", "description": "What happened, and what it started."},
    {"name": "workspaces", "description": "Who owns what; everything lives in one."},
    {"name": "keys", "description": "What opens a workspace, and how far."},
    {"name": "secrets", "description": "What flows may send to some hosts, and nobody may read."},
    {"name": "sources", "description": "Where business data comes from, and its syncs."},
    {"name": "llm", "description": "Which models answer, with whose keys, and what they may cost."},
    {"name": "health", "description": "Of the gateway and of what it needs."},
    {"name": "codec", "description": "Opens payloads for the Temporal Web UI and command line."},
]


def install(app: FastAPI, routers: Iterable[APIRouter]) -> None:
    needed = {
        (route.path, method.lower()): scopes_of(route.dependant)
        for router in routers
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }

    def page() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _page(app, needed)
        return app.openapi_schema

    app.openapi = page


def _page(app: FastAPI, needed: dict[tuple[str, str], tuple[str, ...] | None]) -> dict[str, Any]:
    page = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        tags=app.openapi_tags,
    )
    for path, methods in page["paths"].items():
        for method, operation in methods.items():
            scopes = needed.get((path, method))
            operation["x-scopes"] = list(scopes or ())
            if scopes:
                said = " or ".join(f"`{scope}`" for scope in scopes)
                operation["description"] += f"\n\nNeeds {said}."
            _say_problem_json(operation)
    describe(page["components"]["schemas"])
    return page


def _say_problem_json(operation: dict[str, Any]) -> None:
    # FastAPI documents its own shape of 422, which never leaves here.
    operation["responses"].pop("422", None)
    refused = operation["responses"].get("default")
    if refused:
        refused["content"] = {"application/problem+json": refused["content"]["application/json"]}
