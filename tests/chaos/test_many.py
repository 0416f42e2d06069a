"""Thousands of items: they end, survive a kill, and their log comes in pages."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.chaos import flows

if TYPE_CHECKING:
    from tests.chaos.installed import Installed

# CHAOS_ITEMS=10000 is the promise; it takes most of a minute.
COUNT = int(os.environ.get("CHAOS_ITEMS", "2000"))


async def test_many_items_survive_a_killed_worker_and_their_log_pages(
    installed: Installed,
) -> None:
    skill = await installed.push(flows.ECHOES)
    run_id = await installed.start(skill, count=COUNT)
    batch = f"items[0..{min(COUNT, 500) - 1}]"
    await installed.has_finished(run_id, batch)
    await (await installed.kill("worker")).over()
    run = await installed.client.runs.wait(run_id)

    assert run.status == "succeeded"
    assert run.output == {"sum": COUNT * (COUNT - 1) // 2, "in_order": True}

    events = await installed.log(run_id)
    assert len({event.id for event in events}) == len(events)
    batches = [event.step for event in events if event.kind == "step.finished"]
    assert batches[-1] == "total"
    seen = set[str]()
    for path in batches:
        if path and path.startswith("items[") and ".." in path:
            seen |= await installed.finished(run_id, path)
    assert seen >= {f"items[{n}]" for n in range(COUNT)}
