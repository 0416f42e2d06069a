import asyncio
from collections.abc import Callable
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ActivityError, ChildWorkflowError

from core.digest import canonical, digest_of_text, size_of_text
from core.effects import CHILD, ChildReady, ChildRequest, Settled
from core.execution import ChildRun, Halted, StepFailed
from core.run import Failure, FlowInput, RunOrigin
from workflows import policies
from workflows.failures import failure_of, refuse_if_large
from workflows.state import RunState

MAX_DEPTH = 8
LONGEST_NAME_IN_ID = 60


async def run_child(run: RunState, call: ChildRun, halted: Callable[[], bool]) -> Any:
    """Another skill as a run of its own: listed, paused and cancelled with its parent."""
    asked = canonical(["skill", {"skill": call.skill, "inputs": call.inputs}])
    refuse_if_large(call.path, "inputs", size_of_text(asked))
    digest = digest_of_text(asked)
    known = run.given(call.path, digest)
    if known is not None:
        run.settle(Settled(path=call.path, kind="skill", status="succeeded", given=True))
        return known.output
    if run.origin.depth >= MAX_DEPTH:
        message = f"`{call.skill}` would be {MAX_DEPTH + 1} runs deep; {MAX_DEPTH} is the most"
        raise StepFailed(Failure(code="too_deep", message=message, step=call.path))
    try:
        handle, run_id = await start(run, call)
    except ActivityError as error:
        raise StepFailed(failure_of(error, call.path), told=True) from None
    try:
        await workflow.wait_condition(lambda: handle.done() or halted())
    except asyncio.CancelledError:
        handle.cancel()
        await workflow.wait([handle])
        raise
    if not handle.done():
        handle.cancel()
        await workflow.wait([handle])
        if handle.cancelled() or handle.exception() is not None:
            raise Halted
    try:
        return await handle
    except ChildWorkflowError as error:
        raise child_failed(error, call, run_id) from None


async def start(run: RunState, call: ChildRun) -> tuple[Any, str]:
    run_id = f"{call.skill[:LONGEST_NAME_IN_ID]}-{workflow.uuid4().hex[:20]}"
    request = ChildRequest(
        run=run_id,
        skill=call.skill,
        inputs=call.inputs,
        origin=run.origin,
        parent=run.run_id,
        path=call.path,
        given_by=run.given_child(call.path),
    )
    ready: ChildReady = await workflow.execute_activity(
        CHILD,
        request,
        result_type=ChildReady,
        activity_id=f"{call.path}.child",
        summary=f"{call.path}: prepare a run of {call.skill}",
        **policies.LOOK_UP,
    )
    argument = (
        ready.inputs
        if ready.flow is None
        else FlowInput(flow=ready.flow, inputs=ready.inputs, timeout=call.timeout)
    )
    handle = await workflow.start_child_workflow(
        call.skill,
        argument,
        id=run_id,
        memo={"perdure": ready.origin},
        search_attributes=attributes(ready.origin),
        static_summary=f"{call.skill} for {call.path} of {run.run_id}",
        task_timeout=policies.TASK_TIMEOUT,
        parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
    )
    return handle, run_id


def attributes(origin: RunOrigin) -> TypedSearchAttributes:
    values = {
        "PerdureWorkspace": origin.workspace.id,
        "PerdureSkill": origin.skill,
        "PerdureStatus": "running",
        "PerdureTrigger": origin.trigger,
    }
    return TypedSearchAttributes(
        [
            SearchAttributePair(SearchAttributeKey.for_keyword(name), value)
            for name, value in values.items()
        ]
    )


def child_failed(error: ChildWorkflowError, call: ChildRun, run_id: str) -> StepFailed:
    inner = failure_of(error)
    end = "was cancelled" if inner.code == "cancelled" else f"failed: {inner.message}"
    message = f"run {run_id} of `{call.skill}` {end}"
    data = {"run_id": run_id, "code": inner.code}
    failure = Failure(code="child_failed", message=message, step=call.path, data=data)
    return StepFailed(failure, told=True)
