"""A run's row, with what Temporal knows better while the run is open."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import ValidationError
from temporalio.client import WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.service import RPCError

from core.effects import STATUS as STATUS_QUERY
from core.effects import Recorded
from core.errors import PerdureError, Unavailable
from core.run import ENDED, Failure, FlowInput, Run, RunOrigin, RunStatus, Waiting
from core.steps import Steps
from services import reach
from services.starter import MEMO, STATUS, WORKSPACE

if TYPE_CHECKING:
    from datetime import datetime

    from temporalio.client import Client

    from core.event import Outcome
    from services.history import Histories
    from services.links import Links

LOOK_WITHIN = timedelta(seconds=2)
READ_WITHIN = timedelta(seconds=10)
BEFORE_A_WORKER = 2  # events in the history of a run that no worker has taken up
AWAY = "Temporal does not answer: this is what was last recorded"
STALLED = (
    "its last workflow task did not finish (attempt {attempt}): either the worker was lost, or the "
    "skill's code raised something unexpected, and the run goes on once that is mended"
)
CLOSED: dict[WorkflowExecutionStatus, RunStatus] = {
    WorkflowExecutionStatus.COMPLETED: "succeeded",
    WorkflowExecutionStatus.FAILED: "failed",
    WorkflowExecutionStatus.CANCELED: "cancelled",
    WorkflowExecutionStatus.TERMINATED: "failed",
    WorkflowExecutionStatus.TIMED_OUT: "timed_out",
}
TERMINATED = Failure(code="terminated", message="the run was terminated from outside")
TIMED_OUT = Failure(code="run_timed_out", message="the run ran into its timeout")


class Live:
    def __init__(self, client: Client, histories: Histories, links: Links) -> None:
        self._client = client
        self._histories = histories
        self._links = links

    async def whole(self, run: Run) -> Run:
        """As one run is shown, with its steps and links."""
        current = await self.current(run)
        try:
            async with reach.temporal(READ_WITHIN):
                steps = await self._histories.steps(current)
        except (PerdureError, RPCError):
            steps = Steps()  # what is known without them is worth showing
        update: dict[str, object] = {"steps": steps.views(), "links": self._links.of(run.run_id)}
        # The ledger's sums hold also what batches and lost attempts took.
        if not current.token_usage.total:
            update |= {"token_usage": steps.spent.tokens, "cost": steps.spent.cost}
        return current.model_copy(update=update)

    async def current(self, run: Run) -> Run:
        if run.status in ENDED:
            return run
        try:
            described = await self.describe(run.run_id)
        except Unavailable:
            return run.model_copy(update={"problem": AWAY})
        return run if described is None else await self.seen(run, described)

    async def seen(self, run: Run, described: WorkflowExecutionDescription) -> Run:
        """The row of an open run, corrected by what Temporal says of it."""
        if described.status in CLOSED:
            return await self._closed(run, described)
        shown = _open(run, described)
        if shown.status == "waiting" and not shown.waiting_for:
            return shown.model_copy(update={"waiting_for": await self._waiting_for(run.run_id)})
        return shown

    async def _waiting_for(self, run_id: str) -> tuple[Waiting, ...]:
        """From the run itself, where its row has lost it."""
        try:
            async with reach.temporal(LOOK_WITHIN):
                handle = self._client.get_workflow_handle(run_id)
                said = await handle.query(STATUS_QUERY, result_type=Recorded)
        except (Unavailable, RPCError):
            return ()
        return said.waiting_for

    async def describe(self, run_id: str) -> WorkflowExecutionDescription | None:
        """None where Temporal does not have the run."""
        try:
            async with reach.temporal(LOOK_WITHIN):
                return await self._client.get_workflow_handle(run_id).describe()
        except RPCError as error:
            if reach.is_not_found(error):
                return None
            raise

    async def cut_off_since(self, since: datetime, limit: int) -> list[str]:
        """Runs that were terminated or timed out, which cannot have said so."""
        query = (
            f"{WORKSPACE.name} IS NOT NULL AND ExecutionStatus IN ('Terminated', 'TimedOut') "
            f"AND CloseTime > '{since.isoformat()}'"
        )
        async with reach.temporal(READ_WITHIN):
            found = self._client.list_workflows(query, limit=limit)
            return [execution.id async for execution in found]

    async def origin(self, run_id: str) -> RunOrigin | None:
        described = await self.describe(run_id)
        if described is None:
            return None
        return await described.memo_value(MEMO, None, type_hint=RunOrigin)

    async def given(self, run_id: str) -> FlowInput | None:
        """What the workflow of a flow was started with; None where it is gone, or no flow."""
        events = self._client.get_workflow_handle(run_id).fetch_history_events(page_size=1)
        try:
            async with reach.temporal():
                first = await anext(events)
                payloads = first.workflow_execution_started_event_attributes.input.payloads
                values = await self._client.data_converter.decode(payloads, [FlowInput])
        except RPCError as error:
            if reach.is_not_found(error):
                return None
            raise
        except ValidationError:
            return None
        return values[0]

    async def outcome(self, run_id: str) -> Outcome | None:
        async with reach.temporal(READ_WITHIN):
            return await self._histories.outcome(run_id)

    async def _closed(self, run: Run, described: WorkflowExecutionDescription) -> Run:
        try:
            outcome = await self.outcome(run.run_id)
        except (PerdureError, RPCError):
            outcome = None
        if outcome is not None:
            return _ended(run, outcome.status, outcome.closed_at, outcome.error, outcome.output)
        assert described.status is not None
        error = {
            WorkflowExecutionStatus.TERMINATED: TERMINATED,
            WorkflowExecutionStatus.TIMED_OUT: TIMED_OUT,
        }.get(described.status)
        return _ended(run, CLOSED[described.status], described.close_time, error, None)


def _open(run: Run, described: WorkflowExecutionDescription) -> Run:
    update: dict[str, object] = {}
    attempt = described.raw_description.pending_workflow_task.attempt
    if attempt > 1:
        update["problem"] = STALLED.format(attempt=attempt)
    taken_up = described.history_length > BEFORE_A_WORKER
    said = described.typed_search_attributes.get(STATUS)
    if taken_up and said in ("running", "paused", "waiting"):
        update["status"] = said
        if said == "running" and run.status != "running":
            update["waiting_for"] = ()  # it waited when its row was written
    return run.model_copy(update=update)


def _ended(
    run: Run, status: RunStatus, at: datetime | None, error: Failure | None, output: object
) -> Run:
    began = run.started_at or run.created_at
    took = None if at is None else round((at - began).total_seconds() * 1000)
    return run.model_copy(
        update={
            "status": status,
            "completed_at": at,
            "duration_ms": took,
            "error": error,
            "output": output if output is not None else run.output,
            "waiting_for": (),
        }
    )
