"""One key, one run: whatever is sent twice, and whatever dies meanwhile."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from perdure.errors import Refused, Unreachable
from tests.chaos import flows

if TYPE_CHECKING:
    from tests.chaos.installed import Installed

UNAVAILABLE = 503
AT_ONCE = 50
STARTS = 30
ANSWERED_WITHIN = 30.0  # seconds


async def test_same_key_50_times_at_once_and_after_the_end_is_one_run(
    installed: Installed,
) -> None:
    skill = await installed.push(flows.ECHO)
    start = installed.client.skills.run

    async def keyed(value: Any) -> str:
        return (await start(skill, {"value": value}, idempotency_key="monday")).run_id

    started = set(await asyncio.gather(*(keyed("a") for _ in range(AT_ONCE))))
    assert len(started) == 1
    [run_id] = started
    assert (await installed.client.runs.wait(run_id)).output == "a"
    after = await start(skill, {"value": "a"}, idempotency_key="monday")
    assert (after.run_id, after.status) == (run_id, "succeeded")
    assert await runs_of(installed, skill) == {run_id: "succeeded"}

    with pytest.raises(Refused) as refused:
        await keyed("b")
    assert (refused.value.status, refused.value.code) == (409, "idempotency_key_reused")
    assert await runs_of(installed, skill) == {run_id: "succeeded"}


async def test_killed_gateway_loses_no_start_and_doubles_none(installed: Installed) -> None:
    skill = await installed.push(flows.ECHO)
    answered: Counter[str] = Counter()

    async def until_answered(number: int) -> str:
        key = f"start-{number}"
        while True:
            try:
                run = await installed.client.skills.run(
                    skill, {"value": number}, idempotency_key=key
                )
            except (Unreachable, Refused) as away:
                if isinstance(away, Refused) and away.status != UNAVAILABLE:
                    raise
                await asyncio.sleep(0.05)
            else:
                answered[key] += 1
                return run.run_id

    async def kill_amid() -> None:
        while sum(answered.values()) < STARTS // 5:
            await asyncio.sleep(0)
        death = await installed.kill("gateway")
        assert sum(answered.values()) < STARTS
        await death.over()

    async with asyncio.timeout(ANSWERED_WITHIN):
        killing = asyncio.create_task(kill_amid())
        run_ids = await asyncio.gather(*(until_answered(number) for number in range(STARTS)))
        await killing

    assert len(set(run_ids)) == STARTS
    for number, run_id in enumerate(run_ids):
        run = await installed.client.runs.wait(run_id)
        assert (run.status, run.output) == ("succeeded", number)
    assert await runs_of(installed, skill) == dict.fromkeys(run_ids, "succeeded")


async def runs_of(installed: Installed, skill: str) -> dict[str, str]:
    page = await installed.client.runs.list_page(skill=skill, limit=200)
    assert page.next_cursor is None
    return {run.run_id: run.status for run in page.items}
