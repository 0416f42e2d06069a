import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ChildWorkflowError

from core.digest import canonical, digest_of, digest_of_text, size_of, size_of_text
from core.duration import LONGEST, format_duration, parse_duration
from core.effects import (
    BATCH,
    HALT,
    TOOL,
    ApproveWrites,
    BatchInput,
    BatchResult,
    Settled,
    ToolRequest,
)
from core.errors import (
    ApprovalRejected,
    ApprovalTimedOut,
    InvalidArguments,
    StepTimedOut,
    TooManyItems,
    ValueTooLarge,
)
from core.execution import (
    Approval,
    Ask,
    Await,
    Batch,
    ChildRun,
    Compute,
    Halted,
    Items,
    Notify,
    Pause,
    StepFailed,
)
from core.flow import Step, every_step
from core.llm import ModelAnswer
from core.run import Failure, Waiting
from core.scope import needed
from core.shown import in_brief
from workflows import policies
from workflows.children import run_child, start_child
from workflows.events import await_event
from workflows.failures import refuse_if_large, step_failure
from workflows.kin import tell
from workflows.models import ask
from workflows.notices import notify
from workflows.state import RunState

ITEMS_IN_ONE_HISTORY = 200
EVENTS_IN_ONE_HISTORY = 10_000  # the server ends a run at 51,200
EVENTS_A_STEP = 6
BATCH_ITEMS = 500
BATCH_STEPS = 1_500
BATCH_BYTES = 1_000_000
LARGEST_BATCH = 1_900_000  # a payload may have 2 MiB
BATCHES_AT_ONCE = 4
LONGEST_QUESTION = 20_000
MOST_UNTOLD = 1_000
SHORTEST_TOLD_WAIT = timedelta(seconds=1)


