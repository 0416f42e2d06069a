"""Gives every workflow class pause, status and run records, also those that know nothing of it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, NoReturn

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception
from temporalio.worker import (
    ContinueAsNewInput,
    ExecuteWorkflowInput,
    HandleSignalInput,
    Interceptor,
    StartActivityInput,
    StartChildWorkflowInput,
    StartLocalActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from core.effects import BATCH, EVENT, GIVEN, MAX_VALUE_BYTES, PAUSE, RECORD, RESUME
from core.errors import ValueTooLarge
from core.run import Failure, RunOrigin
from workflows.failures import failure_of
from workflows.state import CURRENT, RunState

PAUSED = "perdure-paused"  # a header that carries the pause into the next part
OURS = (RECORD, GIVEN, EVENT)  # bookkeeping: neither paused nor counted as work


class RunInterceptor(Interceptor):
    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: ARG002 - the library's signature
    ) -> type[WorkflowInboundInterceptor]:
        return RunInbound


class RunInbound(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        self.run: RunState | None = None
        self.next.init(RunOutbound(outbound, self))

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        origin = workflow.memo_value("perdure", None, type_hint=RunOrigin)
        if origin is None:
            return await self.next.execute_workflow(input)
        info = workflow.info()
        run_id = info.workflow_id.split("/", 1)[0]
        run = self._run(origin, run_id)
        CURRENT.set(run)
        run.listen()
        run.paused = run.paused or PAUSED in input.headers
        await asyncio.sleep(0)  # a pause sent with the start counts from the first step
        if info.workflow_type == BATCH:
            return await self.next.execute_workflow(input)
        if info.continued_run_id is None:
            run.begin_telling()
        else:
            run.go_on_telling()
        return await self._recorded(run, input)

    def _run(self, origin: RunOrigin, run_id: str) -> RunState:
        """A signal that came with the start made the state before its origin was read."""
        if self.run is None:
            self.run = RunState(origin, run_id)
        return self.run

    async def _recorded(self, run: RunState, input: ExecuteWorkflowInput) -> Any:
        try:
            await run.given.fetch()
            result = await self.next.execute_workflow(input)
            refuse_if_large(result)
        except workflow.ContinueAsNewError:
            await run.stop_telling()
            raise
        except asyncio.CancelledError:
            if workflow.cancellation_reason() is None:
                raise  # not cancelled: the worker forgets the run, and nothing may be started
            await to_its_end(run.end_telling("cancelled"))
            raise
        except FailureError as error:
            await self._failed(run, error)
        await to_its_end(run.end_telling("succeeded", output=result))
        return result

    async def _failed(self, run: RunState, error: FailureError) -> NoReturn:
        if is_cancelled_exception(error) and workflow.cancellation_reason() is not None:
            await to_its_end(run.end_telling("cancelled"))
            raise error
        failure = failure_of(error)
        status = "timed_out" if failure.code == "run_timed_out" else "failed"
        await to_its_end(run.end_telling(status, error=failure))
        raise error

    async def handle_signal(self, input: HandleSignalInput) -> None:
        # A class with a dynamic signal handler would swallow these otherwise.
        if input.signal in (PAUSE, RESUME):
            origin = workflow.memo_value("perdure", None, type_hint=RunOrigin)
            if origin is not None:
                run = self._run(origin, workflow.info().workflow_id.split("/", 1)[0])
                by = input.args[0] if len(input.args) == 1 else None
                (run.pause if input.signal == PAUSE else run.resume)(by)
                return
        await self.next.handle_signal(input)


class RunOutbound(WorkflowOutboundInterceptor):
    """There is no hook for timers: a wait runs on while paused, what follows it does not."""

    def __init__(self, next: WorkflowOutboundInterceptor, inbound: RunInbound) -> None:
        super().__init__(next)
        self._inbound = inbound

    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:
        run = self._inbound.run
        if run is None or input.activity in OURS:
            return self.next.start_activity(input)
        if run.paused:
            return asyncio.create_task(self._start_later(run, input))  # pyright: ignore[reportReturnType]
        return self._counted(run, self.next.start_activity(input))

    def start_local_activity(self, input: StartLocalActivityInput) -> workflow.ActivityHandle[Any]:
        run = self._inbound.run
        if run is None or input.activity in OURS or not run.paused:
            return self.next.start_local_activity(input)

        async def later() -> Any:
            await run.gate()
            return await self.next.start_local_activity(input)

        return asyncio.create_task(later())  # pyright: ignore[reportReturnType]

    async def start_child_workflow(
        self, input: StartChildWorkflowInput
    ) -> workflow.ChildWorkflowHandle[Any, Any]:
        run = self._inbound.run
        if run is None:
            return await self.next.start_child_workflow(input)
        await run.gate()
        handle = await self.next.start_child_workflow(input)
        run.children[input.id] = handle
        self._counted(run, handle)
        handle.add_done_callback(lambda _: run.forget_child(input.id))
        if run.paused:  # since it was asked for
            run.pass_on_to(input.id, PAUSE)
        return handle

    def continue_as_new(self, input: ContinueAsNewInput) -> NoReturn:
        run = self._inbound.run
        if run is not None and run.paused:
            input.headers = {**input.headers, PAUSED: Payload(data=b"1")}
        self.next.continue_as_new(input)

    async def _start_later(self, run: RunState, input: StartActivityInput) -> Any:
        await run.gate()
        return await self._counted(run, self.next.start_activity(input))

    def _counted(self, run: RunState, handle: Any) -> Any:
        run.begin()
        handle.add_done_callback(run.end)
        return handle


async def to_its_end(telling: Coroutine[Any, Any, None]) -> None:
    """A cancellation that comes now is too late: else the row and Temporal would disagree."""
    told = asyncio.create_task(telling)
    try:
        await asyncio.shield(told)
    except asyncio.CancelledError:
        if workflow.cancellation_reason() is None:
            raise
        await told


def refuse_if_large(result: Any) -> None:
    """A result over the server's limit would stall the run for ever instead of failing it."""
    size = len(workflow.payload_converter().to_payload(result).data)
    if size > MAX_VALUE_BYTES:
        failure = Failure(
            code=ValueTooLarge.code,
            message=f"the output is {size:,} bytes; at most {MAX_VALUE_BYTES:,} are kept",
            step="output",
        )
        raise ApplicationError(
            failure.message, failure.model_dump(mode="json"), type=failure.code, non_retryable=True
        )
