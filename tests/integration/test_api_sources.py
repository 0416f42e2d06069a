from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.kernel import eventually

if TYPE_CHECKING:
    from store.pool import Pool
    from tests.gateway import Caller, Site

DEALS = """\
Deal ID,Deal Name,Stage,Amount,Close Date,Deal Owner,Last Modified
d1,Initech renewal,Proposal,"1,234.50",2026-12-01,Ada,2026-11-01T10:00:00Z
d2,Globex,Closed Won,800,2026-10-15,Bo,2026-11-02T10:00:00Z
d3,Hooli,Proposal,12.5.0,2026-12-24,Ada,2026-11-03T10:00:00Z
"""
FOLLOWS = """\
triggers:
  - event: sync_completed
    when: event.data.records > 0
steps:
  - id: seen
    compute: echo
    with: {value: "${event.data}"}
"""


async def added(owner: Caller, id: str = "files", config: Any = None) -> None:
    body = {"id": id, "config": config or {"type": "files"}}
    made = await owner.http.post(f"{owner.home}/sources", json=body)
    assert made.status_code == 201, made.text


async def uploaded(owner: Caller, text: str | bytes, kind: str = "deals", **query: str) -> Any:
    path = f"{owner.home}/sources/files/files/{kind}"
    data = text.encode() if isinstance(text, str) else text
    put = await owner.http.put(path, content=data, params=query)
    assert put.status_code == 200, put.text
    return put.json()


async def synced(owner: Caller, **asked: Any) -> dict[str, Any]:
    answer = await owner.http.post(f"{owner.home}/sources/files/sync", json=asked)
    assert answer.status_code == 202, answer.text
    run = await owner.ended(answer.json()["run_id"])
    assert run["status"] == "succeeded", run["error"]
    return run


async def test_from_a_file_to_the_skill_that_follows_its_sync(
    site: Site, owner: Caller, pool: Pool
) -> None:
    await owner.upload("follows", FOLLOWS)
    await added(owner)
    file = await uploaded(owner, DEALS)
    assert (file["format"], file["lines"]) == ("csv", 4)
    await site.work()

    run = await synced(owner)
    assert run["skill"] == "perdure.sync"
    assert run["label"] == "files"
    deals = run["output"]["by_type"]["deals"]
    assert deals == {"read": 2, "written": 2, "deleted": 0, "unchanged": 0, "faults": 1}
    assert run["output"]["records"] == 5  # two deals, their owners and their pipeline
    (fault,) = run["output"]["faults"]
    assert fault.startswith("deals line 4: column `Amount`: expected a number")

    rows = await pool.fetch("SELECT id, amount, outcome FROM crm_deals ORDER BY id")
    assert [(row["id"], str(row["amount"]), row["outcome"]) for row in rows] == [
        ("files:d1", "1234.50", "open"),
        ("files:d2", "800.00", "won"),
    ]

    async def followers() -> list[Any]:
        listed = await owner.http.get(f"{owner.home}/skills/follows/runs")
        return listed.json()["items"]

    (follower,) = await eventually(followers, bool)
    assert follower["trigger"] == "event"
    told = (await owner.ended(follower["run_id"]))["output"]
    assert told["run_id"] == run["run_id"]
    assert told["source"] == "files"
    assert told["by_type"]["deals"] == deals

    silent = await synced(owner)
    assert silent["output"]["records"] == 0
    assert len(await followers()) == 1
"""
"""
