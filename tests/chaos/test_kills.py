"""kill -9 of one process or another while a run goes on: it ends as if nothing had been."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.chaos import flows
from tests.chaos.installed import kinds
from tests.waiting import until

if TYPE_CHECKING:
    from tests.chaos.installed import Installed
    from tests.chaos.outside import Outside

ITEMS = 40
LANES = 4
GOES_ON_WITHIN = 5.0  # seconds, once there is a worker again


async def test_killed_worker_is_missed_by_nobody(installed: Installed, outside: Outside) -> None:
    skill = await installed.push(flows.EACH)
    outside.pause = 0.05
    run_id = await installed.start(skill, base=outside.base, count=ITEMS)
    await outside.reached(ITEMS // 2)
    finished = await installed.finished(run_id)
    death = await installed.kill("worker")
    back = await death.over()
    went_on = await until(lambda: outside.first_after(death.at + 0.5))
    run = await installed.client.runs.wait(run_id)

    assert run.status == "succeeded"
    assert run.output == [f"/items/{n}" for n in range(ITEMS)]
    assert went_on
    assert went_on - back < GOES_ON_WITHIN
    calls = outside.counts
    assert set(calls) == {"/before", "/after", *run.output}
    assert "before" in finished
    assert len(finished) > ITEMS // 4
    for path in finished:
        assert calls[f"/{path.replace('[', '/').rstrip(']')}"] == 1, path
    # What was in the hands of the dead worker, and nothing else, is done again.
    assert sum(calls.values()) <= ITEMS + 2 + LANES
    log = kinds(await installed.log(run_id))
    assert log["run.succeeded"] == 1
    assert log["step.finished"] == ITEMS + 3


async def test_killed_temporal_goes_on_between_two_steps(
    installed: Installed, outside: Outside
) -> None:
    skill = await installed.push(flows.TWO_STEPS)
    run_id = await installed.start(skill, base=outside.base)
    await installed.status(run_id, "waiting")
    assert outside.counts == {"/first": 1}
    death = await installed.kill("temporal")
    await death.over()
    run = await installed.client.runs.wait(run_id)

    assert (run.status, run.output) == ("succeeded", "/second")
    assert outside.counts == {"/first": 1, "/second": 1}
    assert kinds(await installed.log(run_id))["run.succeeded"] == 1


async def test_run_goes_on_at_the_next_start_of_a_killed_installation(
    installed: Installed, outside: Outside
) -> None:
    skill = await installed.push(flows.TWO_STEPS)
    run_id = await installed.start(skill, base=outside.base)
    await installed.status(run_id, "waiting")
    assert outside.counts == {"/first": 1}
    installed.installation.kill()
    await asyncio.to_thread(installed.installation.start)
    run = await installed.client.runs.wait(run_id)

    assert (run.status, run.output) == ("succeeded", "/second")
    assert outside.counts == {"/first": 1, "/second": 1}
