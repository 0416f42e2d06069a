from __future__ import annotations

import pytest

from tests.gateway import ECHO, Caller, Site

DEEP = "[" * 100 + "]" * 100
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", "body"),
        (b"\xff\xfe", "body"),
        (b"[" * 100_000, "body"),
        (b'{"inputs": {"word": NaN}}', "body"),
        (b'{"inputs": {"word": -Infinity}}', "body"),
        (b'{"inputs": {"word": 1e999}}', "inputs.word"),
        (b'{"inputs": {"word": 92233720368547758080}}', "inputs.word"),
        (b'{"inputs": {"word": ' + b"9" * 5000 + b"}}", "body"),
        (b'{"inputs": {"word": "\\u0000"}}', "inputs.word"),
        (b'{"inputs": {"word": "\\ud800"}}', "inputs.word"),
        (b'{"inputs": {"\\udfff": 1}}', "inputs"),
        (f'{{"inputs": {{"word": {DEEP}}}}}'.encode(), "inputs.word.0.0.0.0"),
        (b"[]", "body"),
        (b'"inputs"', "body"),
        (b'{"inputs": []}', "inputs"),
        (b'{"mode": "dri"}', "mode"),
        (b'{"label": "' + b"x" * 201 + b'"}', "label"),
    ],
)
async def test_what_cannot_be_kept_is_refused(owner: Caller, body: bytes, field: str) -> None:
    await owner.upload("talk", ECHO)
    path = f"{owner.home}/skills/talk/run"
    answer = await owner.http.post(path, content=body, headers=JSON)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert [fault["field"] for fault in answer.json()["errors"]] == [field]
    assert (await owner.http.get(f"{owner.home}/runs")).json()["items"] == []


async def test_who_may_not_ask_learns_only_that(site: Site, owner: Caller) -> None:
    await owner.upload("talk", ECHO)
    path = f"{owner.home}/skills/talk/run"
    nobody = await site.caller(None).http.post(path, content=b"{", headers=JSON)
    assert nobody.status_code == 401
    stranger = await site.with_scopes(workspace=await site.new_workspace())
    assert (await stranger.http.post(path, content=b"{", headers=JSON)).status_code == 404
    reader = await site.with_scopes("read")
    assert (await reader.http.post(path, content=b"{", headers=JSON)).status_code == 403


async def test_other_media_types_are_named(owner: Caller) -> None:
    answer = await owner.http.patch(owner.home, content=b"{}", headers={"Content-Type": "text/x"})
    assert answer.status_code == 422
    assert "Content-Type" in answer.json()["errors"][0]["message"]


async def test_bodies_have_a_largest_size(owner: Caller) -> None:
    huge = b'{"files": {"SKILL.md": "' + b"x" * (26 * 1024 * 1024) + b'"}}'
    for method, path, body in (
        ("POST", "/skills/talk/run", huge[: 3 * 1024 * 1024]),
        ("PUT", "/skills/talk", huge),
        ("POST", "/skills/check", huge),
    ):
        answer = await owner.http.request(method, f"{owner.home}{path}", content=body, headers=JSON)
        assert answer.status_code == 413, path
        assert answer.json()["code"] == "too_large"


async def test_a_body_that_hides_its_size_is_counted(owner: Caller) -> None:
    async def chunks():
        for _ in range(3 * 1024):
            yield b"x" * 1024

    answer = await owner.http.post(f"{owner.home}/skills/talk/run", content=chunks(), headers=JSON)
    assert answer.status_code == 413


async def test_names_of_fields_may_be_camel_case_and_free_form_ones_stay(owner: Caller) -> None:
    await owner.upload("talk", ECHO.replace("type: string, default: hello", "type: object"))
    body = {"inputs": {"word": {"closeDate": "x", "nextCursor": 1}}}
    run_id = await owner.started("talk", body)
    assert (await owner.run(run_id))["inputs"] == body["inputs"]
    secret = {"value": "v", "allowedHosts": ["a.com"]}
    assert (await owner.http.put(f"{owner.home}/secrets/a", json=secret)).status_code == 200
    both = secret | {"allowed_hosts": ["b.com"]}
    refused = await owner.http.put(f"{owner.home}/secrets/a", json=both)
    assert [fault["field"] for fault in refused.json()["errors"]] == ["allowedHosts"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/api/runs", 404, "not_found"),
        ("PUT", "/api/workspaces", 405, "method_not_allowed"),
        ("DELETE", "/healthz", 405, "method_not_allowed"),
    ],
)
async def test_unknown_routes_and_methods_are_problems_too(
    owner: Caller, method: str, path: str, status: int, code: str
) -> None:
    answer = await owner.http.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code
    assert answer.json()["status"] == status


@pytest.mark.parametrize("name", ["a%00b", "%2e%2e", "%ff", "a" * 3000, "café", "x y", "a;b"])
async def test_strange_names_are_not_found(site: Site, owner: Caller, name: str) -> None:
    for path in (
        f"{owner.home}/skills/{name}",
        f"{owner.home}/skills/{name}/runs/{name}",
        f"/api/runs/{name}",
        f"/api/runs/{name}/log",
        f"/api/workspaces/{name}",
    ):
        for caller in (owner, site.admin):
            answer = await caller.http.get(path)
            assert answer.status_code in (404, 422), f"{path}: {answer.text}"
