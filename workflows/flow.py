import asyncio
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from core.digest import size_of
from core.effects import BATCH, HALT, MAX_VALUE_BYTES, BatchInput, BatchResult, Settled
from core.errors import ValueTooLarge
from core.execution import Halted, Room, StepFailed
from core.interpreter import Interpreter, execute
from core.run import Failure, FlowInput
from core.scope import Frame, Halt
from workflows.effects import TemporalEffects
from workflows.failures import as_application_error
from workflows.state import CURRENT, RunState

ROOM_IN_A_BATCH = 1_000_000  # its result is one payload
LARGEST_RESULT = 1_900_000  # a payload may have 2 MiB


# Unsandboxed: all of its code is ours, and lint keeps clocks and randomness out of it. The sandbox
# costs a fifth of a millisecond for each payload of each step.
@workflow.defn(dynamic=True, sandboxed=False)
class FlowRun:
    """Every skill that is a flow; the workflow's type is the skill's name."""

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> Any:
        run = CURRENT.get(None)
        if run is None or not args:
            raise not_by_hand()
        task = workflow.payload_converter().from_payload(args[0].payload, FlowInput)
        try:
            work = execute(task.flow, known(run, task), TemporalEffects(run))
            return await within(run, task, work)
        except StepFailed as failed:
            raise as_application_error(failed) from None


def not_by_hand() -> ApplicationError:
    message = f"{workflow.info().workflow_type} is started through Perdure, not by hand"
    return ApplicationError(message, type="not_a_run", non_retryable=True)


def known(run: RunState, task: FlowInput) -> dict[str, Any]:
    """What every expression of the flow may read."""
    origin = run.origin
    return {
        "inputs": task.inputs,
        "event": task.event,
        "workspace": origin.workspace.model_dump(),
        "run": {
            "id": run.run_id,
            "skill": origin.skill,
            "lineage": origin.lineage,
            "trigger": origin.trigger,
            "started_at": workflow.info().start_time.isoformat(),
        },
    }


async def within(run: RunState, task: FlowInput, work: Any) -> Any:
    """The flow's own timeout, or the shorter one of the step that started it."""
    limits = [limit for limit in (task.flow.timeout, task.timeout) if limit is not None]
    if not limits:
        return await work
    limit = asyncio.timeout(min(limits).total_seconds())
    run.limit(limit.expired)
    try:
        async with limit:
            return await work
    except (TimeoutError, StepFailed):
        if not limit.expired():
            raise
        message = f"the run took longer than its timeout of {min(limits)}"
        raise ApplicationError(message, type="run_timed_out", non_retryable=True) from None


@workflow.defn(name=BATCH, sandboxed=False)
class BatchRun:
    """A stretch of the items of a large `for_each`, with a history of its own."""

    @workflow.init
    def __init__(self, batch: BatchInput) -> None:  # noqa: ARG002 - as run() takes it
        self._halt = Halt()

    @workflow.run
    async def run(self, batch: BatchInput) -> BatchResult:
        run = CURRENT.get(None)
        if run is None:
            raise not_by_hand()
        await run.given.fetch((batch.path, batch.lo, batch.lo + len(batch.items) - 1))
        result = await self._items(batch, TemporalEffects(run))
        return result.model_copy(update={"settled": as_far_as_it_fits(run.take_settled(), result)})

    async def _items(self, batch: BatchInput, effects: TemporalEffects) -> BatchResult:
        frame = Frame.of(batch.scope, batch.prefix).halting(self._halt)
        try:
            done = await Interpreter(effects).items(
                batch.step, frame, batch.items, batch.lo, batch.lanes, Room(ROOM_IN_A_BATCH)
            )
        except Halted:
            return BatchResult(outputs=[None] * len(batch.items))
        if done.failed is None and not self._halt.raised:
            done.outputs = done.outputs[: done.begun]
        size = size_of([done.outputs, done.errors])
        if size > MAX_VALUE_BYTES:
            message = f"{size:,} bytes of outputs at once; lower the concurrency of `{batch.path}`"
            failure = Failure(code=ValueTooLarge.code, message=message, step=batch.path)
            return BatchResult(outputs=[None] * len(batch.items), failed=failure)
        return BatchResult(outputs=done.outputs, errors=done.errors, failed=done.failed)

    @workflow.signal(name=HALT)
    def halt(self, _why: Any = None) -> None:
        self._halt.raised = True


def as_far_as_it_fits(settled: Sequence[Settled], result: BatchResult) -> tuple[Settled, ...]:
    """What the log would lose beyond is better lost than the batch."""
    room = LARGEST_RESULT - size_of(result.model_dump(mode="json"))
    sizes = accumulate(size_of(each.model_dump(mode="json")) for each in settled)
    return tuple(each for each, size in zip(settled, sizes, strict=True) if size < room)
