"""Runs a flow over effects it is given; knows no Temporal, reads no clock."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar, assert_never

from core.depth import MAX_DEPTH, too_deep
from core.digest import canonical, size_of
from core.effects import Settled
from core.errors import ExpressionFailed, TooManyItems, ValueTooLarge
from core.execution import (
    Approval,
    Await,
    Batch,
    ChildRun,
    Compute,
    EachFailed,
    Effects,
    Halted,
    Items,
    Notify,
    Pause,
    Room,
    StepFailed,
)
from core.expression import ExpressionFault, Meter
from core.flow import (
    ApproveStep,
    ClassifyStep,
    ComputeStep,
    ExtractStep,
    Flow,
    GenerateStep,
    GroupStep,
    NotifyStep,
    ParallelStep,
    PromptStep,
    ReasonStep,
    Recovery,
    SetStep,
    SkillStep,
    Step,
    WaitStep,
)
from core.reasoning import answered
from core.run import Failure
from core.scope import (
    FAILED,
    SKIPPED,
    SUCCEEDED,
    Frame,
    Halt,
    about_items,
    awaited_with,
    condition,
    error_value,
)
from core.template import SecretUse, Template, compile_template

T = TypeVar("T")
MAX_ITEMS = 20_000
MOST_KEPT = 16_000_000  # bytes
FUEL_BETWEEN_BREATHS = 1_000_000
FUEL_OF_A_STEP = 200  # what a step costs besides its expressions
FIRST_BACKOFF = timedelta(seconds=1)
MAX_BACKOFF = timedelta(seconds=60)
TOLD = (SetStep, GroupStep, ParallelStep, PromptStep)  # no activity shows how they ended
OUTPUT_OF_THE_FLOW = "output."  # unlike the id of any step


class Skipped(Exception):
    """Its `when` says no."""


async def execute(flow: Flow, known: dict[str, Any], effects: Effects) -> Any:
    """The flow's output. `known` holds inputs, event, workspace and run."""
    return await Interpreter(effects).run(flow, Frame.of(known))


