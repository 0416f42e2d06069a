from __future__ import annotations

import pytest

from tests.gateway import Caller, Site


async def test_a_workspace_can_be_made_read_and_changed(site: Site) -> None:
    admin = site.admin.http
    body = {
        "id": "revenue",
        "name": " Revenue ",
        "timezone": "Europe/Berlin",
        "settings": {"someKey": 1},
    }
    made = await admin.post("/api/workspaces", json=body)
    assert made.status_code == 201
    assert made.json() == body | {"name": "Revenue"}
    assert (await admin.get("/api/workspaces/revenue")).json() == made.json()
    changed = await admin.patch("/api/workspaces/revenue", json={"timezone": "UTC"})
    assert changed.json() == made.json() | {"timezone": "UTC"}
    assert (await admin.get("/api/workspaces/revenue")).json()["timezone"] == "UTC"
    again = await admin.post("/api/workspaces", json=body)
    assert (again.status_code, again.json()["code"]) == (409, "already_exists")


async def test_a_workspace_without_an_id_gets_one(site: Site) -> None:
    made = await site.admin.http.post("/api/workspaces", json={"name": "Anything"})
    assert made.json()["id"].startswith("ws-")


@pytest.mark.parametrize(
    ("field", "value"),
    [("id", "Big"), ("id", "a" * 64), ("name", " "), ("timezone", "Berlin"), ("settings", [])],
)
async def test_a_bad_field_is_named(site: Site, field: str, value: object) -> None:
    made = await site.admin.http.post("/api/workspaces", json={"name": "Any", field: value})
    assert made.status_code == 422, made.text
    assert [fault["field"] for fault in made.json()["errors"]] == [field]


async def test_a_timezone_has_a_nearest_right_name(site: Site) -> None:
    body = {"name": "Any", "timezone": "Europe/Berln"}
    made = await site.admin.http.post("/api/workspaces", json=body)
    assert "did you mean `Europe/Berlin`" in made.json()["errors"][0]["message"]


class TestSecrets:
    async def test_a_value_goes_in_and_never_comes_out(self, owner: Caller) -> None:
        body = {"value": "hunter2", "allowedHosts": ["api.example.com", "*.example.org:8443"]}
        answers = [
            await owner.http.put(f"{owner.home}/secrets/crm", json=body),
            await owner.http.get(f"{owner.home}/secrets/crm"),
            await owner.http.get(f"{owner.home}/secrets"),
        ]
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        assert not any("hunter2" in answer.text for answer in answers)
        assert answers[1].json()["allowed_hosts"] == ["*.example.org:8443", "api.example.com"]
        assert [one["name"] for one in answers[2].json()["items"]] == ["crm"]
        assert (await owner.http.delete(f"{owner.home}/secrets/crm")).status_code == 204
        assert (await owner.http.get(f"{owner.home}/secrets/crm")).status_code == 404

    @pytest.mark.parametrize(
        ("name", "body"),
        [
            ("crm", {"value": "hunter2"}),
            ("crm", {"value": "hunter2", "allowed_hosts": []}),
            ("crm", {"value": "hunter2", "allowed_hosts": ["https://example.com/x"]}),
            ("crm", {"value": "hunter2\x00", "allowed_hosts": ["example.com"]}),
            ("crm", {"value": ["hunter2"], "allowed_hosts": ["example.com"]}),
            ("CRM", {"value": "hunter2", "allowed_hosts": ["example.com"]}),
        ],
    )
    async def test_a_refusal_does_not_repeat_the_value(
        self, owner: Caller, name: str, body: dict[str, object]
    ) -> None:
        answer = await owner.http.put(f"{owner.home}/secrets/{name}", json=body)
        assert answer.status_code == 422
        assert "hunter2" not in answer.text


async def test_keys_page_by_age(owner: Caller) -> None:
    for name in ("one", "two", "three"):
        await owner.http.post(f"{owner.home}/keys", json={"name": name, "scopes": ["read"]})
    first = (await owner.http.get(f"{owner.home}/keys", params={"limit": 2})).json()
    rest = (
        await owner.http.get(f"{owner.home}/keys", params={"cursor": first["next_cursor"]})
    ).json()
    names = [key["name"] for key in first["items"] + rest["items"]]
    assert names == ["test", "one", "two", "three"]
    assert rest["next_cursor"] is None
