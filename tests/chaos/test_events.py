"""Events while gateway and worker are killed: each starts its runs once, and wakes who waits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from perdure.errors import Refused, Unreachable

if TYPE_CHECKING:
    from perdure.events import Sent
    from tests.chaos.installed import Installed

UNAVAILABLE = 503
EVENTS = 12
WITHIN = 60.0  # seconds
STARTED = """\
triggers:
  - event: chaos_told
    with: {number: "${event.data.number}"}
inputs:
  number: {type: integer}
steps:
  - {id: said, compute: echo, with: {value: "${inputs.number}"}}
"""
WAITING = """\
inputs:
  number: {type: integer}
steps:
  - id: told
    wait: {event: chaos_told, when: event.data.number == inputs.number}
output: ${steps.told.data.number}
"""


async def test_killed_processes_lose_no_event_and_double_none(installed: Installed) -> None:
    async with installed.new_workspace() as tenant:
        started, waiting = await tenant.push(STARTED), await tenant.push(WAITING)
        waiters = [await tenant.start(waiting, number=number) for number in range(EVENTS)]
        for run_id in waiters:
            await tenant.status(run_id, "waiting")
        answered: dict[int, Sent] = {}

        async def tell(number: int) -> None:
            answered[number] = await until_answered(tenant, number)

        async def kill_amid() -> None:
            while len(answered) < EVENTS // 4:
                await asyncio.sleep(0)
            deaths = await asyncio.gather(tenant.kill("worker"), tenant.kill("gateway"))
            assert len(answered) < EVENTS
            for death in deaths:
                await death.over()

        async with asyncio.timeout(WITHIN):
            killing = asyncio.create_task(kill_amid())
            await asyncio.gather(*(tell(number) for number in range(EVENTS)))
            await killing
            for number, run_id in enumerate(waiters):
                assert (await tenant.client.runs.wait(run_id)).output == number
            for number, sent in answered.items():
                [triggered] = sent.skills_triggered
                assert (await tenant.client.runs.wait(triggered.run_id)).output == number

        page = await tenant.client.runs.list_page(skill=started, limit=200)
        assert len(page.items) == EVENTS


async def until_answered(tenant: Installed, number: int) -> Sent:
    while True:
        try:
            return await tenant.client.events.send(
                "chaos_told", {"number": number}, id=f"told-{number}"
            )
        except (Unreachable, Refused) as away:
            if isinstance(away, Refused) and away.status != UNAVAILABLE:
                raise
            await asyncio.sleep(0.05)
