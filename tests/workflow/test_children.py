"""Runs that a run starts: what reaches them, and what does not."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import pytest
from temporalio.client import WorkflowHandle

from core.effects import HALT, PAUSE, RESUME, ChildReady, ChildRequest
from core.flow import Flow
from tests.kernel import Kernel, eventually, until, with_children
from tests.workflow.flows import flow, watched
from tests.workflow.patient import Patient
from workflows.state import CURRENT


@dataclass
class Children:
    """Prepares every skill as the same flow; `never` holds it up, `python` is a class instead."""

    body: dict[str, Any] = field(default_factory=lambda: flow(watched("inner", 1)))
    kind: str = "flow"
    never: bool = False
    asked: list[ChildRequest] = field(default_factory=list[ChildRequest])

    async def prepare(self, request: ChildRequest) -> ChildReady:
        self.asked.append(request)
        if self.never:
            await asyncio.Event().wait()
        changes = {"skill": request.skill, "parent": request.parent, "lineage": request.run}
        origin = request.origin.model_copy(update=changes)
        if self.kind == "python":
            return ChildReady(kind="python", origin=origin, inputs=request.inputs)
        body = Flow.model_validate(self.body)
        return ChildReady(kind="flow", origin=origin, flow=body, inputs=request.inputs)


def call(id: str = "call", **more: Any) -> dict[str, Any]:
    return {"kind": "skill", "id": id, "skill": more.pop("skill", "child"), **more}


async def test_cancel_while_a_child_is_prepared_cancels_the_run(kernel: Kernel) -> None:
    children = Children(never=True)
    kernel = with_children(kernel, children)
    async with kernel.worker():
        handle = await kernel.start(flow(call(on_error="continue"), watched("after", 1)))
        await until(lambda: bool(children.asked))
        await handle.cancel()
        run = await kernel.ended(handle)
    assert run.status == "cancelled"
    assert not kernel.world.calls


async def test_flow_timeout_while_a_child_is_prepared_ends_the_run(kernel: Kernel) -> None:
    kernel = with_children(kernel, Children(never=True))
    async with kernel.worker():
        steps = flow(call(on_error="continue"), watched("after", 1), timeout="500ms")
        run = await kernel.ended(await kernel.start(steps))
    assert run.status == "timed_out"
    assert not kernel.world.calls


async def test_pause_that_comes_while_a_child_starts_reaches_it(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    library: Any = import_module("temporalio.worker._workflow_instance")
    outbound = library._WorkflowOutboundImpl
    start = outbound.start_child_workflow

    async def paused_meanwhile(self: Any, input: Any) -> Any:
        child = await start(self, input)
        CURRENT.get().pause()
        return child

    monkeypatch.setattr(outbound, "start_child_workflow", paused_meanwhile)
    children = Children(flow({"kind": "wait", "id": "nap", "length": "300ms"}, watched("inner", 1)))
    kernel = with_children(kernel, children)
    async with kernel.worker():
        handle = await kernel.start(flow(call()))
        await kernel.status(handle, "paused")
        child = kernel.client.get_workflow_handle(children.asked[0].run)
        await eventually(
            lambda: child.query("perdure.status"), lambda state: state["status"] == "paused"
        )
        assert not kernel.world.calls
        await handle.signal(RESUME)
        assert (await kernel.ended(handle)).output == 1


async def test_quick_pause_and_resume_reach_a_child_in_their_order(kernel: Kernel) -> None:
    children = Children(flow(watched("inner", 1, hold="gate"), watched("last", 2)))
    kernel = with_children(kernel, children)
    async with kernel.worker():
        handle = await kernel.start(flow(call()))
        await kernel.world.arrives("gate")
        for signal in (PAUSE, RESUME) * 5:
            await handle.signal(signal)
        child = kernel.client.get_workflow_handle(children.asked[0].run)
        names = await eventually(lambda: signals(child), lambda names: len(names) == 10)
        kernel.world.open.add("gate")
        assert (await kernel.ended(handle)).output == 2
    assert names == [PAUSE, RESUME] * 5


async def signals(handle: WorkflowHandle[Any, Any]) -> list[str]:
    return [
        event.workflow_execution_signaled_event_attributes.signal_name
        for event in (await handle.fetch_history()).events
        if event.HasField("workflow_execution_signaled_event_attributes")
    ]


async def test_only_so_many_children_are_open_at_once(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workflows.state.CHILDREN_AT_ONCE", 3)
    kernel = with_children(kernel, Children(flow(watched("inner", 1, hold="gate"))))
    async with kernel.worker():
        handle = await kernel.start(flow(call(for_each="${range(8)}", concurrency=8)))
        await kernel.world.arrives("gate", 3)
        described = (await handle.describe()).raw_description
        assert len(described.pending_children) == 3
        kernel.world.open.add("gate")
        assert (await kernel.ended(handle)).output == [1] * 8


async def test_timeout_of_a_child_in_python_is_kept(kernel: Kernel) -> None:
    kernel = with_children(kernel, Children(kind="python"))
    async with kernel.worker(Patient):
        handle = await kernel.start(flow(call(skill="patient", timeout="400ms")))
        run = await kernel.ended(handle)
    assert run.error is not None
    assert (run.error.code, run.error.step) == ("step_timed_out", "call")


async def test_failed_branch_halts_the_batches_of_its_siblings(kernel: Kernel) -> None:
    many = watched("many", "${item}", for_each="${range(600)}", concurrency=4)
    many["arguments"]["hold"] = "gate"
    bad = watched("bad", fail="for_good", hold="bad")
    both = {"kind": "parallel", "id": "p", "branches": {"left": [many], "right": [bad]}}
    async with kernel.worker():
        handle = await kernel.start(flow(both))
        await kernel.world.arrives("gate", 4)
        await kernel.world.arrives("bad")
        kernel.world.open.add("bad")
        batch = kernel.client.get_workflow_handle(f"{handle.id}/many[0..499]")

        await eventually(lambda: signals(batch), lambda names: names == [HALT])
        kernel.world.open.add("gate")
        run = await kernel.ended(handle)
    assert run.error is not None
    assert run.error.step == "bad"
    assert len(kernel.world.calls) < 20
