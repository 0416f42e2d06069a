import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ActivityError, ChildWorkflowError

from core.digest import canonical, digest_of_text, size_of_text
from core.effects import CHILD, ChildReady, ChildRequest, Settled
from core.errors import ChildFailed, StepTimedOut, TooDeep
from core.execution import ChildRun, Halted, StepFailed
from core.run import MOST_DEEP, Failure, FlowInput, RunOrigin
from workflows import policies
from workflows.failures import failure_of, refuse_if_large, step_failure
from workflows.state import RunState

LONGEST_NAME_IN_ID = 60


async def run_child(run: RunState, call: ChildRun, halted: Callable[[], bool]) -> Any:
    """Another skill as a run of its own: listed, paused and cancelled with its parent."""
    asked = canonical(["skill", {"skill": call.skill, "inputs": call.inputs}])
    size = size_of_text(asked)
    refuse_if_large(call.path, "inputs", size)
    digest = digest_of_text(asked)
    known = run.given.step(call.path, digest)
    if known is not None:
        run.settle(Settled(path=call.path, kind="skill", status="succeeded", given=True))
        return known.output
    if run.origin.depth >= MOST_DEEP:
        message = f"`{call.skill}` would be {MOST_DEEP + 1} runs deep; {MOST_DEEP} is the most"
        raise StepFailed(Failure(code=TooDeep.code, message=message, step=call.path))
    try:
        handle, run_id, limit = await start(run, call, size)
    except ActivityError as error:
        raise step_failure(error, call.path, run) from None
    if run.is_over:
        raise asyncio.CancelledError
    # Where this run is cancelled, the server passes that on when it closes.
    try:
        await workflow.wait_condition(lambda: handle.done() or halted(), timeout=limit)
    except TimeoutError:
        handle.cancel()
        message = f"run {run_id} of `{call.skill}` took longer than {limit}"
        failure = Failure(code=StepTimedOut.code, message=message, step=call.path)
        raise StepFailed(failure, told=True) from None
    if not handle.done():
        handle.cancel()
        await workflow.wait([handle])
        if handle.cancelled() or handle.exception() is not None:
            raise Halted
    try:
        return await handle
    except ChildWorkflowError as error:
        if isinstance(step_failure(error, call.path, run), asyncio.CancelledError):
            raise asyncio.CancelledError from None
        raise child_failed(error, call, run_id) from None


async def start(run: RunState, call: ChildRun, size: int) -> tuple[Any, str, timedelta | None]:
    """The child, its run id, and how long it may take where it cannot know that itself."""
    run_id = f"{call.skill[:LONGEST_NAME_IN_ID]}-{workflow.uuid4().hex[:20]}"
    request = ChildRequest(
        run=run_id,
        skill=call.skill,
        inputs=call.inputs,
        origin=run.origin,
        parent=run.run_id,
        path=call.path,
        given_by=run.given.child(call.path),
    )
    async with run.in_flight:
        await run.may_send(size)
        ready: ChildReady = await workflow.execute_activity(
            CHILD,
            request,
            result_type=ChildReady,
            activity_id=f"{call.path}.child",
            summary=f"{call.path}: prepare a run of {call.skill}",
            **policies.LOOK_UP,
        )
    argument: Any = ready.inputs
    if ready.flow is not None:
        argument = FlowInput(flow=ready.flow, inputs=ready.inputs, timeout=call.timeout)
        size += len(ready.flow.model_dump_json())
    handle = await start_child(
        run,
        size,
        call.skill,
        argument,
        id=run_id,
        memo={"perdure": ready.origin},
        search_attributes=attributes(ready.origin),
        static_summary=f"{call.skill} for {call.path} of {run.run_id}",
        task_timeout=policies.TASK_TIMEOUT,
        parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
    )
    return handle, run_id, call.timeout if ready.flow is None else None


async def start_child(
    run: RunState, size: int, workflow_type: str, argument: Any, **options: Any
) -> workflow.ChildWorkflowHandle[Any, Any]:
    """Once there is a place for it; the place is free again when it ends."""
    await run.open_children.acquire()
    try:
        await run.may_send(size)
        child = await workflow.start_child_workflow(workflow_type, argument, **options)
    except BaseException:
        run.open_children.release()
        raise
    child.add_done_callback(lambda _: run.open_children.release())
    return child


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
    failure = Failure(code=ChildFailed.code, message=message, step=call.path, data=data)
    return StepFailed(failure, told=True)
