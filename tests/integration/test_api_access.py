from __future__ import annotations

import re
from typing import Any

import pytest

from tests.gateway import CODEC_TOKEN, ECHO, Caller, Site


def body_of(method: str, path: str, ids: dict[str, str]) -> Any:
    told = {
        ("post", "/api/runs/{run_id}"): {"action": "cancel"},
        ("put", "/api/workspaces/{ws}/secrets/{name}"): {"value": "v", "allowed_hosts": ["a.com"]},
        ("post", "/api/workspaces/{ws}/keys"): {"name": "k", "scopes": ["read"]},
        ("patch", "/api/workspaces/{ws}/sources/{source}"): {"config": {"type": "files"}},
        ("post", "/api/webhooks/skills/{skill}/trigger"): {"workspace_id": ids["ws"]},
    }
    return told.get((method, path))


async def ids_of(site: Site, owner: Caller) -> dict[str, str]:
    """One of everything that has an id."""
    await owner.upload("talk", ECHO)
    secret = {"value": "v", "allowed_hosts": ["example.com"]}
    await owner.http.put(f"{owner.home}/secrets/crm", json=secret)
    key = await owner.http.post(f"{owner.home}/keys", json={"name": "k", "scopes": ["read"]})
    source = {"id": "wares", "config": {"type": "files"}}
    (await owner.http.post(f"{owner.home}/sources", json=source)).raise_for_status()
    event = {"event": "came", "workspace_id": owner.workspace, "data": {}}
    told = await owner.http.post("/api/webhooks/events", json=event)
    return {
        "ws": owner.workspace,
        "skill": "talk",
        "run_id": await owner.started("talk"),
        "name": "crm",
        "key_id": key.json()["id"],
        "token": CODEC_TOKEN,
        "source": "wares",
        "kind": "deals",
        "event_id": told.json()["event_id"],
    }


def operations(site: Site) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in site.app.openapi()["paths"].items()
        for method, operation in methods.items()
    ]


async def test_another_workspaces_key_finds_nothing_anywhere(site: Site, owner: Caller) -> None:
    ids = await ids_of(site, owner)
    stranger = await site.with_scopes(workspace=await site.new_workspace())
    unknown = dict.fromkeys(ids, "unknown")
    walked = 0
    for method, path, operation in operations(site):
        if not operation["x-scopes"] or "{" not in path:
            continue
        walked += 1
        theirs = await stranger.http.request(
            method, path.format(**ids), json=body_of(method, path, ids)
        )
        assert theirs.status_code == 404, f"{method} {path}: {theirs.text}"
        nobodys = await stranger.http.request(
            method, path.format(**unknown), json=body_of(method, path, unknown)
        )
        assert nobodys.status_code == 404, f"{method} {path}: {nobodys.text}"
        told = theirs.text
        for value in ids.values():
            told = told.replace(repr(value), "'unknown'")
        assert told == nobodys.text
    assert walked > 15
    assert (await owner.run(ids["run_id"]))["status"] == "queued"


async def test_ids_of_another_workspace_are_not_found_in_ones_own(
    site: Site, owner: Caller
) -> None:
    ids = await ids_of(site, owner)
    stranger = await site.with_scopes(workspace=await site.new_workspace())
    mine = ids | {"ws": stranger.workspace}
    for method, path, _ in operations(site):
        named = set(re.findall(r"{(\w+)}", path)) - {"ws"}
        # To upload or to store under a name that somebody else uses too is nobody's business.
        if not named or path.startswith("/codec") or method == "put" or path.endswith("/runs"):
            continue
        body = body_of(method, path, mine)
        answer = await stranger.http.request(method, path.format(**mine), json=body)
        assert answer.status_code == 404, f"{method} {path}: {answer.text}"


