"""What a refusal says, to somebody who knows neither pydantic nor regular expressions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway import Caller, Site

SECRET = {"value": "v", "allowed_hosts": ["api.example.com"]}
RUN = "/skills/talk/run"


async def told(caller: Caller, method: str, path: str, **sent: Any) -> dict[str, str]:
    answer = await caller.http.request(method, f"{caller.home}{path}", **sent)
    assert answer.status_code == 422, answer.text
    return {fault["field"]: fault["message"] for fault in answer.json()["errors"]}


@pytest.mark.parametrize(
    ("method", "path", "body", "field", "message"),
    [
        ("PATCH", "", [], "body", "expected a JSON object"),
        ("PATCH", "", {"settings": []}, "settings", "expected a JSON object"),
        ("PATCH", "", {"name": 5}, "name", "expected text"),
        ("PATCH", "", {"name": " "}, "name", "expected at least 1 character"),
        ("PATCH", "", {"name": "x" * 201}, "name", "expected at most 200 characters"),
        ("POST", "/keys", {"name": "k", "scopes": []}, "scopes", "expected at least 1 value"),
        ("POST", "/keys", {"name": "k", "scopes": "run"}, "scopes", "expected a list"),
        ("PUT", "/secrets/a", SECRET | {"allowed_hosts": ""}, "allowed_hosts", "expected a list"),
        ("POST", RUN, {"mode": "Dry"}, "mode", "expected 'live' or 'dry'; did you mean `dry`?"),
        ("POST", RUN, {"mode": "later"}, "mode", "expected 'live' or 'dry'"),
    ],
)  # fmt: skip
async def test_a_refusal_says_what_was_expected(
    owner: Caller, method: str, path: str, body: Any, field: str, message: str
) -> None:
    assert await told(owner, method, path, json=body) == {field: message}


async def test_an_action_that_is_no_object_is_told_so(owner: Caller) -> None:
    for body in ([], "pause"):
        await owner.upload("talk", "steps:\n- {id: a, compute: echo, with: {value: 1}}\n")
        run_id = await owner.started("talk")
        answer = await owner.http.post(f"/api/runs/{run_id}", json=body)
        [fault] = answer.json()["errors"]
        assert fault == {"field": "body", "message": "expected a JSON object"}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"limit": "0"}, "expected at least 1"),
        ({"limit": "1001"}, "expected at most 1000"),
        ({"limit": "many"}, "expected a whole number"),
    ],
)
async def test_a_number_says_its_bounds(owner: Caller, query: dict[str, str], message: str) -> None:
    assert await told(owner, "GET", "/runs", params=query) == {"limit": message}


async def test_a_word_that_is_near_none_is_answered_with_all_of_them_once(owner: Caller) -> None:
    said = (await told(owner, "GET", "/runs", params={"status": "zzz"}))["status"]
    assert said.count("cancelled") == 1
    assert (await told(owner, "GET", "/runs", params={"status": "canceled"}))["status"].endswith(
        "did you mean `cancelled`?"
    )


@pytest.mark.parametrize(
    "host",
    [
        "https://example.com",
        "Example.com",
        "*.com",
        "*.com:443",
        "*",
        "a.com/x",
        "a.com\n",
        "*.*.a",
    ],
)
async def test_a_host_is_asked_for_in_words(owner: Caller, host: str) -> None:
    body = SECRET | {"allowed_hosts": [host]}
    said = (await told(owner, "PUT", "/secrets/crm", json=body))["allowed_hosts.0"]
    assert "such as `api.example.com`" in said
    assert "[" not in said


@pytest.mark.parametrize("host", ["*.example.com", "*.example.co.uk:8443", "localhost", "[::1]:80"])
async def test_a_host_that_somebody_owns_is_taken(owner: Caller, host: str) -> None:
    body = SECRET | {"allowed_hosts": [host]}
    answer = await owner.http.put(f"{owner.home}/secrets/crm", json=body)
    assert answer.json()["allowed_hosts"] == [host]


async def test_names_are_asked_for_in_words(site: Site, owner: Caller) -> None:
    assert "such as `crm_key`" in (await told(owner, "PUT", "/secrets/CRM", json=SECRET))["name"]
    made = await site.admin.http.post("/api/workspaces", json={"id": "Big", "name": "Big"})
    [fault] = made.json()["errors"]
    assert "such as `revenue-ops`" in fault["message"]
    assert "a-z" not in fault["message"]
