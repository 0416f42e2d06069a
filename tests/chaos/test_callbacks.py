"""Callbacks of runs whose worker is killed as they end: each comes, signed, under its run's id."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from standardwebhooks.webhooks import Webhook

from tests.chaos import flows
from tests.waiting import LOOK_EVERY, WITHIN

if TYPE_CHECKING:
    from tests.chaos.installed import Installed
    from tests.chaos.outside import Outside

RUNS = 8


async def delivered(installed: Installed, run_id: str) -> None:
    async with asyncio.timeout(WITHIN):
        while True:
            run = await installed.client.runs.get(run_id)
            if run.callback and run.callback.status == "delivered":
                return
            await asyncio.sleep(LOOK_EVERY)


async def test_worker_killed_between_end_and_callback_tells_every_end(
    installed: Installed, outside: Outside
) -> None:
    skill = await installed.push(flows.ECHO)
    run = installed.client.skills.run
    outside.hold()
    url = f"{outside.base}/hook"
    started = [(await run(skill, {"value": n}, callback_url=url)).run_id for n in range(RUNS // 2)]
    await outside.reached(1)
    death = await installed.kill("worker")
    started += [
        (await run(skill, {"value": n}, callback_url=url)).run_id for n in range(RUNS // 2, RUNS)
    ]
    outside.release()
    await death.over()
    for run_id in started:
        await delivered(installed, run_id)

    webhook = Webhook((await installed.client.webhooks.secret()).secret)
    told = [webhook.verify(each.body, each.headers) for each in outside.requests]
    assert {each["data"]["run_id"] for each in told} == set(started)
    assert {json.dumps(each["data"]["output"]) for each in told} == set(map(str, range(RUNS)))
    assert {each["type"] for each in told} == {"run.succeeded"}
    # What was in the hands of the dead worker, and nothing else, is told again.
    assert len(told) <= RUNS + RUNS // 2