async def test_without_a_key_nothing_opens(site: Site) -> None:
    walked = 0
    for key in (None, "wrong", "pk_0123456789ab_" + "a" * 48, "kéy"):
        for method, path, operation in operations(site):
            if not operation["x-scopes"]:
                continue
            walked += 1
            headers = {"X-API-Key": key.encode("latin-1")} if key else {}
            answer = await site.caller(None).http.request(
                method, path.replace("{", "").replace("}", ""), headers=headers
            )
            assert answer.status_code == 401, f"{method} {path}"
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert answer.json()["code"] == "unauthorized"
    assert walked > 80


@pytest.mark.parametrize("scope", ["read", "run", "approve", "manage"])
async def test_a_key_does_what_its_scopes_say_and_no_more(
    site: Site, owner: Caller, scope: str
) -> None:
    ids = await ids_of(site, owner)
    narrow = await site.with_scopes(scope)
    for method, path, operation in operations(site):
        needed = operation["x-scopes"]
        if not needed or scope in needed or path == "/api/workers":
            continue
        answer = await narrow.http.request(
            method, path.format(**ids), json=body_of(method, path, ids)
        )
        assert answer.status_code == 403, f"{method} {path}: {answer.text}"
        assert answer.json()["code"] == "forbidden"


async def test_deciding_and_acting_are_different_scopes(site: Site, owner: Caller) -> None:
    ids = await ids_of(site, owner)
    approver, runner = await site.with_scopes("approve"), await site.with_scopes("run")
    assert (await approver.act(ids["run_id"], "cancel")).status_code == 403
    assert (await runner.act(ids["run_id"], "approve")).status_code == 403


async def test_a_bearer_key_opens_too(site: Site, owner: Caller) -> None:
    headers = {"Authorization": f"Bearer {owner.http.headers['X-API-Key']}"}
    answer = await site.caller(None).http.get(owner.home, headers=headers)
    assert answer.status_code == 200


async def test_an_admin_reaches_everything(site: Site, owner: Caller) -> None:
    ids = await ids_of(site, owner)
    assert (await site.admin.run(ids["run_id"]))["run_id"] == ids["run_id"]
    listed = (await site.admin.http.get("/api/workspaces", params={"limit": 1000})).json()
    assert owner.workspace in [one["id"] for one in listed["items"]]
    missing = await site.admin.http.get("/api/workspaces/nowhere/runs")
    assert missing.status_code == 404


async def test_a_workspace_key_lists_its_own_workspace(site: Site, owner: Caller) -> None:
    await site.new_workspace()
    listed = (await owner.http.get("/api/workspaces")).json()
    assert [one["id"] for one in listed["items"]] == [owner.workspace]
    made = await owner.http.post("/api/workspaces", json={"name": "Mine"})
    assert made.status_code == 403


async def test_a_revoked_key_opens_nothing(site: Site, owner: Caller) -> None:
    made = await owner.http.post(f"{owner.home}/keys", json={"name": "k", "scopes": ["read"]})
    short_lived = site.caller(made.json()["key"])
    assert (await short_lived.http.get(owner.home)).status_code == 200
    gone = await owner.http.delete(f"{owner.home}/keys/{made.json()['id']}")
    assert gone.status_code == 204
    assert (await short_lived.http.get(owner.home)).status_code == 401


async def test_a_key_gives_no_more_than_it_has(site: Site) -> None:
    manager = await site.with_scopes("manage", "read")
    refused = await manager.http.post(
        f"{manager.home}/keys", json={"name": "k", "scopes": ["read", "approve"]}
    )
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    made = await manager.http.post(f"{manager.home}/keys", json={"name": "k", "scopes": ["read"]})
    assert made.status_code == 201


async def test_the_admin_key_is_in_no_list(site: Site, owner: Caller) -> None:
    listed = (await owner.http.get(f"{owner.home}/keys")).json()
    assert "admin" not in str(listed)
    assert all(set(key) == {"id", "name", "scopes", "created_at"} for key in listed["items"])