class TemporalEffects:
    """The interpreter's effects as activities, timers and children of the current workflow."""

    def __init__(self, run: RunState) -> None:
        self._run = run

    async def gate(self) -> None:
        if self._run.is_over:
            raise asyncio.CancelledError
        await self._run.gate()

    async def breathe(self) -> None:
        await workflow.sleep(0.001)
        if self._run.untold > MOST_UNTOLD:
            await self._run.tell_settled()

    def settle(self, settled: Settled) -> None:
        self._run.settle(settled)

    async def back_off(self, path: str, length: timedelta, halted: Callable[[], bool]) -> None:
        with suppress(TimeoutError):
            await workflow.wait_condition(
                halted, timeout=length, timeout_summary=f"{path}: before the next attempt"
            )

    # A tool

    async def compute(self, call: Compute) -> Any:
        names = [use.model_dump(mode="json") for use in call.secrets]
        asked = canonical(["tool", call.tool, call.arguments, names])
        size = size_of_text(asked)
        refuse_if_large(call.path, "arguments", size)
        digest = digest_of_text(asked)
        known = self._run.given.step(call.path, digest)
        if known is not None:
            self.settle(Settled(path=call.path, kind="compute", status="succeeded", given=True))
            return known.output
        async with self._run.in_flight:
            await self._run.may_send(size)
            try:
                return await self._start(call, digest)
            except ActivityError as error:
                raise step_failure(error, call.path, self._run) from None

    def _start(self, call: Compute, digest: str) -> workflow.ActivityHandle[Any]:
        run = self._run
        request = ToolRequest(
            tool=call.tool,
            arguments=call.arguments,
            secrets=call.secrets,
            digest=digest,
            context=run.context(call.path),
            allowed_tools=run.origin.allowed_tools,
            offered=call.offered,
            approve_writes=self._approve_writes(call),
            timeout=call.timeout,
            attempts=call.retry.attempts if call.retry else None,
            settled=run.take_settled(),
            began=run.take_begun(),
        )
        return workflow.start_activity(
            TOOL + call.tool,
            request,
            activity_id=call.path,
            summary=in_brief(call.path, call.arguments),
            start_to_close_timeout=(call.timeout or policies.LONGEST_STEP) + policies.GRACE,
            heartbeat_timeout=policies.HEARTBEAT,
            retry_policy=policies.tries(call.retry),
        )

    def _approve_writes(self, call: Compute) -> ApproveWrites:
        """A workspace may want a person asked whatever a flow says; of models' calls alone."""
        if call.offered is not None and call.approve_writes == "never":
            return self._run.origin.approve_writes
        return call.approve_writes

    # A model

    async def ask(self, call: Ask) -> ModelAnswer:
        return await ask(self._run, call)

    # People who read

    async def notify(self, call: Notify) -> Any:
        return await notify(self._run, call)

    async def within(self, path: str, limit: timedelta, work: Awaitable[Any]) -> Any:
        try:
            async with asyncio.timeout(limit.total_seconds()):
                return await work
        except TimeoutError:
            message = f"`{path}` took longer than {limit.total_seconds():g} s"
            raise StepFailed(Failure(code=StepTimedOut.code, message=message, step=path)) from None

    # Another skill

    async def child(self, call: ChildRun, halted: Callable[[], bool]) -> Any:
        return await run_child(self._run, call, halted)

    # Time and people

    async def wait(self, call: Pause, halted: Callable[[], bool]) -> None:
        if self._given(call.path, "wait", call.path) is not None:
            return
        length = self._length(call)
        if length <= timedelta(0):
            self.settle(Settled(path=call.path, kind="wait", status="succeeded"))
            return
        timer = asyncio.create_task(workflow.sleep(length, summary=call.path))
        until = workflow.now() + length
        waiting = Waiting(kind="timer", step=call.path, until=until)
        with self._run.wait_for(waiting) if length >= SHORTEST_TOLD_WAIT else nullcontext():
            await workflow.wait_condition(lambda: timer.done() or halted())
        if not timer.done():
            timer.cancel()
            raise Halted

    def _length(self, call: Pause) -> timedelta:
        try:
            if call.length is not None:
                return parse_duration(str(call.length))
            until = datetime.fromisoformat(str(call.until))
        except ValueError as error:
            failure = Failure(code=InvalidArguments.code, message=f"wait: {error}", step=call.path)
            raise StepFailed(failure) from None
        if until.tzinfo is None:
            message = f"wait: {call.until} names no offset; write 2026-12-01T08:00:00Z"
            raise StepFailed(Failure(code=InvalidArguments.code, message=message, step=call.path))
        length = until - workflow.now()
        if length > LONGEST:
            message = f"wait: at most {LONGEST.days} days, {call.until} is later"
            raise StepFailed(Failure(code=InvalidArguments.code, message=message, step=call.path))
        return length

    async def event(self, call: Await, halted: Callable[[], bool]) -> Any:
        bounded = call.length is not None or call.until is not None
        length = self._length(Pause(call.path, call.length, call.until)) if bounded else None
        return await await_event(self._run, call, length, halted)

    async def approve(self, call: Approval, halted: Callable[[], bool]) -> Any:
        known = self._given(call.path, "approve", [call.path, call.message])
        if known is not None:
            return known
        size = len(call.message)
        if size > LONGEST_QUESTION:
            message = (
                f"the question has {size:,} characters; at most {LONGEST_QUESTION:,} are shown"
            )
            raise StepFailed(Failure(code=ValueTooLarge.code, message=message, step=call.path))
        run = self._run
        until = workflow.now() + call.timeout if call.timeout else None
        waiting = Waiting(kind="approval", step=call.path, until=until, message=call.message)
        try:
            with run.wait_for(waiting):
                await workflow.wait_condition(
                    lambda: call.path in run.decisions or halted(),
                    timeout=call.timeout,
                    timeout_summary=(
                        f"{call.path}: until somebody decides" if call.timeout else None
                    ),
                )
        except TimeoutError:
            within = format_duration(call.timeout) if call.timeout else "its time"
            message = f"nobody decided on `{call.path}` within {within}"
            failure = Failure(code=ApprovalTimedOut.code, message=message, step=call.path)
            raise StepFailed(failure) from None
        decision = run.decisions.get(call.path)
        if decision is None:
            raise Halted
        if not decision["approved"]:
            comment = f": {decision['comment']}" if decision["comment"] else ""
            message = f"`{call.path}` was rejected by {decision['by']['id']}{comment}"
            failure = Failure(code=ApprovalRejected.code, message=message, step=call.path)
            raise StepFailed(failure)
        return decision

    def _given(self, path: str, kind: str, asked: Any) -> Any:
        known = self._run.given.step(path, digest_of(kind, asked))
        if known is None:
            return None
        self.settle(Settled(path=path, kind=kind, status="succeeded", given=True))
        return known.output if known.output is not None else True

    # Many items

    def oversized(self, step: Step, count: int) -> bool:
        """By the items, and by the events that they would add to this history."""
        if any(each.kind == "approve" for each in every_step((step,))):
            # People answer the run itself, not one of its batches.
            if count > ITEMS_IN_ONE_HISTORY:
                message = f"{count} items with approvals; {ITEMS_IN_ONE_HISTORY} are the most"
                raise StepFailed(Failure(code=TooManyItems.code, message=message, step=step.id))
            return False
        events = workflow.info().get_current_history_length()
        events += count * len(every_step((step,))) * EVENTS_A_STEP
        return count > ITEMS_IN_ONE_HISTORY or (count > 1 and events > EVENTS_IN_ONE_HISTORY)

    async def batches(self, call: Batch) -> Items:
        scope = needed(call.step, call.frame.names)
        spans = self._spans(call, self._room(call, scope))
        done = Items([])
        results: dict[int, BatchResult] = {}
        at_once = min(call.step.concurrency, BATCHES_AT_ONCE, len(spans))
        waiting = iter(spans)

        def stops() -> bool:
            return done.failed is not None or call.frame.halt()

        async def lane(number: int) -> None:
            lanes = (call.step.concurrency + at_once - 1 - number) // at_once
            for lo, hi in waiting:
                begun = lo
                while begun < hi:
                    await self.gate()
                    if stops():
                        return
                    try:
                        result = await self._batch(call, scope, (begun, hi), lanes, stops)
                    except StepFailed as lost:
                        done.failed = done.failed or lost.failure
                        return
                    # What settled last is for the batch's own log.
                    results[begun] = result.model_copy(update={"settled": ()})
                    # A batch that filled its result leaves the rest of its items to another.
                    begun += len(result.outputs)
                    done.failed = done.failed or result.failed

        halting = asyncio.create_task(self._halt_batches(call.path, stops))
        try:
            await asyncio.gather(*(lane(number) for number in range(at_once)))
        finally:
            halting.cancel()
        done.outputs = [None] * len(call.items)
        for lo, result in sorted(results.items()):
            done.outputs[lo : lo + len(result.outputs)] = result.outputs
            done.errors.extend(result.errors)
        return done

    def _spans(self, call: Batch, room: int) -> list[tuple[int, int]]:
        """Bounded by the number of items, of steps and of bytes."""
        most = max(1, min(BATCH_ITEMS, BATCH_STEPS // len(every_step((call.step,)))))
        spans: list[tuple[int, int]] = []
        lo = size = 0
        for position, item in enumerate(call.items):
            weight = size_of(item)
            refuse_if_large(f"{call.path}[{position}]", "item", weight, room)
            if position > lo and (position - lo == most or size + weight > room):
                spans.append((lo, position))
                lo, size = position, 0
            size += weight
        return [*spans, (lo, len(call.items))]

    def _room(self, call: Batch, scope: dict[str, Any]) -> int:
        """What is left for the items of a batch beside all else that it is sent."""
        taken = size_of(scope)
        refuse_if_large(call.path, "values its items read", taken)
        return min(BATCH_BYTES, LARGEST_BATCH - taken - len(call.step.model_dump_json()))

    async def _batch(
        self,
        call: Batch,
        scope: dict[str, Any],
        span: tuple[int, int],
        lanes: int,
        stops: Callable[[], bool],
    ) -> BatchResult:
        lo, hi = span
        path = f"{call.path}[{lo}..{hi - 1}]"
        batch = BatchInput(
            step=call.step,
            path=call.path,
            lo=lo,
            items=call.items[lo:hi],
            scope=scope,
            prefix=call.frame.prefix,
            lanes=lanes,
            run=self._run.run_id,
        )
        try:
            child = await start_child(
                self._run,
                size_of([batch.items, scope]),
                BATCH,
                batch,
                result_type=BatchResult,
                id=f"{self._run.run_id}/{path}",
                memo={"perdure": self._run.origin},
                static_summary=path,
                task_timeout=policies.TASK_TIMEOUT,
                parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
            )
            if stops():
                await tell(child, HALT, None)
            return await child
        except ChildWorkflowError as error:
            raise step_failure(error, path, self._run) from None

    async def _halt_batches(self, path: str, stops: Callable[[], bool]) -> None:
        """Siblings start no further item; what they have in flight is kept."""
        await workflow.wait_condition(stops)
        mine = f"{self._run.run_id}/{path}["
        children = [child for key, child in self._run.children.items() if key.startswith(mine)]
        await asyncio.gather(*(tell(child, HALT, None) for child in children))
