"""What becomes of a run, whichever way it ends."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from tests.kernel import Kernel, eventually
from tests.workflow.flows import QUICK, flow, watched


async def test_run_succeeds_and_its_row_says_so(kernel: Kernel) -> None:
    async with kernel.worker():
        handle = await kernel.start(flow(watched("a", "${inputs.n}")), {"n": 7})
        assert await handle.result() == 7
        run = await kernel.row(handle)
    assert (run.status, run.output, run.error) == ("succeeded", 7, None)
    assert run.started_at is not None
    assert run.completed_at is not None


async def test_activities_say_what_they_do_in_the_views_of_temporal(kernel: Kernel) -> None:
    async with kernel.worker():
        handle = await kernel.start(flow(watched("a", "a report for ${inputs.n}")), {"n": 7})
        await handle.result()
    history = await handle.fetch_history()
    [event] = [
        one for one in history.events if one.activity_task_scheduled_event_attributes.activity_id
    ]
    summary = event.user_metadata.summary
    assert b"report" not in summary.data
    assert await kernel.client.data_converter.decode([summary]) == ["a: a report for 7"]


async def test_failed_step_fails_the_run_with_its_name(kernel: Kernel) -> None:
    async with kernel.worker():
        handle = await kernel.start(flow(watched("a"), watched("b", fail="for_good")))
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
        run = await kernel.row(handle)
    assert isinstance(caught.value.cause, ApplicationError)
    assert run.status == "failed"
    assert run.error is not None
    assert (run.error.code, run.error.step, run.error.attempts) == ("http_failed", "b", 1)
    assert run.error.message == "b fails for good"


async def test_retryable_failure_is_tried_again_until_it_goes_well(kernel: Kernel) -> None:
    async with kernel.worker():
        handle = await kernel.start(flow(watched("a", 1, fail="now", times=2, retry=QUICK)))
        assert await handle.result() == 1
    assert kernel.world.calls["a"] == 3
    assert len(set(kernel.world.keys)) == 1, "every attempt is the same effect"


async def test_attempts_end_where_the_flow_says(kernel: Kernel) -> None:
    async with kernel.worker():
        handle = await kernel.start(flow(watched("a", fail="now", retry=QUICK)))
        run = await kernel.ended(handle)
    assert kernel.world.calls["a"] == 3
    assert run.error is not None
    assert run.error.attempts == 3


async def test_writes_get_three_attempts_unless_told_otherwise(kernel: Kernel) -> None:
    retry = {"backoff": "10ms"}
    async with kernel.worker():
        step = watched("a", tool="writes", fail="now", retry=retry)
        await kernel.ended(await kernel.start(flow(step)))
    assert kernel.world.calls["a"] == 3


async def test_tool_outside_allowed_tools_is_not_called(kernel: Kernel) -> None:
    async with kernel.worker():
        handle = await kernel.start(flow(watched("a")), allowed_tools=("crm_*",))
        run = await kernel.ended(handle)
        writing = await kernel.start(flow(watched("b", tool="writes")), allowed_tools=None)
        refused = await kernel.ended(writing)
    assert run.error is not None
    assert run.error.code == "tool_not_allowed"
    assert refused.error is not None
    assert "list it under allowed-tools" in refused.error.message
    assert not kernel.world.calls


async def test_unknown_tool_fails_at_once_and_names_the_nearest(kernel: Kernel) -> None:
    async with kernel.worker():
        run = await kernel.ended(await kernel.start(flow(watched("a", tool="watchd"))))
    assert run.error is not None
    assert (run.error.code, run.error.attempts) == ("tool_unknown", 1)
    assert "watched" in run.error.message


async def test_dry_run_does_no_writes(kernel: Kernel) -> None:
    async with kernel.worker():
        handle = await kernel.start(flow(watched("a", 1, tool="writes")), mode="dry")
        assert (await handle.result())["dry_run"] is True
    assert not kernel.world.calls


async def test_step_timeout_is_named(kernel: Kernel) -> None:
    async with kernel.worker():
        step = watched("a", hold="never", timeout="200ms", retry={"attempts": 1})
        run = await kernel.ended(await kernel.start(flow(step)))
    assert run.error is not None
    assert run.error.code == "step_timed_out"


async def test_flow_timeout_ends_the_run_as_timed_out(kernel: Kernel) -> None:
    async with kernel.worker():
        handle = await kernel.start(flow(watched("a", hold="never"), timeout="300ms"))
        run = await kernel.ended(handle)
    assert run.status == "timed_out"
    assert run.error is not None
    assert run.error.code == "run_timed_out"


async def test_cancel_ends_a_run_in_the_middle_of_a_step(kernel: Kernel) -> None:
    async with kernel.worker():
        handle = await kernel.start(flow(watched("a", 1), watched("b", hold="never")))
        await kernel.world.arrives("never")
        async with asyncio.timeout(5):
            await handle.cancel()
            run = await kernel.ended(handle)
    assert run.status == "cancelled"
    assert kernel.world.calls == {"a": 1, "b": 1}


async def test_too_large_output_fails_the_step_by_name(kernel: Kernel) -> None:
    async with kernel.worker():
        handle = await kernel.start(
            flow(watched("a", "${inputs.x + inputs.x}")), {"x": "y" * 800_000}
        )
        run = await kernel.ended(handle)
    assert run.error is not None
    assert (run.error.code, run.error.step) == ("value_too_large", "a")


async def test_run_started_while_no_worker_lives_is_queued_and_runs_when_one_comes(
    kernel: Kernel,
) -> None:
    handle = await kernel.start(flow(watched("a", 1)))
    assert (await kernel.row(handle)).status == "queued"
    async with kernel.worker():
        assert (await kernel.ended(handle)).status == "succeeded"


async def test_wait_step_waits_and_says_so(kernel: Kernel) -> None:
    async with kernel.worker():
        step = {"kind": "wait", "id": "w", "length": "1500ms"}
        handle = await kernel.start(flow(step, watched("a", 1)))
        waiting = await kernel.status(handle, "waiting")
        assert [(each.kind, each.step) for each in waiting.waiting_for] == [("timer", "w")]
        assert await handle.result() == 1
        run = await kernel.row(handle)
    assert run.started_at is not None
    assert run.completed_at is not None
    assert run.completed_at - run.started_at >= timedelta(milliseconds=1500)


@pytest.mark.parametrize(
    ("until", "why"), [("tomorrow", "tomorrow"), ("2026-11-20T10:00:00", "offset")]
)
async def test_wait_until_nonsense_fails_the_step(kernel: Kernel, until: str, why: str) -> None:
    async with kernel.worker():
        step = {"kind": "wait", "id": "w", "until": until}
        run = await kernel.ended(await kernel.start(flow(step)))
    assert run.error is not None
    assert (run.error.code, run.error.step) == ("invalid_arguments", "w")
    assert why in run.error.message


async def test_terminated_run_keeps_its_open_row_until_the_reconciler_comes(
    kernel: Kernel,
) -> None:
    async with kernel.worker():
        handle = await kernel.start(flow(watched("a", hold="never")))
        await kernel.world.arrives("never")
        await handle.terminate("by hand")
        outcome = await eventually(
            lambda: kernel.histories.outcome(handle.id), lambda found: found is not None
        )
    assert outcome.status == "failed"
    assert outcome.error.code == "terminated"
