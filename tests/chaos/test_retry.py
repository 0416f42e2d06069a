"""A retry does what is missing, and asks the world for nothing it has already."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from perdure.errors import Refused
from tests.chaos import flows

if TYPE_CHECKING:
    from perdure.run import Run
    from tests.chaos.installed import Installed
    from tests.chaos.outside import Outside

ALL, BROKEN = 100, 57


async def retried(installed: Installed, outside: Outside, run: Run) -> Run:
    """The world is mended first, and forgets what it was asked."""
    outside.broken.clear()
    outside.calls.clear()
    started = await installed.client.runs.retry(run.run_id)
    again = await installed.client.runs.wait(started.run_id)
    assert (again.retry_of, again.lineage) == (run.run_id, run.lineage)
    return again


async def test_run_that_failed_at_item_57_of_100_asks_43_times_more(
    installed: Installed, outside: Outside
) -> None:
    skill = await installed.push(flows.ONE_BY_ONE)
    outside.broken[f"/items/{BROKEN}"] = b"not today"
    failed = await installed.run(skill, base=outside.base, count=ALL)
    assert failed.status == "failed"
    assert failed.error
    assert (failed.error.code, failed.error.step) == ("http_failed", f"items[{BROKEN}]")
    assert len(outside.calls) == BROKEN + 1

    run = await retried(installed, outside, failed)
    assert run.status == "succeeded"
    assert run.output == [f"/items/{n}" for n in range(ALL)]
    assert outside.counts == {f"/items/{n}": 1 for n in range(BROKEN, ALL)}
    assert len(outside.calls) == 43
    given = {step.path for step in run.steps if step.given}
    assert given == {f"items[{n}]" for n in range(BROKEN)}


async def test_items_of_batches_are_kept(installed: Installed, outside: Outside) -> None:
    skill = await installed.push(flows.IN_BATCHES)
    outside.broken["/items/240"] = b"not today"
    failed = await installed.run(skill, base=outside.base, count=300)
    assert failed.status == "failed"
    assert failed.error
    assert failed.error.step == "items[240].asked"
    kept = set(outside.answered)
    assert len(kept) > 100

    run = await retried(installed, outside, failed)
    paths = [f"/items/{n}" for n in range(300)]
    assert (run.status, run.output) == ("succeeded", paths)
    assert outside.counts == dict.fromkeys(set(paths) - kept, 1)


async def test_child_runs_are_kept_whole_or_go_on_where_they_stood(
    installed: Installed, outside: Outside
) -> None:
    children = {name: await installed.push(flows.ONE_BY_ONE) for name in ("whole", "broken")}
    skill = await installed.push(flows.PARENT % children)
    outside.broken["/broken/items/6"] = b"not today"
    failed = await installed.run(skill, base=outside.base)
    assert failed.status == "failed"
    assert failed.error
    assert (failed.error.code, failed.error.step) == ("child_failed", "broken")

    run = await retried(installed, outside, failed)
    assert run.status == "succeeded"
    assert [len(part) for part in run.output] == [3, 10]
    assert outside.counts == {f"/broken/items/{n}": 1 for n in range(6, 10)}


async def test_retry_of_an_open_run_is_refused(installed: Installed, outside: Outside) -> None:
    skill = await installed.push(flows.SLOW)
    outside.silent.add("/slow")
    run_id = await installed.start(skill, base=outside.base)
    await outside.reached(2)
    with pytest.raises(Refused) as refused:
        await installed.client.runs.retry(run_id)
    await installed.client.runs.cancel(run_id)
    assert (refused.value.status, refused.value.code) == (409, "run_not_ended")
