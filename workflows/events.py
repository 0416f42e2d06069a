"""Waiting for an event: the run notes that it waits, looks, and looks again when it is stirred."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Literal

from temporalio import workflow
from temporalio.exceptions import ActivityError

from core.digest import canonical, digest_of_text, size_of_text
from core.duration import format_duration
from core.effects import EVENT, EventReply, EventRequest, Settled
from core.errors import WaitTimedOut
from core.execution import Await, Halted, StepFailed
from core.run import Failure, Waiting
from workflows import policies
from workflows.failures import refuse_if_large, step_failure
from workflows.state import RunState

MOST_KNOWN = 100_000  # bytes: the gateway compares each event with it
# Whoever tells of an event stirs the run; this is for a wait that a restored database has lost.
LONGEST_SLEEP = timedelta(hours=6)


async def await_event(
    run: RunState, call: Await, length: timedelta | None, halted: Callable[[], bool]
) -> Any:
    asked = canonical(["event", call.event, call.matching, call.known])
    refuse_if_large(call.path, "what `when` reads", size_of_text(asked), MOST_KNOWN)
    looks = Looks(run, call, asked, workflow.now() + length if length is not None else None)
    known = run.given.step(call.path, looks.digest)
    if known is not None:
        run.settle(Settled(path=call.path, kind="wait", status="succeeded", given=True))
        came = EventReply.model_validate(known.output).event
        if came is not None:
            run.given_events.append(came["id"])
        return came
    came = await looks.look("lasts")
    if came is not None:
        return came
    summary = f"{call.event}, when {call.matching}" if call.matching else call.event
    waiting = Waiting(kind="event", step=call.path, until=looks.until, message=summary)
    with run.wait_for(waiting):
        while came is None:
            with suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: looks.is_stirred or halted(),
                    timeout=looks.patience,
                    timeout_summary=f"{call.path}: until {call.event} comes",
                )
            if halted():
                raise Halted
            over = looks.is_over
            came = await looks.look("over" if over else "lasts")
            if came is None and over:
                raise timed_out(call, length)
    return came


def timed_out(call: Await, length: timedelta | None) -> StepFailed:
    bound = f"within {format_duration(length)}" if call.length and length else f"by {call.until}"
    message = f"no {call.event} came for `{call.path}` {bound}"
    return StepFailed(Failure(code=WaitTimedOut.code, message=message, step=call.path))


class Looks:
    def __init__(self, run: RunState, call: Await, asked: str, until: datetime | None) -> None:
        info = workflow.info()
        self._run = run
        self._call = call
        self._size = size_of_text(asked)
        self._since = info.start_time
        self._count = 0
        self._stirred = 0
        self.digest = digest_of_text(asked)
        self.until = until
        # A later part of a continued run waits anew, also where its steps have the same names.
        part = f"@{info.run_id[:8]}" if info.continued_run_id else ""
        self.wait = call.path + part

    @property
    def is_stirred(self) -> bool:
        """Since it looked last."""
        return self._run.stirred[self.wait] > self._stirred

    @property
    def is_over(self) -> bool:
        return self.until is not None and workflow.now() >= self.until

    @property
    def patience(self) -> timedelta:
        if self.until is None:
            return LONGEST_SLEEP
        return max(timedelta(0), min(self.until - workflow.now(), LONGEST_SLEEP))

    async def look(self, patience: Literal["lasts", "over"]) -> Any:
        """The event, if it came."""
        async with self._run.in_flight:
            await self._run.may_send(self._size)
            try:
                return (await self._start(patience)).event
            except ActivityError as error:
                raise step_failure(error, self._call.path, self._run) from None

    def _start(self, patience: Literal["lasts", "over"]) -> workflow.ActivityHandle[EventReply]:
        run, call = self._run, self._call
        self._count += 1
        self._stirred = run.stirred[self.wait]
        request = EventRequest(
            wait=self.wait,
            event=call.event,
            matching=call.matching,
            known=call.known,
            taken=tuple(run.given_events),
            since=self._since,
            until=self.until,
            patience=patience,
            digest=self.digest,
            context=run.context(call.path),
            settled=run.take_settled(),
            began=run.take_begun(),
        )
        return workflow.start_activity(
            EVENT,
            request,
            result_type=EventReply,
            activity_id=call.path if self._count == 1 else f"{call.path}~{self._count}",
            summary=f"{call.path}: {call.event}",
            **policies.LOOK_UP,
        )
