import asyncio
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from itertools import chain
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ApplicationError, FailureError

from core.digest import digest_of
from core.effects import (
    DECIDE,
    PAUSE,
    RECORD,
    RESUME,
    STATUS,
    WAITS,
    WAKE,
    ChildWaits,
    Decision,
    Recorded,
    RecordRequest,
    Settled,
)
from core.run import Failure, RunOrigin, RunStatus, Waiting
from core.tool import RunContext
from workflows import policies
from workflows.given import GivenSteps
from workflows.kin import Children, Parent, tell
from workflows.outbox import Outbox

STATUS_ATTRIBUTE = SearchAttributeKey.for_keyword("PerdureStatus")
ACTIVITIES_AT_ONCE = 200  # Temporal allows 2,000 pending activities, and as many children
CHILDREN_AT_ONCE = 500
MOST_SETTLED = 10_000  # what the log would lose beyond is better lost than the run
MOST_EVENTS = 48_000  # the server ends a run at 51,200 events, and at 50 MiB
MOST_BYTES = 45 * 1024 * 1024
Moment = tuple[RunStatus, tuple[Waiting, ...]]


class RunState:
    """What a run is doing, told to the row and to whoever asks; shared by all step helpers."""

    def __init__(self, origin: RunOrigin, run_id: str) -> None:
        self.origin = origin
        self.run_id = run_id
        self._started_at: datetime | None = None
        self.paused = False
        self.waiting: dict[str, Waiting] = {}
        self.decisions: dict[str, dict[str, Any]] = {}
        self.woken = 0
        self.stirred: Counter[str] = Counter()  # by wait
        self.given = GivenSteps(origin)
        self.given_events: list[str] = []
        self.children: dict[str, workflow.ChildWorkflowHandle[Any, Any]] = {}
        self._children = Children(run_id)
        self._parent = Parent(self._all_waits)
        self.in_flight = asyncio.Semaphore(ACTIVITIES_AT_ONCE)
        self.open_children = asyncio.Semaphore(CHILDREN_AT_ONCE)
        self._outbox = Outbox()
        self._time_is_up: Callable[[], bool] = lambda: False
        self._passing: dict[str, asyncio.Task[None]] = {}
        self._settled: list[Settled] = []
        self._busy = 0
        self._seq = 0
        self._told: Moment | None = None
        self._began: RecordRequest | None = None
        self._telling: asyncio.Task[None] | None = None

    # What it is doing

    @property
    def moment(self) -> Moment:
        of_children = self._children.waiting(self.children)
        waits = (*self.waiting.values(), *chain.from_iterable(of_children.values()))
        if waits and self._busy == len(of_children) and not self.paused:
            return "waiting", waits
        # A person must learn that they are asked, whatever else goes on.
        asked = tuple(each for each in self.waiting.values() if each.kind == "approval")
        return "paused" if self.paused else "running", asked

    def context(self, path: str) -> RunContext:
        origin = self.origin
        return RunContext(
            workspace=origin.workspace.id,
            run=self.run_id,
            lineage=origin.lineage,
            path=path,
            actor=origin.actor,
            mode=origin.mode,
            skill=origin.skill,
            version=origin.version,
        )

    async def gate(self) -> None:
        if self.paused:
            await workflow.wait_condition(lambda: not self.paused)

    async def may_send(self, size: int) -> None:
        """Returns when a request of this many bytes may leave: then it must, before any await."""
        while True:
            await self.gate()
            await self._outbox.has_room(size)
            if not self.paused:
                break
        self._refuse_if_history_is_full()
        self._outbox.put(size)

    def _refuse_if_history_is_full(self) -> None:
        """The server would end the run without a word of what it was at."""
        info = workflow.info()
        events, size = info.get_current_history_length(), info.get_current_history_size()
        if events > MOST_EVENTS or size > MOST_BYTES:
            message = f"the run did too much for one history: {events:,} events, {size:,} bytes"
            raise ApplicationError(message, type="history_full", non_retryable=True)

    def limit(self, time_is_up: Callable[[], bool]) -> None:
        self._time_is_up = time_is_up

    @property
    def is_over(self) -> bool:
        """A cancellation that comes with an answer may be lost to it: what follows asks again."""
        return workflow.cancellation_reason() is not None or self._time_is_up()

    def begin(self) -> None:
        self._busy += 1
        self.changed()

    def end(self, task: asyncio.Future[Any]) -> None:
        self._busy -= 1
        if not task.cancelled():
            self.changed()

    @contextmanager
    def wait_for(self, waiting: Waiting) -> Generator[None]:
        self.waiting[waiting.step] = waiting
        self.changed()
        goes_on = True
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            # The run ends, or a worker only forgets it: then nothing may be started any more.
            goes_on = False
            raise
        finally:
            del self.waiting[waiting.step]
            if goes_on:
                self.changed()

    def settle(self, settled: Settled) -> None:
        if len(self._settled) < MOST_SETTLED:
            self._settled.append(settled)

    @property
    def untold(self) -> int:
        return len(self._settled)

    async def tell_settled(self) -> None:
        """Before they are too many for one payload; a batch, which has no record, goes on."""
        if self._told is not None:
            await self._record(self._request(*self.moment), policies.RECORD_LATER)

    def take_settled(self) -> tuple[Settled, ...]:
        settled, self._settled = tuple(self._settled), []
        return settled

    # What others ask and tell

    def listen(self) -> None:
        workflow.set_signal_handler(PAUSE, self.pause)
        workflow.set_signal_handler(RESUME, self.resume)
        workflow.set_signal_handler(WAKE, self.wake)
        workflow.set_signal_handler(WAITS, self.child_waits)
        workflow.set_query_handler(STATUS, self.status)
        workflow.set_update_handler(DECIDE, self.decide, validator=self.may_decide)

    def pause(self, _by: Any = None) -> None:
        self.paused = True
        self._pass_on(PAUSE, _by)

    def resume(self, _by: Any = None) -> None:
        self.paused = False
        self._pass_on(RESUME, _by)

    def wake(self, why: Any = None) -> None:
        """There may be budget again, for batches and child runs too; or an event for one wait, of
        this run or of one of its batches."""
        wait = why.get("wait") if isinstance(why, dict) else None
        if wait is None:
            self.woken += 1
            self._pass_on(WAKE, why)
            return
        self.stirred[wait] += 1
        for key in self.children:
            if key.startswith(f"{self.run_id}/"):
                self.pass_on_to(key, WAKE, why)

    def child_waits(self, told: ChildWaits) -> None:
        self._children.hear(told)
        self.changed()

    def _all_waits(self) -> tuple[Waiting, ...]:
        """Nothing while something goes on."""
        status, waits = self.moment
        return waits if status == "waiting" else ()

    def status(self) -> Recorded:
        status, waiting = self.moment
        return Recorded(status=status, waiting_for=waiting)

    def may_decide(self, decision: Decision) -> None:
        self._approval(decision.step)

    def decide(self, decision: Decision) -> dict[str, Any]:
        path = self._approval(decision.step)
        self.decisions[path] = {
            "step": path,
            "approved": decision.verdict == "approved",
            "comment": decision.comment,
            "by": decision.actor,
            "at": workflow.now().isoformat(),
        }
        # A retry is given the answer to the same question only.
        asked = digest_of("approve", [path, self.waiting[path].message])
        return {**self.decisions[path], "asked": asked}

    def _approval(self, step: str | None) -> str:
        pending = [
            path
            for path, waiting in self.waiting.items()
            if waiting.kind == "approval" and path not in self.decisions
        ]
        if step is None and len(pending) == 1:
            return pending[0]
        if step is None and pending:
            message = f"several approvals are pending; name the step: {', '.join(pending)}"
        elif step in pending:
            return step
        else:
            named = f"`{step}` waits for no approval" if step else "nothing waits for approval"
            message = named + (f"; pending: {', '.join(pending)}" if pending else "")
        raise ApplicationError(message, type="not_pending", non_retryable=True)

    def _pass_on(self, signal: str, argument: Any) -> None:
        self.changed()
        for key in self.children:
            self.pass_on_to(key, signal, argument)

    def pass_on_to(self, key: str, signal: str, argument: Any = None) -> None:
        """One after the other: a pause must not overtake the resume that was before it."""
        before, child = self._passing.get(key), self.children[key]

        async def passing() -> None:
            if before is not None:
                await workflow.wait_condition(before.done)
            await tell(child, signal, argument)

        self._passing[key] = asyncio.create_task(passing())

    def forget_child(self, key: str) -> None:
        self.children.pop(key, None)
        self._passing.pop(key, None)
        self._children.forget(key)

    # What the row is told

    def changed(self) -> None:
        self._parent.changed()
        if self._told is not None and self._telling is None and self.moment != self._told:
            self._telling = asyncio.create_task(self._tell())

    def begin_telling(self) -> None:
        self._told = "running", ()
        self._started_at = workflow.now()
        self._began = self._request("running")
        self._telling = asyncio.create_task(self._tell_begun())

    def take_begun(self) -> RecordRequest | None:
        """The first request of a run carries its first record, which saves a local activity."""
        began, self._began = self._began, None
        return began

    def go_on_telling(self) -> None:
        """After continue-as-new the row knows already that the run goes on."""
        self._told = "running", ()
        self.changed()

    async def stop_telling(self) -> None:
        """Later `seq` wins, so an open record still under way can be dropped."""
        self._told = None
        self._began = None
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.sleep(0)

    async def end_telling(
        self, status: RunStatus, *, output: Any = None, error: Failure | None = None
    ) -> None:
        await self.stop_telling()
        request = self._request(status, output=output, error=error)
        await self._record(request, policies.RECORD_END)

    async def _tell_begun(self) -> None:
        await workflow.wait_condition(lambda: True)  # when the run has done all it can for now
        began = self.take_begun()
        if began is not None:
            await self._record(began, policies.RECORD_LATER)
        self._telling = None
        self.changed()

    async def _tell(self) -> None:
        await asyncio.sleep(0)  # what happens in one breath is one change
        while self._told is not None and self.moment != self._told:
            status, waiting = self._told = self.moment
            workflow.upsert_search_attributes([STATUS_ATTRIBUTE.value_set(status)])
            request = self._request(status, waiting)
            await self._record(request, policies.RECORD_LATER)
        self._telling = None

    def _request(
        self,
        status: RunStatus,
        waiting: tuple[Waiting, ...] = (),
        *,
        output: Any = None,
        error: Failure | None = None,
    ) -> RecordRequest:
        # Grows also from one part of a continued run to the next.
        now = workflow.now()
        self._seq = max(self._seq + 1, int(now.timestamp() * 1_000_000))
        return RecordRequest(
            run=self.run_id,
            seq=self._seq,
            origin=self.origin,
            status=status,
            at=now,
            started_at=self._started_at or now,
            waiting_for=waiting,
            output=output,
            error=error,
            settled=self.take_settled(),
        )

    async def _record(self, request: RecordRequest, patient: policies.Options) -> None:
        """A failed local activity raises its cause bare; the reconciler is the last resort."""
        try:
            await workflow.execute_local_activity(
                RECORD, request, result_type=Recorded, **policies.RECORD_AT_ONCE
            )
        except FailureError:
            if workflow.cancellation_reason() is not None and request.status == "running":
                return
            try:
                await workflow.execute_activity(
                    RECORD,
                    request,
                    result_type=Recorded,
                    activity_id=f"{RECORD}.{request.seq}",
                    summary=f"record that the run is {request.status}",
                    **patient,
                )
            except FailureError:
                workflow.logger.warning("could not record that the run is %s", request.status)


CURRENT: ContextVar[RunState] = ContextVar("perdure.run")
