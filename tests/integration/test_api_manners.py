"""HTTP as its readers know it, whatever they ask of the gateway."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.gateway import ECHO, Caller, Site


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/workspaces", "GET, HEAD, POST"),
        ("POST", "/api/workspaces/w", "GET, HEAD, PATCH"),
        ("PATCH", "/api/workspaces/w/secrets/crm", "DELETE, GET, HEAD, PUT"),
        ("GET", "/api/workspaces/w/skills/talk/run", "POST"),
        ("HEAD", "/api/workspaces/w/skills/talk/run", "POST"),
        ("DELETE", "/healthz", "GET, HEAD"),
        ("POST", "/docs", "GET, HEAD"),
    ],
)
async def test_a_refused_method_names_those_there_are(
    owner: Caller, method: str, path: str, allowed: str
) -> None:
    answer = await owner.http.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == allowed


async def test_head_is_get_without_its_body(owner: Caller) -> None:
    await owner.upload("talk", ECHO)
    run_id = await owner.started("talk")
    runs = f"/api/runs/{run_id}"
    for path in ("/healthz", "/docs", "/openapi.json", owner.home, f"{owner.home}/runs", runs):
        got, head = await owner.http.get(path), await owner.http.head(path)
        assert (head.status_code, head.content) == (200, b""), path
        assert head.headers["content-type"] == got.headers["content-type"]
    assert (await owner.http.head("/api/runs/unknown")).status_code == 404


async def test_the_head_of_a_stream_ends(owner: Caller, site: Site) -> None:
    await owner.upload("talk", ECHO)
    run_id = await owner.started("talk")
    await site.work()
    await owner.ended(run_id)
    answer = await owner.http.head(f"/api/runs/{run_id}/log", params={"stream": "true"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.content == b""


async def test_a_browser_is_led_to_the_reference(owner: Caller) -> None:
    answer = await owner.http.get("/")
    assert answer.is_redirect
    assert answer.headers["location"] == "/docs"


@pytest.mark.parametrize(
    "since",
    ["2020", "1768435200", "-1", "2026-11", "2026-11-20T08:00:00", "2026-02-30", "yesterday", ""],
)
async def test_a_time_that_could_mean_several_is_refused(owner: Caller, since: str) -> None:
    answer = await owner.http.get(f"{owner.home}/runs", params={"since": since})
    assert answer.status_code == 422
    [fault] = answer.json()["errors"]
    assert fault["field"] == "since"
    assert "such as 2026-11-20T08:00:00Z" in fault["message"]


async def test_a_day_begins_in_utc_and_a_time_is_where_it_says(owner: Caller) -> None:
    await owner.upload("talk", ECHO)
    run_id = await owner.started("talk")
    created = datetime.fromisoformat((await owner.run(run_id))["created_at"])
    today, later = created.astimezone(UTC).date(), created + timedelta(seconds=1)
    offset = later.strftime("%Y-%m-%dT%H:%M:%S+00:00")

    async def found(query: str) -> bool:
        answer = await owner.http.get(f"{owner.home}/runs?{query}")
        assert answer.status_code == 200, answer.text
        return [run["run_id"] for run in answer.json()["items"]] == [run_id]

    assert await found(f"since={today}")
    assert not await found(f"since={today + timedelta(days=1)}")
    assert not await found(f"until={today}")
    # With `+` as it is, which means a space, and encoded.
    assert await found(f"until={offset}")
    assert await found("until=" + offset.replace("+", "%2B"))


async def test_a_parameter_is_given_once(owner: Caller) -> None:
    answer = await owner.http.get(f"{owner.home}/runs?limit=1&limit=2&q=a")
    assert answer.status_code == 422
    [fault] = answer.json()["errors"]
    assert fault["field"] == "limit"
    assert "more than once" in fault["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/runs/%00"),
        ("GET", "/api/runs/a%00b/log"),
        ("GET", "/api/workspaces/%00"),
        ("GET", "{home}/skills/%00"),
        ("DELETE", "{home}/keys/%00"),
    ],
)
async def test_what_cannot_be_a_name_is_not_found(owner: Caller, method: str, path: str) -> None:
    answer = await owner.http.request(method, path.format(home=owner.home))
    assert answer.status_code == 404, answer.text
