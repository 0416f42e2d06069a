"""A run that only waits for those it started is waiting, and says for what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowHandle
from temporalio.worker import Replayer

from core.effects import DECIDE, WAKE, ModelRequest
from core.errors import BudgetExceeded
from services.temporal import converter
from tests.kernel import KEYS, Kernel, eventually, with_children
from tests.talk import Said, Talk, says
from tests.workflow.flows import flow, watched
from tests.workflow.test_children import Children, call
from worker import sandbox
from workflows import kin
from workflows.flow import BatchRun, FlowRun
from workflows.interceptor import RunInterceptor

MANY = {
    "kind": "generate",
    "id": "say",
    "prompt": "Hi",
    "for_each": "${range(201)}",
    "concurrency": 40,
}
ASKS = {"kind": "approve", "id": "sign", "message": "May this go out?"}
YES = {"verdict": "approved", "actor": {"kind": "user", "id": "tester"}}


class Purse:
    """There is no budget until there is."""

    def __init__(self) -> None:
        self.is_full = False

    def __call__(self, _: ModelRequest) -> Said:
        if self.is_full:
            return says("well")
        resets_at = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
        return BudgetExceeded("no tokens are left", resets_at=resets_at)


async def child_of(kernel: Kernel, children: Children) -> WorkflowHandle[Any, Any]:
    await eventually(lambda: _asked(children), bool)
    return kernel.client.get_workflow_handle(children.asked[0].run)


async def _asked(children: Children) -> int:
    return len(children.asked)


async def approve(child: WorkflowHandle[Any, Any]) -> None:
    await child.execute_update(DECIDE, YES)


async def test_a_run_whose_batches_wait_for_budget_waits(kernel: Kernel) -> None:
    purse = Purse()
    async with kernel.worker(), Talk(kernel, purse).worker():
        handle = await kernel.start(flow(MANY))
        run = await kernel.status(handle, "waiting")
        assert {each.kind for each in run.waiting_for} == {"budget"}
        assert all(each.step.startswith("say[") for each in run.waiting_for)
        assert all(each.run is None for each in run.waiting_for)
        purse.is_full = True
        await handle.signal(WAKE)
        run = await kernel.ended(handle)
    assert run.output == ["well"] * 201
    assert run.waiting_for == ()


async def test_a_run_whose_child_asks_a_person_waits_and_says_where(kernel: Kernel) -> None:
    children = Children(flow(ASKS))
    kernel = with_children(kernel, children)
    async with kernel.worker():
        handle = await kernel.start(flow(call(), watched("after", hold="gate")))
        run = await kernel.status(handle, "waiting")
        child = await child_of(kernel, children)
        (wait,) = run.waiting_for
        assert (wait.kind, wait.step, wait.run) == ("approval", "sign", child.id)
        await approve(child)
        await kernel.world.arrives("gate")
        assert (await kernel.status(handle, "running")).waiting_for == ()
        kernel.world.open.add("gate")
        assert (await kernel.ended(handle)).status == "succeeded"


async def test_a_run_that_still_works_beside_a_child_that_waits_is_running(
    kernel: Kernel,
) -> None:
    children = Children(flow(ASKS))
    kernel = with_children(kernel, children)
    branches = {"one": [call()], "other": [watched("works", hold="gate")]}
    async with kernel.worker():
        handle = await kernel.start(flow({"kind": "parallel", "id": "both", "branches": branches}))
        await kernel.world.arrives("gate")
        child = await child_of(kernel, children)
        told = await eventually(lambda: signals(handle), bool)
        assert told == 1
        assert (await kernel.row(handle)).status == "running"
        kernel.world.open.add("gate")
        await kernel.status(handle, "waiting")
        await approve(child)
        assert (await kernel.ended(handle)).status == "succeeded"


async def signals(handle: WorkflowHandle[Any, Any]) -> int:
    history = await handle.fetch_history()
    return sum(
        event.HasField("workflow_execution_signaled_event_attributes") for event in history.events
    )


async def test_a_child_that_changes_often_costs_its_parent_little(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kin, "MOST_TOLD", 1)
    children = Children(flow(ASKS, {**ASKS, "id": "again"}))
    kernel = with_children(kernel, children)
    async with kernel.worker():
        handle = await kernel.start(flow(call()))
        await kernel.status(handle, "waiting")
        child = await child_of(kernel, children)
        await approve(child)
        await kernel.status(handle, "running")
        await approve(child)
        await kernel.ended(handle)
    assert await signals(handle) == 2


async def test_the_next_question_of_a_child_takes_the_place_of_the_last(kernel: Kernel) -> None:
    children = Children(flow(ASKS, {**ASKS, "id": "again"}))
    kernel = with_children(kernel, children)
    async with kernel.worker():
        handle = await kernel.start(flow(call()))
        await kernel.status(handle, "waiting")
        child = await child_of(kernel, children)
        await approve(child)
        run = await eventually(
            lambda: kernel.row(handle), lambda run: [w.step for w in run.waiting_for] == ["again"]
        )
        assert run.status == "waiting"
        await approve(child)
        assert (await kernel.ended(handle)).status == "succeeded"


async def test_timers_of_children_are_not_told(kernel: Kernel) -> None:
    children = Children(flow({"kind": "wait", "id": "nap", "length": "1100ms"}))
    kernel = with_children(kernel, children)
    async with kernel.worker():
        handle = await kernel.start(flow(call()))
        assert (await kernel.ended(handle)).status == "succeeded"
    assert await signals(handle) == 0


async def test_batches_that_waited_before_they_told_anybody_replay(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    purse = Purse()
    with monkeypatch.context() as before:
        before.setattr(kin.workflow, "patched", lambda _: False)
        talk = Talk(kernel, purse)
        async with kernel.worker(), talk.worker():
            handle = await kernel.start(flow(MANY))
            await eventually(lambda: _calls(talk), lambda calls: calls >= 5)
            purse.is_full = True
            await handle.signal(WAKE)
            await kernel.ended(handle)
    batch = kernel.client.get_workflow_handle(f"{handle.id}/say[0..200]")
    history = await batch.fetch_history()
    assert not history_tells(history)
    replayer = Replayer(
        workflows=[FlowRun, BatchRun],
        interceptors=[RunInterceptor()],
        data_converter=converter(KEYS),
        workflow_runner=sandbox(),
    )
    await replayer.replay_workflow(history)


async def _calls(talk: Talk) -> int:
    return talk.calls.total()


def history_tells(history: Any) -> bool:
    field = "signal_external_workflow_execution_initiated_event_attributes"
    return any(event.HasField(field) for event in history.events)
