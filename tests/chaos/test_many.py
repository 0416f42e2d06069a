"""Thousands of items: they end, survive a kill, and their log comes in pages."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from tests.chaos import flows

if TYPE_CHECKING:
    from tests.chaos.installed import Installed

# CHAOS_ITEMS=10000 is the promise; it takes a minute.
COUNT = int(os.environ.get("CHAOS_ITEMS", "2000"))
PAGE = 300


@pytest.mark.timeout(600)
async def test_many_items_survive_a_killed_worker_and_their_log_pages(
    installed: Installed,
) -> None:
    skill = await installed.push(flows.ECHOES)
    run_id = await installed.start(skill, count=COUNT)
    batch = f"items[0..{min(COUNT, 500) - 1}]"
    await installed.has_done_much(run_id, batch)
    await (await installed.kill("worker")).over()
    run = await installed.client.runs.wait(run_id)

    assert run.status == "succeeded"
    assert run.output == {"sum": COUNT * (COUNT - 1) // 2, "in_order": True}

    events = await installed.log(run_id)
    assert len({event.id for event in events}) == len(events)
    batches = [event.step for event in events if event.kind == "step.finished"]
    assert batches[-1] == "total"
    seen: set[str] = set()
    for path in batches:
        if path and ".." in path:
            seen |= await installed.finished(run_id, path) - {path}
    assert seen == {f"items[{n}]" for n in range(COUNT)}

    paged = pages(installed, run_id, batch)
    assert {len(page) for page in paged[:-1]} == {PAGE}
    whole = [event.id for event in await installed.log(run_id, batch)]
    assert [event["id"] for page in paged for event in page] == whole


def pages(installed: Installed, run_id: str, batch: str) -> list[list[dict[str, Any]]]:
    """As somebody reads them who asks for a little at a time."""
    key = installed.installation.credentials()["workspace_key"]
    found: list[list[dict[str, Any]]] = []
    cursor: str | None = None
    while cursor or not found:
        asked = {"step": batch, "limit": PAGE} | ({"cursor": cursor} if cursor else {})
        page = installed.installation.get(f"/api/runs/{run_id}/log?{urlencode(asked)}", key).json()
        found.append(page["items"])
        cursor = page["next_cursor"]
    return found
