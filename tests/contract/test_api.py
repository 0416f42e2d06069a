"""What other systems rely on: paths, verbs, and what a key needs for each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from api import glossary
from api.app import create_app
from api.routers import runs

PAGE: dict[str, Any] = create_app(None).openapi()  # pyright: ignore[reportArgumentType]


def test_paths_verbs_and_scopes() -> None:
    told = [
        f"{method.upper()} {path} {' '.join(operation['x-scopes']) or '-'}"
        for path, methods in PAGE["paths"].items()
        for method, operation in methods.items()
    ]
    assert sorted(told) == snapshot(
        [
            "DELETE /api/workspaces/{ws}/keys/{key_id} manage",
            "DELETE /api/workspaces/{ws}/secrets/{name} manage",
            "DELETE /api/workspaces/{ws}/skills/{skill} manage",
            "DELETE /api/workspaces/{ws}/sources/{source} manage",
            "GET /api/health/llm manage",
            "GET /api/runs/{run_id} read",
            "GET /api/runs/{run_id}/log read",
            "GET /api/runs/{run_id}/report read",
            "GET /api/webhooks/skills/{skill}/runs/{run_id} read",
            "GET /api/workers read",
            "GET /api/workspaces read",
            "GET /api/workspaces/{ws} read",
            "GET /api/workspaces/{ws}/events read",
            "GET /api/workspaces/{ws}/events/{event_id} read",
            "GET /api/workspaces/{ws}/keys manage",
            "GET /api/workspaces/{ws}/llm/config read",
            "GET /api/workspaces/{ws}/llm/usage read",
            "GET /api/workspaces/{ws}/runs read",
            "GET /api/workspaces/{ws}/secrets manage",
            "GET /api/workspaces/{ws}/secrets/{name} manage",
            "GET /api/workspaces/{ws}/skills read",
            "GET /api/workspaces/{ws}/skills/{skill} read",
            "GET /api/workspaces/{ws}/skills/{skill}/runs read",
            "GET /api/workspaces/{ws}/skills/{skill}/runs/{run_id} read",
            "GET /api/workspaces/{ws}/sources read",
            "GET /api/workspaces/{ws}/sources/{source} read",
            "GET /api/workspaces/{ws}/webhooks/secret manage",
            "GET /healthz -",
            "GET /metrics -",
            "GET /readyz -",
            "PATCH /api/workspaces/{ws} manage",
            "PATCH /api/workspaces/{ws}/sources/{source} manage",
            "POST /api/runs/{run_id} run approve",
            "POST /api/webhooks/events run",
            "POST /api/webhooks/skills/{skill}/trigger run",
            "POST /api/workspaces admin",
            "POST /api/workspaces/{ws}/keys manage",
            "POST /api/workspaces/{ws}/llm/config manage",
            "POST /api/workspaces/{ws}/llm/usage manage",
            "POST /api/workspaces/{ws}/skills/check read",
            "POST /api/workspaces/{ws}/skills/{skill}/run run",
            "POST /api/workspaces/{ws}/sources manage",
            "POST /api/workspaces/{ws}/sources/{source}/check manage",
            "POST /api/workspaces/{ws}/sources/{source}/sync run",
            "POST /api/workspaces/{ws}/webhooks/secret manage",
            "POST /codec/decode admin",
            "POST /codec/encode admin",
            "POST /codec/{token}/decode -",
            "POST /codec/{token}/encode -",
            "PUT /api/workspaces/{ws}/secrets/{name} manage",
            "PUT /api/workspaces/{ws}/skills/{skill} manage",
            "PUT /api/workspaces/{ws}/sources/{source}/files/{kind} manage",
        ]
    )


def operations() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in PAGE["paths"].items()
        for method, operation in methods.items()
    ]


@pytest.mark.parametrize(("name", "operation"), operations())
def test_an_operation_is_explained(name: str, operation: dict[str, Any]) -> None:
    assert len(operation["description"]) > 15, name
    assert operation["tags"], name
    assert "422" not in operation["responses"], "422 has our own shape"
    if operation["x-scopes"] and not name.startswith("GET /api/workers"):
        assert operation["security"] == [{"key": []}, {"bearer": []}]
        assert set(operation["responses"]["default"]["content"]) == {"application/problem+json"}


def parts() -> list[tuple[str, dict[str, Any]]]:
    """Every parameter, and every field of what is sent and answered."""
    schemas = dict(PAGE["components"]["schemas"])
    for name, operation in operations():
        for media in operation.get("requestBody", {}).get("content", {}).values():
            schemas[name] = media["schema"]
    return [
        *(
            (f"{name} ?{parameter['name']}", parameter)
            for name, operation in operations()
            for parameter in operation.get("parameters", ())
        ),
        *(
            (f"{name}.{field}", part)
            for name, schema in schemas.items()
            for field, part in schema.get("properties", {}).items()
        ),
    ]


def test_every_field_and_parameter_is_explained() -> None:
    """Where it has no description of its own, api/glossary.py says it."""
    assert [name for name, part in parts() if not part.get("description")] == []


def test_the_glossary_speaks_of_nothing_that_is_gone() -> None:
    schemas = {
        (name.partition("-")[0], field)
        for name, schema in PAGE["components"]["schemas"].items()
        for field in schema.get("properties", {})
    }
    assert glossary.FIELDS_OF.keys() - schemas == set()
    assert glossary.FIELDS.keys() - {field for _, field in schemas} == set()


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for _, operation in operations()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z_]+", name) for name in names)


def test_the_readable_page_fetches_nothing_from_elsewhere() -> None:
    text = Path(str(runs.__file__)).parents[1].joinpath("reference.html").read_text()
    assert "http://" not in text
    assert "https://" not in text
    assert "src=" not in text


def test_every_endpoint_says_who_may_call_it() -> None:
    """An endpoint without a key is a decision, not an oversight."""
    open_to_all = {name for name, operation in operations() if not operation["x-scopes"]}
    assert open_to_all == {
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
        "POST /codec/{token}/decode",
        "POST /codec/{token}/encode",
    }
