"""HubSpot as those meet it who connect it: through the front door, with a token of their own."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest_asyncio

from tests.hubspot.life import Life
from tests.hubspot.server import TOKEN, HubSpotServer, open_hubspot
from tests.hubspot.truth import SOURCE, differences, held

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from store.pool import Pool
    from tests.gateway import Caller, Site


@pytest_asyncio.fixture
async def hubspot() -> AsyncIterator[HubSpotServer]:
    async with open_hubspot() as server:
        server.per_ten_seconds = server.searches_per_second = 100_000
        Life(server.crm, Random(1)).begin(companies=3, contacts=5, deals=4)
        yield server


async def connect(owner: Caller, hubspot: HubSpotServer) -> None:
    config = {"type": "hubspot", "base_url": hubspot.url}
    made = await owner.http.post(f"{owner.home}/sources", json={"id": SOURCE, "config": config})
    assert made.status_code == 201, made.text


async def give(owner: Caller, token: str, host: str) -> None:
    body = {"value": token, "allowed_hosts": [host]}
    put = await owner.http.put(f"{owner.home}/secrets/hubspot_token", json=body)
    assert put.is_success, put.text


async def check(owner: Caller) -> dict[str, Any]:
    answer = await owner.http.post(f"{owner.home}/sources/{SOURCE}/check")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def synced(owner: Caller) -> dict[str, Any]:
    answer = await owner.http.post(f"{owner.home}/sources/{SOURCE}/sync", json={})
    assert answer.status_code == 202, answer.text
    return await owner.ended(answer.json()["run_id"])


async def test_what_is_wrong_with_a_token_is_said_before_a_sync(
    owner: Caller, hubspot: HubSpotServer
) -> None:
    await connect(owner, hubspot)
    assert (await check(owner))["error"]["code"] == "secret_missing"
    await give(owner, TOKEN, "api.hubapi.com")
    assert (await check(owner))["error"]["code"] == "secret_not_allowed"
    assert hubspot.requests == []
    await give(owner, "pat-of-somebody-else", "127.0.0.1")
    refused = await check(owner)
    assert {each["error"]["code"] for each in refused["kinds"]} == {"source_refused"}
    await give(owner, TOKEN, "127.0.0.1")
    hubspot.api.withheld = {"sales-email-read"}
    *_, activities = (await check(owner))["kinds"]
    assert activities["error"]["code"] == "source_forbidden"
    assert "needs the scope sales-email-read" in activities["error"]["message"]
    hubspot.api.withheld = set()
    seen = await check(owner)
    assert seen["ok"]
    assert [each["kind"] for each in seen["kinds"]] == [
        "owners",
        "pipelines",
        "accounts",
        "contacts",
        "deals",
        "activities",
    ]


async def test_a_refused_token_ends_the_sync_at_once(
    site: Site, owner: Caller, hubspot: HubSpotServer
) -> None:
    await connect(owner, hubspot)
    await give(owner, "pat-of-somebody-else", "127.0.0.1")
    await site.work()
    run = await synced(owner)
    assert (run["status"], run["error"]["code"]) == ("failed", "source_refused")
    assert len(hubspot.requests) == 1
    assert "somebody-else" not in str(run)


async def test_a_sync_brings_the_account_here_and_keeps_the_token_to_itself(
    site: Site, owner: Caller, pool: Pool, hubspot: HubSpotServer
) -> None:
    await connect(owner, hubspot)
    await give(owner, TOKEN, "127.0.0.1")
    await site.work()
    run = await synced(owner)
    assert run["status"] == "succeeded", run["error"]
    assert run["output"]["since"] is None
    assert differences(hubspot.crm, await held(pool, owner.workspace)) == {}
    again = await synced(owner)
    assert again["output"]["records"] == 0
    log = await owner.http.get(f"/api/runs/{run['run_id']}/log")
    for said in (str(run), log.text, str(await check(owner))):
        assert TOKEN not in said


async def test_another_workspace_sees_nothing_of_it(
    site: Site, owner: Caller, pool: Pool, hubspot: HubSpotServer
) -> None:
    await connect(owner, hubspot)
    await give(owner, TOKEN, "127.0.0.1")
    await site.work()
    assert (await synced(owner))["status"] == "succeeded"
    stranger = await site.with_scopes(workspace=await site.new_workspace())
    for path in ("", "/check", "/sync"):
        ask = stranger.http.post if path else stranger.http.get
        assert (await ask(f"{stranger.home}/sources/{SOURCE}{path}")).status_code == 404
    rows = await held(pool, stranger.workspace)
    assert all(found == {} for found in rows.values())
