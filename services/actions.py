"""What may be done to a run while it is open."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from core.effects import DECIDE, PAUSE, RESUME, STATUS, Decision, Recorded
from core.errors import Conflict, NotPending, RunEnded, Unavailable
from core.run import ENDED, Run
from core.tool import Actor
from services import reach

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from temporalio.client import Client, WorkflowHandle

    from services.access import Access
    from services.runs import RunService

TELL_WITHIN = timedelta(seconds=1)
CANCEL_SHOWN_WITHIN = timedelta(seconds=0.5)
DECIDE_WITHIN = timedelta(seconds=10)


class ActionService:
    def __init__(self, client: Client, runs: RunService) -> None:
        self._client = client
        self._runs = runs

    async def pause(self, run: Run, access: Access) -> Run:
        return await self._signal(run, PAUSE, access)

    async def resume(self, run: Run, access: Access) -> Run:
        return await self._signal(run, RESUME, access)

    async def cancel(self, run: Run, access: Access) -> Run:
        handle = self._open(run)
        by = _by(access)
        await self._told(run, handle.cancel(reason=f"{by.kind}:{by.id}"))
        return await self._runs.ended_within(run, CANCEL_SHOWN_WITHIN)

    async def decide(
        self,
        run: Run,
        verdict: Literal["approved", "rejected"],
        step: str | None,
        comment: str | None,
        access: Access,
    ) -> Run:
        decision = Decision(
            step=step, verdict=verdict, comment=comment, actor=_by(access).model_dump()
        )
        handle = self._open(run)
        try:
            await self._told(run, handle.execute_update(DECIDE, decision), DECIDE_WITHIN)
        except WorkflowUpdateRPCTimeoutOrCancelledError:
            raise Unavailable("no worker took the decision in time: try it again") from None
        except WorkflowUpdateFailedError as error:
            raise _refusal(error) from error
        return await self._now(run, handle)

    async def _signal(self, run: Run, signal: str, access: Access) -> Run:
        handle = self._open(run)
        await self._told(run, handle.signal(signal, {"actor": _by(access).model_dump()}))
        return await self._now(run, handle)

    def _open(self, run: Run) -> WorkflowHandle[object, object]:
        if run.status in ENDED:
            raise ended(run)
        return self._client.get_workflow_handle(run.run_id)

    async def _told(
        self, run: Run, telling: Awaitable[object], within: timedelta = reach.ANSWER_WITHIN
    ) -> None:
        try:
            async with reach.temporal(within):
                await telling
        except RPCError as error:
            if not reach.is_not_found(error):
                raise
            # Either it ended and its row does not know yet, or it is about to be started.
            current = await self._runs.refreshed(run)
            if current.status == "queued":
                raise Unavailable(
                    "the run has not begun yet", retry_after=timedelta(seconds=1)
                ) from None
            raise ended(current) from None

    async def _now(self, run: Run, handle: WorkflowHandle[object, object]) -> Run:
        """What the workflow itself says, which knows of the signal before its row does."""
        try:
            async with reach.temporal(TELL_WITHIN):
                said = await handle.query(STATUS, result_type=Recorded)
        except (Unavailable, RPCError):
            return await self._runs.refreshed(run)
        return run.model_copy(update={"status": said.status, "waiting_for": said.waiting_for})


def ended(run: Run) -> RunEnded:
    status = run.status if run.status in ENDED else "over"
    return RunEnded(f"the run has ended: it is {status}")


def _by(access: Access) -> Actor:
    return Actor(kind="key", id=access.key_id)


def _refusal(error: WorkflowUpdateFailedError) -> Conflict:
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type == NotPending.code:
        return NotPending(cause.message)
    return Conflict("the run did not take the decision")