class Interpreter:
    def __init__(self, effects: Effects) -> None:
        self._effects = effects
        self._spent = 0
        self._kept = 0
        self._templates: dict[str, Template] = {}

    async def run(self, flow: Flow, frame: Frame) -> Any:
        last = await self._sequence(flow.steps, frame)
        if not flow.has_output:
            return last
        return self._render(OUTPUT_OF_THE_FLOW, flow.output, frame, "output")[0]

    async def _sequence(self, steps: tuple[Step, ...], frame: Frame) -> Any:
        output = None
        for step in steps:
            await self._effects.gate()
            if frame.halt():
                raise Halted
            output = await self._step(step, frame)
        return output

    async def _step(self, step: Step, frame: Frame) -> Any:
        path = frame.path(step)
        await self._breathe()
        try:
            if step.for_each is None:
                return await self._once(step, frame, path)
            return await self._each(step, frame, path)
        except StepFailed as failed:
            if frame.names["status"].get(step.id) != FAILED:
                frame.settle(step, FAILED)
            frame.blame(step, error_value(failed.failure))
            raise

    async def _once(self, step: Step, frame: Frame, path: str) -> Any:
        async def work() -> Any:
            if not self._wanted(step, frame, path):
                raise Skipped
            output = await self._attempts(step, frame, path)
            frame.settle(step, SUCCEEDED, output)
            return output

        return await self._recovering(step, frame, path, work)

    async def _recovering(
        self, step: Step, frame: Frame, path: str, work: Callable[[], Awaitable[Any]]
    ) -> Any:
        """Does the work; where it fails, does what `on_error` says."""
        try:
            output = await work()
        except Skipped:
            frame.settle(step, SKIPPED)
            self._tell(step, path, SKIPPED)
            return None
        except StepFailed as failed:
            self._tell_failure(step, path, failed)
            if step.on_error == "fail":
                raise
            frame.blame(step, error_value(failed.failure))
            frame.settle(step, FAILED)
            output = None
            if isinstance(step.on_error, Recovery):
                output = await self._sequence(step.on_error.steps, frame)
                frame.settle(step, FAILED, output)
            return output
        # Steps with an activity, a timer or a child of their own are in the history already.
        if step.for_each is not None or isinstance(step, TOLD):
            self._tell(step, path, SUCCEEDED)
        return output

    def _tell_failure(self, step: Step, path: str, failed: StepFailed) -> None:
        # The history shows which call of a model failed, and not that its step did.
        whole = isinstance(step, PromptStep) and failed.failure.step != path
        if whole or not failed.told:
            self._tell(step, path, FAILED, failed.failure)

    def _tell(self, step: Step, path: str, status: Any, error: Failure | None = None) -> None:
        self._effects.settle(Settled(path=path, kind=step.kind, status=status, error=error))

    async def _each(self, step: Step, frame: Frame, path: str) -> Any:
        async def work() -> Any:
            if not about_items(step) and not self._wanted(step, frame, path):
                raise Skipped
            items = self._items(step, frame, path)
            if self._effects.oversized(step, len(items)):
                done = await self._effects.batches(Batch(path, step, items, frame))
            else:
                done = await self.items(step, frame, items, 0, step.concurrency)
            frame.settle(step, FAILED if done.errors or done.failed else SUCCEEDED, done.outputs)
            if done.failed is not None:
                raise EachFailed(done.failed)
            if frame.halt():
                raise Halted
            if done.errors:
                frame.blame(step, done.errors)
            return done.outputs

        try:
            return await self._recovering(step, frame, path, work)
        except EachFailed as failed:
            self._tell(step, path, FAILED, failed.failure)
            raise StepFailed(failed.failure) from None

    async def items(
        self,
        step: Step,
        frame: Frame,
        items: list[Any],
        lo: int,
        concurrency: int,
        room: Room | None = None,
    ) -> Items:
        """At most `concurrency` at once; after a failure nothing new begins."""
        done = Items([None] * len(items), room=room)
        halt = Halt(frame.halt)
        waiting = iter(range(len(items)))

        async def lane() -> None:
            for position in waiting:
                await self._effects.gate()
                if halt() or not done.admits(position):
                    return
                inner = frame.item(step, items[position], lo + position, halt)
                try:
                    done.keep(position, await self._item(step, inner, done))
                except StepFailed as failed:
                    done.failed = done.failed or failed.failure
                    halt.raised = True
                except Halted:
                    return

        await asyncio.gather(*(lane() for _ in range(min(concurrency, len(items)))))
        done.errors.sort(key=lambda error: error["index"])
        return done

    async def _item(self, step: Step, frame: Frame, done: Items) -> Any:
        path = frame.prefix.removesuffix(".")
        await self._breathe()
        try:
            if about_items(step) and not self._wanted(step, frame, path):
                self._tell(step, path, SKIPPED)
                return None
            output = await self._attempts(step, frame, path)
        except StepFailed as failed:
            self._tell_failure(step, path, failed)
            if step.on_error == "fail":
                raise
            error = error_value(failed.failure)
            done.blame({"index": frame.names["index"], **error})
            if not isinstance(step.on_error, Recovery):
                return None
            frame.blame(step, error)
            return await self._sequence(step.on_error.steps, frame)
        if isinstance(step, PromptStep):
            self._tell(step, path, SUCCEEDED)
        return output

    async def _attempts(self, step: Step, frame: Frame, path: str) -> Any:
        """Temporal retries an activity; a step made of steps is tried again here."""
        retry = step.retry
        if (
            isinstance(step, ComputeStep | NotifyStep | PromptStep)
            or retry is None
            or not retry.attempts
        ):
            return await self._perform(step, frame, path)
        pause = retry.backoff or FIRST_BACKOFF
        longest = max(pause, retry.max_backoff or MAX_BACKOFF)
        for attempt in range(1, retry.attempts):
            here = path if attempt == 1 else f"{path}#{attempt}"
            try:
                return await self._perform(step, frame.visit(path, attempt), here)
            except StepFailed:
                if frame.halt():
                    raise
                await self._effects.back_off(here, pause, frame.halt)
                await self._effects.gate()
                if frame.halt():
                    raise Halted from None
                pause = min(pause * 2, longest)
        last = retry.attempts
        here = path if last == 1 else f"{path}#{last}"
        return await self._perform(step, frame.visit(path, last), here)

    async def _perform(self, step: Step, frame: Frame, path: str) -> Any:
        match step:
            case ComputeStep():
                arguments, secrets = self._render(step.id, step.arguments, frame, path)
                return await self._effects.compute(
                    Compute(path, step.tool, arguments, secrets, step.timeout, step.retry)
                )
            case SetStep():
                values = self._render(step.id, step.values, frame, path)[0]
                self._keep(values, path)
                frame.names["vars"].update(values)
                return values
            case GroupStep():
                return await self._sequence(step.steps, frame)
            case ParallelStep():
                return await self._parallel(step, frame)
            case SkillStep():
                inputs = self._render(step.id, step.inputs, frame, path)[0]
                call = ChildRun(path, step.skill, inputs, step.timeout)
                return await self._effects.child(call, frame.halt)
            case WaitStep():
                return await self._wait(step, frame, path)
            case ApproveStep():
                message = str(self._render(step.id, step.message, frame, path)[0])
                approval = Approval(path, message, step.timeout)
                return await self._effects.approve(approval, frame.halt)
            case NotifyStep():
                message = self._render(step.id, step.message, frame, path)[0]
                return await self._effects.notify(
                    Notify(path, step.channel, message, step.timeout, step.retry)
                )
            case ExtractStep() | ClassifyStep() | GenerateStep() | ReasonStep():
                rendered = self._render(step.id, step.prompt, frame, path)[0]
                prompt = rendered if isinstance(rendered, str) else canonical(rendered)
                return await answered(self._effects, step, prompt, path, frame.halt)
            case _:
                assert_never(step)

    async def _wait(self, step: WaitStep, frame: Frame, path: str) -> Any:
        length, until = self._render(step.id, [step.length, step.until], frame, path)[0]
        if step.event is None:
            return await self._effects.wait(Pause(path, length, until), frame.halt)
        known = awaited_with(step.matching, frame.names)
        call = Await(path, step.event, step.matching, known, length, until)
        return await self._effects.event(call, frame.halt)

    def _keep(self, values: Any, path: str) -> None:
        """What `set` writes stays in the worker's memory for as long as the run is there."""
        self._kept += size_of(values)
        if self._kept > MOST_KEPT:
            message = f"what `set` steps wrote is over {MOST_KEPT:,} bytes together"
            raise StepFailed(Failure(code=ValueTooLarge.code, message=message, step=path))

    async def _parallel(self, step: ParallelStep, frame: Frame) -> dict[str, Any]:
        halt = Halt(frame.halt)
        outputs: dict[str, Any] = dict.fromkeys(step.branches)
        failures: list[Failure] = []

        async def branch(name: str) -> None:
            try:
                outputs[name] = await self._sequence(step.branches[name], frame.halting(halt))
            except StepFailed as failed:
                failures.append(failed.failure)
                halt.raised = True
            except Halted:
                return

        await asyncio.gather(*(branch(name) for name in step.branches))
        if failures:
            raise StepFailed(failures[0])
        if frame.halt():
            raise Halted
        return outputs

    def _items(self, step: Step, frame: Frame, path: str) -> list[Any]:
        items = self._render(f"{step.id}[]", step.for_each, frame, path)[0]
        if not isinstance(items, list):
            kind = "null" if items is None else type(items).__name__
            message = f"for_each of `{step.id}` needs a list, got {kind}"
            raise StepFailed(Failure(code=ExpressionFailed.code, message=message, step=path))
        if len(items) > MAX_ITEMS:
            message = f"for_each of `{step.id}` got {len(items)} items; {MAX_ITEMS} is the most"
            raise StepFailed(Failure(code=TooManyItems.code, message=message, step=path))
        return items

    def _wanted(self, step: Step, frame: Frame, path: str | None = None) -> bool:
        if step.when is None:
            return True
        path = path or frame.path(step)
        value = self._measured(path, lambda meter: condition(step.when or "")(frame.names, meter))
        if not isinstance(value, bool) and value is not None:
            message = f"when of `{step.id}` must be true or false, got {type(value).__name__}"
            raise StepFailed(Failure(code=ExpressionFailed.code, message=message, step=path))
        return bool(value)

    def _render(
        self, slot: str, value: Any, frame: Frame, path: str
    ) -> tuple[Any, tuple[SecretUse, ...]]:
        template = self._templates.get(slot)
        if template is None:
            template = self._templates[slot] = compile_template(value)
        rendered = self._measured(path, lambda meter: template.render(frame.names, meter))
        if too_deep(rendered.value):
            message = f"the value is nested deeper than {MAX_DEPTH} levels"
            raise StepFailed(Failure(code=ValueTooLarge.code, message=message, step=path))
        return rendered.value, rendered.secrets

    def _measured(self, path: str, work: Callable[[Meter], T]) -> T:
        meter = Meter()
        try:
            return work(meter)
        except ExpressionFault as fault:
            failure = Failure(code=ExpressionFailed.code, message=fault.message, step=path)
            raise StepFailed(failure) from None
        finally:
            self._spent += meter.spent

    async def _breathe(self) -> None:
        self._spent += FUEL_OF_A_STEP
        if self._spent > FUEL_BETWEEN_BREATHS:
            self._spent = 0
            await self._effects.breathe()
