"""Pause, resume, approvals: what people do to a run while it runs."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from core.effects import DECIDE, PAUSE, RESUME
from tests.kernel import Kernel, eventually
from tests.workflow.flows import flow, watched

BY = {"actor": {"kind": "user", "id": "tester"}}


def verdict(word: str, step: str | None = None, comment: str | None = None) -> dict[str, Any]:
    return {"verdict": word, "step": step, "comment": comment, **BY}


def approval(id: str = "ok", **more: Any) -> dict[str, Any]:
    return {"kind": "approve", "id": id, "message": "Go on with ${inputs.n}?", **more}


async def test_paused_run_starts_no_step_until_resumed_across_a_worker_restart(
    kernel: Kernel,
) -> None:
    async with kernel.worker():
        handle = await kernel.start(flow(watched("a", hold="gate"), watched("b", 2)))
        await kernel.world.arrives("gate")
        await handle.signal(PAUSE, BY)
        await kernel.status(handle, "paused")
        kernel.world.open.add("gate")
    async with kernel.worker():
        state = await handle.query("perdure.status")
        assert state["status"] == "paused"
        assert kernel.world.calls["b"] == 0
        await handle.signal(RESUME, BY)
        assert await handle.result() == 2
    assert kernel.world.calls == {"a": 1, "b": 1}


async def test_pause_sent_with_the_start_counts_from_the_first_step(kernel: Kernel) -> None:
    handle = await kernel.start(flow(watched("a", 1)))
    await handle.signal(PAUSE, BY)
    async with kernel.worker():
        await kernel.status(handle, "paused")
        assert not kernel.world.calls
        await handle.signal(RESUME, BY)
        assert await handle.result() == 1


async def test_pause_during_the_last_step_is_harmless(kernel: Kernel) -> None:
    async with kernel.worker():
        handle = await kernel.start(flow(watched("a", 1, hold="gate")))
        await kernel.world.arrives("gate")
        await handle.signal(PAUSE, BY)
        await kernel.status(handle, "paused")
        kernel.world.open.add("gate")
        assert (await kernel.ended(handle)).status == "succeeded"


async def test_pause_while_waiting_and_resume_goes_back_to_waiting(kernel: Kernel) -> None:
    async with kernel.worker():
        handle = await kernel.start(flow(approval()), {"n": 1})
        await kernel.status(handle, "waiting")
        await handle.signal(PAUSE, BY)
        await kernel.status(handle, "paused")
        await handle.signal(RESUME, BY)
        run = await kernel.status(handle, "waiting")
    assert run.waiting_for[0].message == "Go on with 1?"


async def test_cancel_of_a_paused_run_is_recorded(kernel: Kernel) -> None:
    async with kernel.worker():
        handle = await kernel.start(flow(watched("a", hold="gate"), watched("b")))
        await kernel.world.arrives("gate")
        await handle.signal(PAUSE, BY)
        await kernel.status(handle, "paused")
        await handle.cancel()
        assert (await kernel.ended(handle)).status == "cancelled"
    assert kernel.world.calls["b"] == 0


async def test_approved_run_goes_on_and_knows_who_approved(kernel: Kernel) -> None:
    async with kernel.worker():
        handle = await kernel.start(flow(approval(), watched("a", "${steps.ok.by.id}")))
        await kernel.status(handle, "waiting")
        await handle.execute_update(DECIDE, verdict("approved", comment="fine"))
        assert await handle.result() == "tester"


async def test_rejected_run_fails_by_name(kernel: Kernel) -> None:
    async with kernel.worker():
        handle = await kernel.start(flow(approval()))
        await kernel.status(handle, "waiting")
        await handle.execute_update(DECIDE, verdict("rejected", comment="too much"))
        run = await kernel.ended(handle)
    assert run.error is not None
    assert run.error.code == "approval_rejected"
    assert run.error.message == "`ok` was rejected by tester: too much"


async def test_approval_nobody_gives_times_out_by_name(kernel: Kernel) -> None:
    async with kernel.worker():
        handle = await kernel.start(flow(approval(timeout="300ms")))
        run = await kernel.ended(handle)
    assert run.error is not None
    assert run.error.code == "approval_timed_out"
    assert run.error.message == "nobody decided on `ok` within 0.3s"


async def test_decision_on_what_is_not_pending_is_refused(kernel: Kernel) -> None:
    async with kernel.worker():
        both = {
            "kind": "parallel",
            "id": "p",
            "branches": {
                "left": [approval("one")],
                "right": [approval("two")],
            },
        }
        handle = await kernel.start(flow(both))
        run = await kernel.status(handle, "waiting")
        assert {each.step for each in run.waiting_for} == {"one", "two"}
        for wrong in (verdict("approved"), verdict("approved", "three")):
            with pytest.raises(WorkflowUpdateFailedError) as caught:
                await handle.execute_update(DECIDE, wrong)
            assert isinstance(caught.value.cause, ApplicationError)
            assert caught.value.cause.type == "not_pending"
            assert "one, two" in caught.value.cause.message
        await handle.execute_update(DECIDE, verdict("approved", "one"))
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update(DECIDE, verdict("approved", "one"))
        await handle.execute_update(DECIDE, verdict("approved", "two"))
        assert (await kernel.ended(handle)).status == "succeeded"


async def test_person_is_asked_while_another_branch_runs_and_while_the_run_is_paused(
    kernel: Kernel,
) -> None:
    branches = {"left": [approval()], "right": [watched("a", hold="gate")]}
    async with kernel.worker():
        handle = await kernel.start(flow({"kind": "parallel", "id": "p", "branches": branches}))
        await kernel.world.arrives("gate")
        asked = await eventually(lambda: kernel.row(handle), lambda run: bool(run.waiting_for))
        await handle.signal(PAUSE, BY)
        paused = await kernel.status(handle, "paused")
        await handle.execute_update(DECIDE, verdict("approved"))
        await handle.signal(RESUME, BY)
        kernel.world.open.add("gate")
        ended = await kernel.ended(handle)
    assert (asked.status, [each.step for each in asked.waiting_for]) == ("running", ["ok"])
    assert [each.step for each in paused.waiting_for] == ["ok"]
    assert (ended.status, ended.waiting_for) == ("succeeded", ())


async def test_failed_branch_frees_a_sibling_that_waits(kernel: Kernel) -> None:
    async with kernel.worker():
        both = {
            "kind": "parallel",
            "id": "p",
            "branches": {
                "left": [approval("one")],
                "right": [watched("bad", fail="for_good")],
            },
        }
        run = await kernel.ended(await kernel.start(flow(both)))
    assert run.error is not None
    assert run.error.step == "bad"
