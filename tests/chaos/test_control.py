"""Pause and cancel hold whatever happens to the processes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.chaos import flows
from tests.chaos.installed import kinds
from tests.waiting import until

if TYPE_CHECKING:
    from tests.chaos.installed import Installed
    from tests.chaos.outside import Outside

CANCELLED_WITHIN = 5.0  # seconds


async def test_paused_run_starts_no_step_across_a_new_worker(
    installed: Installed, outside: Outside
) -> None:
    skill = await installed.push(flows.PAIRS)
    runs = installed.client.runs
    outside.hold("/left/")
    run_id = await installed.start(skill, base=outside.base, count=6)
    await outside.reached(3)
    assert (await runs.pause(run_id)).status == "paused"
    outside.release()
    await until(lambda: outside.answered["/left/0"] + outside.answered["/left/1"] == 2)
    await (await installed.kill("worker")).over()
    # The second pause, which changes nothing, is answered by the new worker from its replay.
    assert (await runs.pause(run_id)).status == "paused"
    assert (await installed.run("hello")).status == "succeeded"
    assert (await runs.get(run_id)).status == "paused"
    assert outside.counts == {"/before": 1, "/left/0": 1, "/left/1": 1}

    await runs.resume(run_id)
    run = await runs.wait(run_id)
    assert (run.status, run.output) == ("succeeded", 6)
    assert set(outside.counts.values()) == {1}
    log = kinds(await installed.log(run_id))
    assert (log["run.paused"], log["run.resumed"]) == (1, 1)


async def test_cancel_reaches_a_call_that_takes_20_seconds(
    installed: Installed, outside: Outside
) -> None:
    skill = await installed.push(flows.SLOW)
    outside.silent.add("/slow")
    run_id = await installed.start(skill, base=outside.base)
    await outside.reached(2)
    await until(lambda: outside.answered["/quick"])
    outside.hung_up.clear()
    cancelled = time.monotonic()
    await installed.client.runs.cancel(run_id)
    run = await installed.client.runs.wait(run_id)
    took = time.monotonic() - cancelled

    assert run.status == "cancelled"
    assert took < CANCELLED_WITHIN
    assert {step.path: step.status for step in run.steps} == {
        "quick": "succeeded",
        "slow": "cancelled",
    }
    await until(outside.hung_up.is_set)
    assert outside.counts == {"/quick": 1, "/slow": 1}
    assert kinds(await installed.log(run_id))["run.cancelled"] == 1
    listed = await installed.client.runs.list_page(skill=skill)
    assert [(line.run_id, line.status) for line in listed.items] == [(run_id, "cancelled")]
